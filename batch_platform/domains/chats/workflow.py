"""The chats domain's steps in plain Python: each reads like the sentence that describes it.

Gateways, settings and the clock are handed in; neither Dagster nor SQL is known here. Extraction
and what a report or a mail looks like have files of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_platform.core.chunks import Chunk
from batch_platform.core.days import Clock
from batch_platform.core.errors import ConfigurationError, NoDataError, PermanentError
from batch_platform.core.progress import ProgressReport
from batch_platform.core.settings import ChatsSettings, Settings
from batch_platform.domains.chats.logic import (
    final_category,
    text_for_model,
    too_many_quarantined,
    usable_categories,
)
from batch_platform.domains.chats.models import Category, Question
from batch_platform.domains.chats.prompts import QuestionAnswer, classification_task
from batch_platform.domains.chats.report import ReportFile, report_file_name, write_report
from batch_platform.domains.chats.report_store import ChatReportSource
from batch_platform.domains.chats.store import (
    CLASSIFICATION_SCHEMA,
    QUESTION_SCHEMA,
    ChatStore,
    DayCounts,
)
from batch_platform.gateways.llm import Answered, AskSummary, BulkLlm, Item, Progress
from batch_platform.gateways.llm.asked_chunks import ChunkAsk
from batch_platform.gateways.llm.discarded import discarded_items
from batch_platform.gateways.platform_db import PlatformDb, Spool
from batch_platform.gateways.source_db import SourceDatabase

_ASKED_SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("text", pa.string()),
        ("query_count", pa.int64()),
        ("asked_at", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True)
class ClassificationOutcome:
    """What became of a day's questions: counts, and what asking took.

    Attributes:
        imported: Questions that an old system classified: not asked, and not among the others.
    """

    classified: int
    quarantined: int
    rows: int
    asking: AskSummary
    imported: int = 0


@dataclass(frozen=True)
class CategoryChoice:
    """The categories that a model may choose from, and the one for what fits none."""

    offered: Sequence[Category]
    default: Category

    def by_name(self) -> Mapping[str, Category]:
        """Categories under their unique names."""
        return {category.name: category for category in self.offered}


def read_categories(source: SourceDatabase, chats: ChatsSettings) -> CategoryChoice:
    """Read the source's category table.

    Raises:
        ConfigurationError: The table is unknown, empty or contradicts the settings.
    """
    offered = usable_categories(
        all_categories(source, chats),
        default_id=chats.default_category_id,
        excluded_ids=chats.exclude_category_ids,
        table=chats.table_categories,
    )
    default = next(
        category for category in offered if category.category_id == chats.default_category_id
    )
    return CategoryChoice(offered, default)


def all_categories(source: SourceDatabase, chats: ChatsSettings) -> list[Category]:
    """Every row of the source's category table, those that are never offered among them.

    Raises:
        ConfigurationError: The table is unknown, or a row has no number or name.
    """
    rows = source.read_all(
        chats.table_categories,
        {"category_id": chats.column_category_id, "name": chats.column_category_name},
    )
    return [_category(row, chats.table_categories) for row in rows]


def _category(row: Mapping[str, Any], table: str) -> Category:
    try:
        category = Category(int(row["category_id"]), str(row["name"] or ""))
    except (TypeError, ValueError):
        category = None
    if category is None or not category.name.strip():
        raise ConfigurationError(
            f"{table} has a category without a number or a name", "Correct or delete that row"
        )
    return category


def classify_day(
    day: date,
    *,
    db: PlatformDb,
    source: SourceDatabase,
    llm: BulkLlm,
    settings: Settings,
    progress: ProgressReport,
    retry_quarantined: bool = False,
    replaces_imported: bool = False,
    asked_before: AskSummary | None = None,
) -> ClassificationOutcome:
    """Ask the model about every distinct question of a day and replace the day's classifications.

    Only what the ledger does not hold is asked. Nothing is written unless the whole day is there.
    What an old system classified is kept and not asked, unless `replaces_imported`.
    `asked_before` is what chunks of the day took that this run had asked ahead: what they asked in
    vain is not asked again.

    Raises:
        NoDataError: The day was never read from the source.
        PermanentError: More questions than allowed had to be set aside, those that a person gave
            up not counted; the rest is not asked.
    """
    _counts_of_read_day(day, db)
    store = ChatStore(db)
    chats = settings.chats
    choice = read_categories(source, chats)
    task = classification_task(choice.offered, choice.default, chats.questions_per_call)
    with Spool(_ASKED_SCHEMA) as asked, _DayRows(day, choice, settings.is_made_up, llm) as rows:
        imported = frozenset[str]() if replaces_imported else store.imported_questions(day)
        for question in store.questions(day):
            if question.question_id not in imported:
                asked.add(asdict(question))
        waiting: dict[str, Question] = {}
        given_up, undecided = discarded_items(db, task.name, day.isoformat()), 0
        ask = llm.ask(
            task,
            _items(asked, waiting),
            workers=chats.parallel_workers if chats.parallel_enabled else 1,
            partition=day.isoformat(),
            on_progress=lambda state: progress(state.done, asked.rows, _note(state)),
            asks_quarantined_again=retry_quarantined and asked_before is None,
        )
        for outcome in ask:
            question = waiting.pop(outcome.item.id)
            if isinstance(outcome, Answered):
                rows.add_classified(question, outcome.answer)
            else:
                rows.add_quarantined(question, outcome.reason)
                undecided += question.question_id not in given_up
                # At once: a model that answers nothing rightly is not paid for the whole day.
                _require_few(undecided, asked.rows, day, chats.quarantine_share)
        with db.replacing("chats/classifications", day.isoformat()) as transaction:
            day_rows = store.replace_classifications(
                transaction,
                day,
                rows.questions.batches(),
                rows.classifications.batches(),
                keeps_imported=not replaces_imported,
            )
        if asked_before is not None:
            ask.summary.add_earlier(asked_before)
        return ClassificationOutcome(
            rows.classified,
            rows.quarantined,
            day_rows,
            ask.summary,
            len(imported),
        )


def questions_to_ask(day: date, *, db: PlatformDb) -> int:
    """How many distinct questions of a day are to be classified, at most."""
    return _counts_of_read_day(day, db).question_count


def ask_about_chunk(
    chunk: Chunk,
    *,
    db: PlatformDb,
    source: SourceDatabase,
    llm: BulkLlm,
    settings: Settings,
    progress: ProgressReport,
    retry_quarantined: bool,
    replaces_imported: bool,
) -> ChunkAsk:
    """Prepare to ask about a day's questions of one chunk, as `classify_day` would.

    Raises:
        NoDataError: The day was never read from the source.
    """
    total = questions_to_ask(chunk.day, db=db) // chunk.count
    chats = settings.chats
    choice = read_categories(source, chats)
    task = classification_task(choice.offered, choice.default, chats.questions_per_call)
    ask = llm.ask(
        task,
        _items_of(chunk, ChatStore(db), replaces_imported=replaces_imported),
        workers=chats.parallel_workers if chats.parallel_enabled else 1,
        partition=chunk.day.isoformat(),
        on_progress=lambda state: progress(state.done, total, _note(state)),
        asks_quarantined_again=retry_quarantined,
    )
    share = chats.quarantine_share
    discarded = discarded_items(db, task.name, chunk.day.isoformat())
    given_up = sum(map(chunk.holds, discarded))
    return ChunkAsk(ask, lambda aside: too_many_quarantined(aside - given_up, total, share))


def _items_of(chunk: Chunk, store: ChatStore, *, replaces_imported: bool) -> Iterator[Item]:
    imported = frozenset[str]() if replaces_imported else store.imported_questions(chunk.day)
    with Spool(_ASKED_SCHEMA) as asked:
        for question in store.questions(chunk.day):
            if question.question_id not in imported and chunk.holds(question.question_id):
                asked.add(asdict(question))
        yield from _items(asked, None)


def _require_few(quarantined: int, total: int, day: date, allowed_share: float) -> None:
    if too_many_quarantined(quarantined, total, allowed_share):
        raise PermanentError(
            f"{quarantined:,} of {total:,} questions of {day} could not be classified;"
            f" CHATS_MAX_QUARANTINE_SHARE allows {allowed_share:.0%}, so no more were asked",
            "See batch-platform quarantine list: give up what deserves it, then run the day again;"
            " --retry-quarantined asks these alone again",
        )


class _DayRows:
    """The two tables' rows of a day as answers arrive; on disk until the day is complete."""

    def __init__(self, day: date, choice: CategoryChoice, is_made_up: bool, llm: BulkLlm) -> None:
        self.questions = Spool(QUESTION_SCHEMA)
        self.classifications = Spool(CLASSIFICATION_SCHEMA)
        self.classified = 0
        self.quarantined = 0
        self._day = day
        self._choice = choice
        self._categories = choice.by_name()
        self._is_made_up = is_made_up
        self._model = llm.model

    def __enter__(self) -> "_DayRows":
        return self

    def __exit__(self, *_error: object) -> None:
        self.questions.close()
        self.classifications.close()

    def add_classified(self, question: Question, answer: QuestionAnswer) -> None:
        chosen = [
            (chosen.keyword, self._categories[name])
            for chosen in answer.chosen()
            for name in chosen.categories
        ]
        final = final_category([category for _, category in chosen], self._choice.default)
        for keyword, category in dict.fromkeys(chosen):
            self.classifications.add(
                {
                    **self._common(question),
                    "keyword": keyword,
                    "category_id": category.category_id,
                    "category_name": category.name,
                    "model": self._model,
                }
            )
        self.classified += 1
        self.questions.add(
            {
                **self._common(question),
                "state": "classified",
                "final_category_id": final.category_id,
                "final_category": final.name,
                "reason": None,
            }
        )

    def add_quarantined(self, question: Question, reason: str) -> None:
        self.quarantined += 1
        self.questions.add(
            {
                **self._common(question),
                "state": "quarantined",
                "final_category_id": None,
                "final_category": None,
                "reason": reason,
            }
        )

    def _common(self, question: Question) -> dict[str, Any]:
        return {
            "chat_date": self._day,
            "question_id": question.question_id,
            "question": question.text,
            "query_count": question.query_count,
            "asked_at": question.asked_at,
            "is_made_up": self._is_made_up,
        }


def _items(asked: Spool, waiting: dict[str, Question] | None) -> Iterator[Item]:
    """Hand out the day's questions; `waiting` holds those that are out, so memory stays flat."""
    for batch in asked.batches():
        for row in batch.to_pylist():
            question = Question(**row)
            if waiting is not None:
                waiting[question.question_id] = question
            yield Item(question.question_id, text_for_model(question.text))


def _note(state: Progress) -> str:
    return f"· {state.cost_krw:,.0f} won"


def publish_day(
    day: date, *, db: PlatformDb, source: SourceDatabase, settings: Settings, clock: Clock
) -> int:
    """Put a day's classifications in place of that day's rows in the source's keyword table.

    Returns:
        How many rows were written, in the shape that the old system's application reads.

    Raises:
        NoDataError: The day is not classified here: what the old system wrote for it stays.
    """
    _require_classified(day, db)
    chats, zone = settings.chats, settings.platform.zone
    published_at = clock().astimezone(zone).replace(tzinfo=None, microsecond=0)
    rows = (
        {
            chats.column_query_text: question,
            chats.column_keyword: keyword,
            chats.column_category_id: category_id,
            chats.column_query_count: query_count,
            chats.column_created_at: asked_at.astimezone(zone).replace(tzinfo=None),
            chats.column_batch_created_at: published_at,
        }
        for question, keyword, category_id, query_count, asked_at in ChatStore(db).publishable(day)
    )
    return source.replace_day(chats.table_keywords, chats.column_created_at, day, rows)


def write_period_report(
    start: date,
    end: date,
    *,
    db: PlatformDb,
    settings: Settings,
    clock: Clock,
    output: Path | None = None,
) -> ReportFile:
    """Write the workbook of a period into the report folder, or to `output`.

    Raises:
        NoDataError: Nothing of the period was classified; no file is touched.
        ConfigurationError: The folder cannot be written.
        RetryableError: The disk is full; an older file of that name is still whole.
    """
    content = ChatReportSource(
        db,
        start,
        end,
        default_category_id=settings.chats.default_category_id,
        generated_at=clock(),
    )
    return write_report(
        output or settings.chats_report_folder / report_file_name(start, end),
        content,
        zone=settings.platform.zone,
        org_name=settings.platform.org_name,
        setting="--output" if output else "CHATS_REPORT_FOLDER",
    )


def has_chats(day: date, db: PlatformDb) -> bool:
    """Tell whether the day was read from the source and held chats that can be classified.

    Raises:
        NoDataError: The day was never read.
    """
    return _counts_of_read_day(day, db).question_count > 0


def _require_classified(day: date, db: PlatformDb) -> None:
    missing = _counts_of_read_day(day, db).missing_count
    if missing > 0:
        raise NoDataError(
            f"{missing:,} questions of {day} are not classified yet",
            "Materialize classifications first",
        )


def _counts_of_read_day(day: date, db: PlatformDb) -> DayCounts:
    (counts,) = ChatStore(db).day_counts(day, day)
    if not counts.is_extracted:
        raise NoDataError(
            f"The chats of {day} were not read yet",
            f"Materialize raw_chats first: batch-platform chats batch -d {day}",
        )
    return counts
