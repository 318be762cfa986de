"""Emotions: where posts come from, which provider analyses them, and how much at a time."""

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from batch_platform.core.settings.section import Section, variable


class EmotionsSettings(Section):
    """Emotions: where posts come from, which provider analyses them, and how much at a time."""

    source: SecretStr | None = variable(
        "EMOTIONS_SOURCE",
        None,
        "Posts: a CSV or Excel file, or a SQLAlchemy URL; without it the domain is switched off",
    )
    table: str | None = variable(
        "EMOTIONS_TABLE", None, "Table (posts by default) or Excel sheet (the first by default)"
    )
    column_post_id: str = variable("EMOTIONS_COLUMN_POST_ID", "post_id", "Post's key")
    column_comment_id: str | None = variable(
        "EMOTIONS_COLUMN_COMMENT_ID", "comment_id", "Comment's key; empty or absent for a post"
    )
    column_kind: str = variable("EMOTIONS_COLUMN_KIND", "구분", "Post or comment; may be absent")
    column_title: str = variable("EMOTIONS_COLUMN_TITLE", "title", "Title; may be absent")
    column_content: str = variable("EMOTIONS_COLUMN_CONTENT", "content", "Text of the post")
    column_depth: str = variable(
        "EMOTIONS_COLUMN_DEPTH", "depth", "How deep a comment stands; may be absent"
    )
    column_views: str = variable("EMOTIONS_COLUMN_VIEWS", "views", "Views; may be absent")
    column_likes: str = variable("EMOTIONS_COLUMN_LIKES", "likes", "Likes; may be absent")
    column_date: str | None = variable(
        "EMOTIONS_COLUMN_DATE",
        None,
        "Day or time of a post; without it all posts belong to the day they are read for",
    )
    first_day: date = variable(
        "EMOTIONS_FIRST_DAY", date(2015, 1, 1), "First day whose posts can be read"
    )

    provider: Literal["gemini", "openai"] | None = variable(
        "EMOTIONS_PROVIDER",
        None,
        "Whose batches; otherwise the one whose key is set, in this order",
    )
    model: str | None = variable(
        "EMOTIONS_MODEL", None, "Model; GEMINI_MODEL or OPENAI_MODEL by default"
    )
    max_batch_size: int = variable(
        "EMOTIONS_MAX_BATCH_SIZE", 10_000, "Most requests of one provider job", ge=1
    )
    max_file_size_mb: float = variable(
        "EMOTIONS_MAX_FILE_SIZE_MB",
        2000,
        "Largest request file; the provider's own limit counts too",
        gt=0,
    )
    poll_interval_seconds: float = variable(
        "EMOTIONS_POLL_INTERVAL_SECONDS",
        300,
        "How often a job is asked after in its first hour; later half and a quarter as often",
        gt=0,
    )
    max_wait_hours: float = variable(
        "EMOTIONS_MAX_WAIT_HOURS", 26, "When a job is cancelled and the rest asked again", gt=0
    )
    max_rounds: int = variable(
        "EMOTIONS_MAX_ROUNDS", 3, "How often failed and expired lines are asked in all", ge=1, le=10
    )
    cost_savings_percentage: float = variable(
        "EMOTIONS_COST_SAVINGS_PERCENTAGE",
        50,
        "How much cheaper a batch is than the direct price",
        ge=0,
        le=100,
    )
    skip_days: int = variable(
        "EMOTIONS_SKIP_DAYS",
        30,
        "Days for which a post that the same model analysed is left out",
        ge=0,
    )
    confidence_level: float = variable(
        "EMOTIONS_CONFIDENCE_LEVEL", 0.95, "Confidence level of the sample", gt=0, lt=1
    )
    margin_of_error: float = variable(
        "EMOTIONS_MARGIN_OF_ERROR", 0.05, "Margin of error of the sample, of a share", gt=0, lt=1
    )
    seed: int = variable("EMOTIONS_SEED", 42, "Seed of samples: the same posts for the same seed")
    workers: int = variable(
        "EMOTIONS_WORKERS", 16, "Model calls in flight at once with --direct", ge=1, le=512
    )
    max_quarantine_share: float = variable(
        "EMOTIONS_MAX_QUARANTINE_SHARE",
        0.05,
        "Share of a batch's posts that may be set aside before a check warns",
        ge=0,
        le=1,
    )
    folder: Path | None = variable(
        "EMOTIONS_FOLDER", None, "Folder of CSV and Parquet results; reports/emotions by default"
    )
