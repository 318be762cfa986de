"""The interventions domain's rows and values. No behaviour beyond what a value knows of itself.

Tables are in `migrations/versions/0010_interventions.py`; the old system's shapes are Django's
tables, whose names are in the settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any


class Allergy(StrEnum):
    """What a user can be allergic to (or cannot digest), as the service knows it."""

    GLUTEN = "gluten"
    LACTOSE = "lactose"
    NUT = "nut"
    SEAFOOD = "seafood"
    EGG = "egg"
    SOY = "soy"

    @property
    def korean(self) -> str:
        """Its name for a Korean reader; no food's name."""
        return {
            Allergy.GLUTEN: "글루텐",
            Allergy.LACTOSE: "유당",
            Allergy.NUT: "견과류",
            Allergy.SEAFOOD: "해산물",
            Allergy.EGG: "난류",
            Allergy.SOY: "대두",
        }[self]


class Gubun(StrEnum):
    """What a recommendation is about; the old system's column `gubun`."""

    ALL = "all"
    SLEEP = "sleep"
    FOOD = "food"

    @property
    def has_diet(self) -> bool:
        """Whether it advises on eating."""
        return self is not Gubun.SLEEP

    @property
    def has_sleep(self) -> bool:
        """Whether it advises on sleep."""
        return self is not Gubun.FOOD

    @property
    def has_exercise(self) -> bool:
        """Whether it advises on walking."""
        return self is Gubun.ALL


class Mode(StrEnum):
    """Who writes recommendations."""

    LLM = "LLM"
    RULE = "RULE"


class State(StrEnum):
    """Whether a user is advised, or why not."""

    ELIGIBLE = "eligible"
    NO_FOOD_RECORD = "no_food_record"
    NO_EXERCISE_RECORD = "no_exercise_record"
    NO_FOOD_AND_EXERCISE_RECORD = "no_food_and_exercise_record"
    HAS_RECORD = "has_record"
    NO_ACTIVE_SCHEDULE = "no_active_schedule"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class EatenFood:
    """One food record of a day.

    Attributes:
        meal: As the source says it.
        energy_kcal: Of the amount that was eaten; None when the source does not know the food.
        allergens: What the food contains, as far as the source says.
    """

    meal: str
    name: str
    amount_g: float
    energy_kcal: float | None
    allergens: frozenset[Allergy]


@dataclass(frozen=True, slots=True)
class UserRecords:
    """A user's day.

    Attributes:
        user_id: The source's key, as text.
        foods: Empty without a food record.
        has_exercise: Whether there is an exercise record.
        sleep_minutes: None without a sleep record.
        problem: Why nothing can be recommended safely, without personal data; empty when it can.
    """

    user_id: str
    has_profile: bool
    allergies: frozenset[Allergy]
    food_preference: str
    height_cm: float | None
    weight_kg: float | None
    foods: tuple[EatenFood, ...]
    has_exercise: bool
    target_steps: int | None
    current_steps: int | None
    sleep_minutes: int | None
    problem: str

    @property
    def has_food(self) -> bool:
        """Whether there is a food record."""
        return bool(self.foods)

    @property
    def energy_kcal(self) -> float:
        """Energy of the day's foods as far as it is known."""
        return sum(food.energy_kcal or 0.0 for food in self.foods)


@dataclass(frozen=True, slots=True)
class Meals:
    """What to eat on the next day, under the old system's names."""

    breakfast: str
    lunch: str
    dinner: str
    summary: str

    @classmethod
    def of_json(cls, fields: Mapping[str, str]) -> "Meals":
        """Meals from the old system's `diet_target`."""
        return cls(fields["Breakfast"], fields["Lunch"], fields["Dinner"], fields["Summary"])

    def as_json(self) -> dict[str, str]:
        """The old system's `diet_target`."""
        return {
            "Breakfast": self.breakfast,
            "Lunch": self.lunch,
            "Dinner": self.dinner,
            "Summary": self.summary,
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation's content; what its gubun does not speak of is None.

    Evaluations are about the day of the records, targets about the next one.
    """

    diet_evaluation: str | None = None
    diet_target: Meals | None = None
    food_evaluation: str | None = None
    sleep_evaluation: str | None = None
    sleep_target: str | None = None
    exercise_evaluation: str | None = None
    exercise_target: str | None = None

    def evaluations(self) -> Mapping[str, str]:
        """Name → text of what is said about the day that was."""
        return self._texts(
            "diet_evaluation", "food_evaluation", "sleep_evaluation", "exercise_evaluation"
        )

    def targets(self) -> Mapping[str, str]:
        """Name → text of what is recommended."""
        meals = self.diet_target.as_json() if self.diet_target else {}
        return {
            **{f"diet_target.{name}": text for name, text in meals.items()},
            **self._texts("sleep_target", "exercise_target"),
        }

    def _texts(self, *names: str) -> dict[str, str]:
        texts = {name: getattr(self, name) for name in names}
        return {name: text for name, text in texts.items() if text is not None}

    def as_json(self) -> dict[str, Any]:
        """The fields that the recommendation has, as they are stored."""
        meals = {"diet_target": self.diet_target.as_json()} if self.diet_target else {}
        names = (
            *("diet_evaluation", "food_evaluation", "sleep_evaluation", "sleep_target"),
            *("exercise_evaluation", "exercise_target"),
        )
        return {**self._texts(*names), **meals}


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What became of an eligible user: advice, or an error that the next run tries again.

    Attributes:
        advice: None for an error.
        written_by: `model` or `rule`, `import` for an old system's; None for an error.
        reason: Why rules wrote it; empty when the model did.
        version: Of the prompt and model, or of the rules.
        processing_seconds: From handing the user over to the answer.
        error_message: None for a recommendation.
        input: What was sent.
    """

    user_id: str
    record_date: date
    gubun: Gubun
    advice: Advice | None
    written_by: str | None
    reason: str
    version: str
    processing_seconds: float
    error_message: str | None
    input: str

    @property
    def target_date(self) -> date:
        """The day that it is for."""
        return self.record_date + timedelta(days=1)
