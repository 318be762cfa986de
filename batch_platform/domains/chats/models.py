"""The chats domain's rows and values. No behaviour beyond what a value knows of itself.

Tables are in `migrations/versions/0003_chats.py`; the old system's shapes are the source database's
`chattings`, `admin_chat_keywords` and `admin_categories`.
"""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Category:
    """A row of the source's category table; another organisation has other ones."""

    category_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """What became of one day's chats on their way from the source.

    Attributes:
        source_rows: Rows of the day in the source, counted by the source.
        landed_rows: Rows that landed; equal to `source_rows` or the extraction failed.
        blank_rows: Landed rows whose text is empty or white space: never asked.
        mended_rows: Landed rows whose text held NUL characters, which PostgreSQL cannot store.
        undated_rows: Rows of the source, of any day, whose time is a zero date or missing: they
            belong to no day and land nowhere.
        warnings: What the source cannot hold, one sentence each (a table in `utf8` has lost its
            emoji).
    """

    chat_date: date
    source_rows: int
    landed_rows: int
    blank_rows: int
    mended_rows: int
    undated_rows: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One distinct text of a day with how often it was asked.

    Attributes:
        question_id: First 32 hexadecimal digits of the text's SHA-256.
        asked_at: When it was asked first that day (UTC).
    """

    question_id: str
    text: str
    query_count: int
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class ClassificationRow:
    """One (question, keyword, category) of a day: a line of report and source's table."""

    chat_date: date
    question: str
    keyword: str
    category_id: int
    category_name: str
    query_count: int
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class CategoryTotal:
    """A final category over a report's days."""

    category_name: str
    question_count: int
    query_count: int


@dataclass(frozen=True, slots=True)
class DayTotal:
    """One day of a report.

    Attributes:
        chat_count: Chats that landed, blanks among them.
        question_count: Distinct questions.
        classified_count: Distinct questions with a classification.
        quarantined_count: Distinct questions that were set aside.
        unclassified_count: Distinct questions whose final category is the default one (기타).
    """

    chat_date: date
    chat_count: int
    blank_count: int
    question_count: int
    classified_count: int
    quarantined_count: int
    unclassified_count: int


@dataclass(frozen=True, slots=True)
class KeywordTotal:
    """A keyword over a report's days: distinct questions that carry it, times they were asked."""

    keyword: str
    question_count: int
    query_count: int


@dataclass(frozen=True, slots=True)
class QuestionTotal:
    """A question over a report's days with its final category."""

    question: str
    category_name: str
    query_count: int


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """The figures a manager reads first.

    Attributes:
        previous_chat_count: Chats of the period of the same length just before; None when unknown.
        classification_rows: Lines of the report's first sheet.
        cost_krw: What the period's model calls cost when they were made, in won.
        is_made_up: Whether any row comes of the sandbox.
    """

    start: date
    end: date
    chat_count: int
    blank_count: int
    question_count: int
    classified_count: int
    quarantined_count: int
    unclassified_count: int
    keyword_count: int
    classification_rows: int
    previous_chat_count: int | None
    model: str
    cost_krw: float
    is_made_up: bool
    generated_at: datetime
