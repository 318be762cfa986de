"""The chats domain's rows and values. No behaviour beyond what a value knows of itself.

Tables are in `migrations/versions/0003_chats.py`; the old system's shapes are the source database's
`chattings`, `admin_chat_keywords` and `admin_categories`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path


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


@dataclass(frozen=True, slots=True)
class MissingDay:
    """A day that is not whole here, and why.

    Attributes:
        source_rows: Chats of the day in the source.
        landed_rows: Chats of the day here; None when the day was never fetched.
        missing_questions: Questions without a classification; None when nobody can know.
        reason: In Korean.
    """

    chat_date: date
    source_rows: int
    landed_rows: int | None
    missing_questions: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class KeptArchive:
    """A month's archive as it stands.

    Attributes:
        path: The file; None when it is not there.
        workbooks: How many are in it.
        lacking: How many of the month's belong into it and are not there.
    """

    path: Path | None
    workbooks: int
    lacking: int


@dataclass(frozen=True, slots=True)
class PeriodReview:
    """What a look back at a week or a month found.

    Attributes:
        start: The period's first day.
        end: Its last day.
        day_count: Its days that can be classified at all.
        days_with_chats: Days of which chats were fetched.
        chat_count: Chats that were fetched.
        question_count: Distinct questions of each day, added up.
        classified_count: Of these, with a classification.
        quarantined_count: Of these, set aside.
        missing: Days that are not whole, in order.
        archive: Of a month; None of a week.
        is_made_up: Whether it was fed by the sandbox.
    """

    start: date
    end: date
    day_count: int
    days_with_chats: int
    chat_count: int
    question_count: int
    classified_count: int
    quarantined_count: int
    missing: tuple[MissingDay, ...]
    archive: KeptArchive | None
    is_made_up: bool

    @property
    def missing_questions(self) -> int:
        """Questions without a classification, of the days that were fetched."""
        return sum(day.missing_questions or 0 for day in self.missing)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing and not (self.archive and self.archive.lacking)
