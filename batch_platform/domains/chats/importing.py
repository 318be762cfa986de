"""What the old job classified, brought in: its table `admin_chat_keywords` or its Excel reports.

A question of a day that the old job classified keeps its keywords and categories and is not asked
about again; what it left out stays to be asked. Nothing is asked here, and what is brought in says
that it was imported: it is no answer of the platform's model and stands in no ledger.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from batch_platform.core.days import Clock, today
from batch_platform.core.hashing import text_id
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import ChatsSettings, Settings
from batch_platform.domains.chats.dry_run import day_texts
from batch_platform.domains.chats.extraction import extract_day
from batch_platform.domains.chats.import_store import (
    IMPORTED_CLASSIFICATION_SCHEMA,
    IMPORTED_QUESTION_SCHEMA,
    add_imported,
    questions_here,
)
from batch_platform.domains.chats.logic import final_category, is_blank
from batch_platform.domains.chats.models import Category, Question
from batch_platform.domains.chats.store import ChatStore
from batch_platform.domains.chats.workflow import all_categories, read_categories
from batch_platform.gateways.import_book import (
    WRITTEN,
    BadRow,
    ImportedPartition,
    ImportPlan,
    PlannedPartition,
    note_imported,
    require_days_from,
)
from batch_platform.gateways.platform_db import PlatformDb, Spool
from batch_platform.gateways.sent_mails import note_sent_elsewhere
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.gateways.table_files import FoundRow, as_text, as_time, as_whole, table_rows

SYSTEM = "chats"
REPORT_SHEET = "채팅키워드분류"
"""The old report's sheet that holds the classifications."""

ASSET = WRITTEN[SYSTEM]
_RAW = "chats/raw_chats"
_MAIL = "chats/report_mail"
_REPORT_DAY = re.compile(r"_(\d{4}-?\d{2}-?\d{2})$")
_TOLD_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class ChatImportOptions:
    """How old classifications are brought in.

    Attributes:
        model: The model that the old job asked; empty when nobody said.
        was_mailed: Whether the old job mailed these days' reports: then ours are not sent.
    """

    model: str = ""
    was_mailed: bool = True

    @property
    def written_by(self) -> str:
        """What stands in the column `model`."""
        return f"imported: {self.model}" if self.model else "imported"


@dataclass(slots=True)
class _OldQuestion:
    """A question as the old job wrote it: keywords with their categories, in its order."""

    places: list[str] = field(default_factory=list[str])
    chosen: list[tuple[str, Category]] = field(default_factory=list[tuple[str, Category]])


class ChatImport:
    """Brings old classifications in; see `import_book.Importer`.

    Args:
        rows: Of the old table or reports.
        db: The platform's database.
        source: The chat service's: its chats say what was to be done, its categories what counts.
        settings: The chats' settings.
        clock: The time.
        wanted: Tells whether a day is wanted.
        options: How.
    """

    def __init__(
        self,
        rows: Iterable[FoundRow],
        *,
        db: PlatformDb,
        source: SourceDatabase,
        settings: Settings,
        clock: Clock,
        wanted: Callable[[date], bool] = lambda _: True,
        options: ChatImportOptions | None = None,
    ) -> None:
        self._rows = rows
        self._db = db
        self._source = source
        self._settings = settings
        self._clock = clock
        self._wanted = wanted
        self._options = options or ChatImportOptions()
        self._days: dict[date, dict[str, _OldQuestion]] = {}
        self._choice = read_categories(source, settings.chats)

    def plan(self, progress: ProgressReport = unheard) -> ImportPlan:
        """Read everything and compare it with the days' chats.

        Raises:
            PermanentError: Days are before the first one that can be classified.
        """
        plan = ImportPlan()
        reader = _Reader(self._settings, all_categories(self._source, self._settings.chats))
        for number, row in enumerate(self._rows, 1):
            if number % _TOLD_EVERY == 0:
                progress(number, None)
            self._read(reader, row, plan)
        require_days_from(self._settings.chats.first_day, self._days, "CHATS_FIRST_DAY")
        for day in sorted(self._days):
            plan.partitions.append(self._planned(day, plan))
        return plan

    def write(self, partition: str, import_id: int, holder: str) -> Sequence[ImportedPartition]:
        """Write a day's questions that are not here yet; its chats are read if they were not."""
        day = date.fromisoformat(partition)
        store = ChatStore(self._db)
        with (
            self._db.hold(_RAW, partition, holder=holder),
            self._db.hold(ASSET, partition, holder=holder),
            Spool(IMPORTED_QUESTION_SCHEMA) as questions,
            Spool(IMPORTED_CLASSIFICATION_SCHEMA) as rows,
        ):
            (before,) = store.day_counts(day, day)
            if not before.is_extracted:
                extract_day(day, source=self._source, db=self._db, settings=self._settings)
            here = questions_here(self._db, day)
            asked = {each.question_id: each for each in store.questions(day)}
            left = len(asked.keys() - here)
            for question, old in self._matched(day, asked.values()):
                if question.question_id not in here:
                    self._add(day, question, old, import_id, questions, rows)
            left -= questions.rows
            with self._db.replacing(ASSET, partition) as transaction:
                add_imported(transaction, day, questions.batches(), rows.batches())
                written = self._written(partition, before.landed_rows, rows.rows, left == 0)
                note_imported(transaction.connection, import_id, written)
                if self._options.was_mailed and left == 0:
                    note_sent_elsewhere(
                        transaction.connection, _MAIL, partition, import_id, self._clock()
                    )
        return written

    def _written(
        self, partition: str, landed_before: int | None, rows: int, is_complete: bool
    ) -> list[ImportedPartition]:
        written = [ImportedPartition(ASSET, partition, rows, is_complete)]
        if landed_before is None:
            (counts,) = ChatStore(self._db).day_counts(
                date.fromisoformat(partition), date.fromisoformat(partition)
            )
            written.append(ImportedPartition(_RAW, partition, counts.landed_rows or 0))
        if is_complete and self._options.was_mailed:
            written.append(ImportedPartition(_MAIL, partition, 0))
        return written

    def _read(self, reader: "_Reader", row: FoundRow, plan: ImportPlan) -> None:
        if row.problem:
            plan.bad_rows.append(BadRow(row.place, row.problem))
            return
        try:
            day = reader.day(row)
        except ValueError as error:
            plan.bad_rows.append(BadRow(row.place, str(error)))
            return
        if not self._wanted(day):
            return
        if day >= today(self._clock, self._settings.platform.zone):
            plan.undone["아직 끝나지 않은 날의 행"] = (
                plan.undone.get("아직 끝나지 않은 날의 행", 0) + 1
            )
            return
        try:
            question, keyword, category = reader.classification(row)
        except ValueError as error:
            plan.bad_rows.append(BadRow(row.place, str(error), day.isoformat()))
            return
        old = self._days.setdefault(day, {}).setdefault(question, _OldQuestion())
        old.places.append(row.place)
        old.chosen.append((keyword, category))

    def _planned(self, day: date, plan: ImportPlan) -> PlannedPartition:
        store = ChatStore(self._db)
        (counts,) = store.day_counts(day, day)
        if counts.is_extracted:
            asked = list(store.questions(day))
        else:
            asked = list(_questions_in_source(day, self._source, self._settings))
        partition = day.isoformat()
        if not asked:
            plan.bad_rows.append(
                BadRow(
                    next(iter(self._days[day].values())).places[0],
                    "원본에 그날의 채팅이 없어 맞춰 볼 수 없습니다",
                    partition,
                )
            )
            return PlannedPartition(partition, 0)
        matched = {question.question_id for question, _ in self._matched(day, asked, plan)}
        here = questions_here(self._db, day)
        new = matched - here
        left = len({each.question_id for each in asked} - here - new)
        note = f"{left:,}개는 분류된 적이 없어 남습니다" if left else ""
        return PlannedPartition(partition, len(new), len(matched & here), left, note)

    def _matched(
        self, day: date, asked: Iterable[Question], plan: ImportPlan | None = None
    ) -> Iterator[tuple[Question, _OldQuestion]]:
        """The old questions with the day's; one that nobody asked that day is a bad row."""
        old = self._days[day]
        unmatched = set(old)
        loosely = {_loosely(text): text for text in old}
        for question in asked:
            found = question.text if question.text in old else loosely.get(_loosely(question.text))
            if found is not None:
                unmatched.discard(found)
                yield question, old[found]
        if plan is not None:
            plan.bad_rows += [
                BadRow(old[text].places[0], "그날의 채팅에 없는 질문입니다", day.isoformat())
                for text in sorted(unmatched, key=lambda text: old[text].places[0])
            ]

    def _add(
        self,
        day: date,
        question: Question,
        old: _OldQuestion,
        import_id: int,
        questions: Spool,
        rows: Spool,
    ) -> None:
        common = {
            "chat_date": day,
            "question_id": question.question_id,
            "question": question.text,
            "query_count": question.query_count,
            "asked_at": question.asked_at,
            "is_made_up": self._settings.is_made_up,
            "import_id": import_id,
        }
        for keyword, category in dict.fromkeys(old.chosen):
            rows.add(
                {
                    **common,
                    "keyword": keyword,
                    "category_id": category.category_id,
                    "category_name": category.name,
                    "model": self._options.written_by,
                }
            )
        final = final_category([category for _, category in old.chosen], self._choice.default)
        questions.add(
            {
                **common,
                "state": "classified",
                "final_category_id": final.category_id,
                "final_category": final.name,
                "reason": None,
            }
        )


class _Reader:
    """Reads a row in the shape of the old table or of the old report's sheet."""

    def __init__(self, settings: Settings, categories: Sequence[Category]) -> None:
        self._names = settings.chats
        self._zone = settings.platform.zone
        self._by_id = {category.category_id: category for category in categories}
        self._by_name = {category.name: category for category in categories}

    def day(self, row: FoundRow) -> date:
        """The day of the chats: a day's report says it in its name, else the row in its time."""
        named = _REPORT_DAY.search(row.place.rpartition(":")[0].removesuffix(".xlsx"))
        if named and "질문내용" in row.values:
            return date.fromisoformat(named.group(1))
        said = self._value(row, self._names.column_created_at, "생성일시")
        return as_time(said, self._zone).astimezone(self._zone).date()

    def classification(self, row: FoundRow) -> tuple[str, str, Category]:
        """The question, a keyword, and its category.

        Raises:
            ValueError: Something of it is missing or unknown; says so in a Korean sentence.
        """
        question = as_text(self._value(row, self._names.column_query_text, "질문내용"))
        keyword = as_text(self._value(row, self._names.column_keyword, "키워드")).strip()
        if is_blank(question):
            raise ValueError("질문이 비어 있습니다")
        if not keyword:
            raise ValueError("키워드가 비어 있습니다")
        return question, keyword, self._category(row)

    def _category(self, row: FoundRow) -> Category:
        if self._names.column_category_id in row.values:
            said = row.values[self._names.column_category_id]
            found = self._by_id.get(as_whole(said))
        else:
            said = as_text(self._value(row, self._names.column_category_name, "카테고리")).strip()
            found = self._by_name.get(said)
        if found is None:
            raise ValueError(f"카테고리 표에 없는 카테고리입니다: {as_text(said)[:40]}")
        return found

    def _value(self, row: FoundRow, *names: str) -> object:
        for name in names:
            if name in row.values:
                return row.values[name]
        raise ValueError(f"{names[0]} 열이 없습니다")


def source_rows(source: SourceDatabase, chats: ChatsSettings) -> Iterator[FoundRow]:
    """Rows of the old job's own table, in the chat service's database."""
    columns = (
        *(chats.column_query_text, chats.column_keyword),
        *(chats.column_category_id, chats.column_created_at),
    )
    return table_rows(source, chats.table_keywords, {name: name for name in columns})


def _questions_in_source(
    day: date, source: SourceDatabase, settings: Settings
) -> Iterator[Question]:
    """The day's distinct texts in the source, for a plan of a day that was not read yet."""
    seen: set[str] = set()
    for text, asked_at in day_texts(day, source, settings.chats):
        question_id = text_id(text)
        if not is_blank(text) and question_id not in seen:
            seen.add(question_id)
            yield Question(question_id, text, 1, asked_at)


def _loosely(text: str) -> str:
    """A text as Excel and old columns keep it: line ends and white space differ."""
    return " ".join(text.replace("_x000D_", " ").split())
