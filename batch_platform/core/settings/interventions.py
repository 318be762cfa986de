"""The interventions service: its database, its tables, and how recommendations are made."""

from datetime import date
from typing import Annotated, Literal

from pydantic import SecretStr, field_validator
from pydantic_settings import NoDecode

from batch_platform.core.settings.section import Section, split_commas, variable


class InterventionsSettings(Section):
    """The interventions service: its database, its tables and how recommendations are made."""

    database_url: SecretStr | None = variable(
        "INTERVENTIONS_DATABASE_URL",
        None,
        "SQLAlchemy URL of the service's database; without one the domain is switched off",
    )
    mode: Literal["LLM", "RULE"] = variable(
        "INTERVENTIONS_MODE",
        "LLM",
        "Who writes recommendations: the model (rules where it fails), or rules alone",
    )
    workers: int = variable(
        "INTERVENTIONS_WORKERS", 16, "Model calls in flight at once", ge=1, le=512
    )
    first_day: date = variable(
        "INTERVENTIONS_FIRST_DAY", date(2024, 1, 1), "First day whose records can be used"
    )
    max_error_share: float = variable(
        "INTERVENTIONS_MAX_ERROR_SHARE",
        0.05,
        "Share of a day's eligible users that may end as an error before a check warns",
        ge=0,
        le=1,
    )

    table_food_records: str = variable(
        "INTERVENTIONS_TABLE_FOOD_RECORDS", "interventions_userfoodrecord", "What users ate"
    )
    table_foods: str = variable(
        "INTERVENTIONS_TABLE_FOODS", "interventions_food", "Foods with their energy"
    )
    table_exercise_records: str = variable(
        "INTERVENTIONS_TABLE_EXERCISE_RECORDS",
        "interventions_userexerciserecord",
        "How far users walked",
    )
    table_sleep_records: str | None = variable(
        "INTERVENTIONS_TABLE_SLEEP_RECORDS",
        None,
        "How long users slept; without one, sleep is advised on in general",
    )
    table_profiles: str = variable(
        "INTERVENTIONS_TABLE_PROFILES", "interventions_userprofile", "Users with their allergies"
    )
    table_records: str = variable(
        "INTERVENTIONS_TABLE_RECORDS",
        "interventions_interventionrecord",
        "Table that recommendations go back to",
    )

    column_user_id: str = variable(
        "INTERVENTIONS_COLUMN_USER_ID", "user_id", "User's key, in all of these tables"
    )
    column_record_date: str = variable(
        "INTERVENTIONS_COLUMN_RECORD_DATE", "record_date", "Day of a record"
    )
    column_food_id: str = variable("INTERVENTIONS_COLUMN_FOOD_ID", "food_id", "Food of a record")
    column_meal_type: str = variable(
        "INTERVENTIONS_COLUMN_MEAL_TYPE", "meal_type", "Which meal of the day"
    )
    column_amount: str = variable("INTERVENTIONS_COLUMN_AMOUNT", "amount", "Grams eaten")
    column_food_key: str = variable("INTERVENTIONS_COLUMN_FOOD_KEY", "id", "Food's own key")
    column_food_name: str = variable("INTERVENTIONS_COLUMN_FOOD_NAME", "name", "Food's name")
    column_food_energy: str = variable(
        "INTERVENTIONS_COLUMN_FOOD_ENERGY", "energy", "Kilocalories of 100 g"
    )
    column_target_steps: str = variable(
        "INTERVENTIONS_COLUMN_TARGET_STEPS", "target_steps", "Steps aimed at"
    )
    column_current_steps: str = variable(
        "INTERVENTIONS_COLUMN_CURRENT_STEPS", "current_steps", "Steps walked"
    )
    column_sleep_minutes: str = variable(
        "INTERVENTIONS_COLUMN_SLEEP_MINUTES", "sleep_minutes", "Minutes slept"
    )
    column_height: str = variable("INTERVENTIONS_COLUMN_HEIGHT", "height", "Height in cm")
    column_weight: str = variable("INTERVENTIONS_COLUMN_WEIGHT", "weight", "Weight in kg")
    column_food_preference: str = variable(
        "INTERVENTIONS_COLUMN_FOOD_PREFERENCE", "food_preference", "What a user likes to eat"
    )
    column_allergies: Annotated[list[str], NoDecode] = variable(
        "INTERVENTIONS_COLUMN_ALLERGIES",
        ["allergies"],
        "A user's allergies: one column with a list (JSON or commas), or six columns yes/no"
        " written gluten:has_gluten,lactose:…",
    )
    column_food_allergens: Annotated[list[str], NoDecode] = variable(
        "INTERVENTIONS_COLUMN_FOOD_ALLERGENS",
        ["allergens"],
        "What a food contains, in the same way",
    )
    column_input: str = variable(
        "INTERVENTIONS_COLUMN_INPUT", "input_data", "What was sent to the model or the rules"
    )
    column_output: str = variable(
        "INTERVENTIONS_COLUMN_OUTPUT", "output_data", "What came back, as it came"
    )

    _commas = field_validator("column_allergies", "column_food_allergens", mode="before")(
        split_commas
    )
