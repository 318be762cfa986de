"""The chat service's database and how its questions are classified."""

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import SecretStr, field_validator
from pydantic_settings import NoDecode

from batch_platform.core.settings.section import (
    Section,
    readable_cron,
    split_commas,
    variable,
)


class ChatsSettings(Section):
    """The chat service's database and how its questions are classified."""

    engine: SecretStr | None = variable(
        "ENGINE_FOR_SQLALCHEMY",
        None,
        "SQLAlchemy URL of the chat database, e.g. mysql+pymysql://user:password@host/db",
    )
    table_chattings: str = variable("DB_TABLE_CHATTINGS", "chattings", "Table of chats")
    table_keywords: str = variable(
        "DB_TABLE_CHAT_KEYWORDS", "admin_chat_keywords", "Table that classifications go back to"
    )
    table_categories: str = variable("DB_TABLE_CATEGORIES", "admin_categories", "Categories")
    column_chatting_pk: str = variable("DB_COLUMN_CHATTING_PK", "chatting_pk", "Chat's key")
    column_input_text: str = variable("DB_COLUMN_INPUT_TEXT", "input_text", "Chat's text")
    column_created_at: str = variable(
        "DB_COLUMN_CREATED_AT", "created_at", "Local time of a row, without a zone"
    )
    column_query_text: str = variable("DB_COLUMN_QUERY_TEXT", "query_text", "Question")
    column_keyword: str = variable("DB_COLUMN_KEYWORD", "keyword", "Keyword")
    column_category_id: str = variable("DB_COLUMN_CATEGORY_ID", "category_id", "Category's id")
    column_category_name: str = variable(
        "DB_COLUMN_CATEGORY_NAME", "category_name", "Category's name"
    )
    column_query_count: str = variable("DB_COLUMN_QUERY_COUNT", "query_count", "Times asked")
    column_batch_created_at: str = variable(
        "DB_COLUMN_BATCH_CREATED_AT", "batch_created_at", "Time of the classification"
    )
    default_category_id: int = variable(
        "BATCH_DEFAULT_CATEGORY_ID", 11, "Category of what fits none (기타)"
    )
    exclude_category_ids: Annotated[list[int], NoDecode] = variable(
        "BATCH_EXCLUDE_CATEGORY_IDS",
        [],
        "Categories (commas) that the model is never offered",
    )
    questions_per_call: int = variable(
        "CHATS_QUESTIONS_PER_CALL", 10, "Questions that share one model call", ge=1, le=50
    )
    quarantine_share: float = variable(
        "CHATS_MAX_QUARANTINE_SHARE",
        0.02,
        "Share of a day's questions that may be set aside before the day fails",
        ge=0,
        le=1,
    )
    parallel_enabled: bool = variable(
        "PARALLEL_ENABLED", True, "Ask several questions at the same time"
    )
    parallel_workers: int = variable(
        "PARALLEL_WORKERS", 16, "Model calls in flight at once", ge=1, le=512
    )
    parallel_chunk_size: int = variable(
        "PARALLEL_CHUNK_SIZE",
        1000,
        "Of the old job; questions are a stream now, so it is ignored",
        ge=1,
    )
    first_day: date = variable(
        "CHATS_FIRST_DAY", date(2024, 1, 1), "First day that can be classified"
    )
    cron_schedule: str = variable("CRON_SCHEDULE", "0 1 * * *", "When yesterday is classified")
    cron_email: bool = variable(
        "CRON_EMAIL",
        True,
        "Whether the nightly run, and the reviews of weeks and months, are mailed",
    )
    week_cron: str = variable(
        "CHATS_WEEK_CRON", "30 7 * * 1", "When it is looked for what is missing in the last week"
    )
    month_cron: str = variable(
        "CHATS_MONTH_CRON", "30 7 1 * *", "When it is looked for what is missing in the last month"
    )
    report_folder: Path | None = variable(
        "CHATS_REPORT_FOLDER", None, "Folder of the Excel reports; <home>/reports/chats by default"
    )

    _commas = field_validator("exclude_category_ids", mode="before")(split_commas)

    _cron = field_validator("cron_schedule", "week_cron", "month_cron")(readable_cron)
