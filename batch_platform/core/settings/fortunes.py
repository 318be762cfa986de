"""The fortunes app: its database, and how tomorrow's fortunes are made."""

from datetime import date

from pydantic import SecretStr, field_validator

from batch_platform.core.settings.section import Section, readable_cron, variable


class FortunesSettings(Section):
    """The fortunes app: its database and how tomorrow's fortunes are made."""

    database_url: SecretStr | None = variable("DATABASE_URL", None, "The app's own database")
    secret_key: SecretStr | None = variable("SECRET_KEY", None, "Key of the old Django service")
    use_s3: bool = variable("USE_S3", False, "Whether files are in S3")
    aws_access_key_id: SecretStr | None = variable("AWS_ACCESS_KEY_ID", None, "S3 key's id")
    aws_secret_access_key: SecretStr | None = variable("AWS_SECRET_ACCESS_KEY", None, "S3 key")

    table_users: str = variable("FORTUNES_TABLE_USERS", "core_user", "The app's table of users")
    column_user_id: str = variable("FORTUNES_COLUMN_USER_ID", "id", "User's key")
    column_is_active: str = variable(
        "FORTUNES_COLUMN_IS_ACTIVE", "is_active", "Whether a user gets fortunes"
    )
    column_birth_date: str = variable(
        "FORTUNES_COLUMN_BIRTH_DATE", "birth_date_solar", "Birthday in the solar calendar"
    )
    column_birth_time: str | None = variable(
        "FORTUNES_COLUMN_BIRTH_TIME",
        None,
        "Local time of birth; birth_time when the table has it, otherwise hours are unknown",
    )
    column_gender: str | None = variable(
        "FORTUNES_COLUMN_GENDER",
        None,
        "Gender, for the ten-year pillar (대운); gender when the table has it",
    )
    column_time_zone: str | None = variable(
        "FORTUNES_COLUMN_TIME_ZONE",
        None,
        "A user's zone; time_zone when the table has it, otherwise ORG_TIMEZONE",
    )
    column_name: str | None = variable(
        "FORTUNES_COLUMN_NAME",
        None,
        "Name, which never leaves the house; name when the table has it",
    )
    table_results: str = variable(
        "FORTUNES_TABLE_RESULTS", "core_fortuneresult", "Table that the app reads fortunes from"
    )

    cron_schedule: str = variable(
        "FORTUNES_CRON_SCHEDULE", "0 22 * * *", "When tomorrow's fortunes are made"
    )
    first_day: date = variable(
        "FORTUNES_FIRST_DAY", date(2024, 1, 1), "First day that can have fortunes"
    )
    workers: int = variable("FORTUNES_WORKERS", 10, "Model calls in flight at once", ge=1, le=512)
    users_per_call: int = variable(
        "FORTUNES_USERS_PER_CALL", 1, "Users that share one model call", ge=1, le=20
    )
    max_failed_share: float = variable(
        "FORTUNES_MAX_FAILED_SHARE",
        0.05,
        "Share of a day's users whose answers may be useless before no more are asked",
        ge=0,
        le=1,
    )
    days_per_backfill_run: int = variable(
        "FORTUNES_DAYS_PER_BACKFILL_RUN",
        1,
        "Days that one run of a backfill makes; 0 makes all of them in one run",
        ge=0,
    )

    _cron = field_validator("cron_schedule")(readable_cron)
