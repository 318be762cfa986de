"""The fortunes domain's steps in plain Python: each reads like the sentence that describes it.

Gateways, settings and the clock are handed in; neither Dagster nor SQL is known here.
"""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batch_platform.core.chunks import Chunk
from batch_platform.core.days import Clock
from batch_platform.core.errors import (
    BudgetExceededError,
    ConfigurationError,
    NoDataError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import FortunesSettings, Settings
from batch_platform.domains.fortunes.logic import (
    DayReading,
    next_retry,
    read_birth_date,
    read_birth_time,
    read_day,
    read_flag,
    read_gender,
    stem_element,
    too_many_failed,
)
from batch_platform.domains.fortunes.models import (
    Birth,
    EligibleUser,
    Failure,
    FortuneStatus,
    Reading,
    StoredFortune,
)
from batch_platform.domains.fortunes.pillars import day_pillar, natal_chart
from batch_platform.domains.fortunes.prompts import (
    FortuneWords,
    fortune_data,
    fortune_score,
    fortune_task,
    text_for_model,
)
from batch_platform.domains.fortunes.store import (
    CHARTED_SCHEMA,
    FORTUNE_SCHEMA,
    USER_SCHEMA,
    FortuneStore,
    charted_user,
)
from batch_platform.gateways.llm import Answered, AskSummary, BulkLlm, Item, Progress
from batch_platform.gateways.llm.asked_chunks import ChunkAsk
from batch_platform.gateways.platform_db import PlatformDb, Spool
from batch_platform.gateways.source_db import SourceDatabase, SourceRows

_CHARTS_AT_ONCE = 5_000
_PUBLISHED_AT_ONCE = 2_000
OPTIONAL_COLUMNS = ("birth_time", "gender", "time_zone", "name")
"""What else is read of a user, under these names unless a setting says otherwise, where it is."""

RESULT_COLUMNS = (
    *("user_id", "for_date", "gapja_code", "gapja_name", "gapja_element", "fortune_data"),
    *("fortune_score", "status", "created_at", "updated_at"),
)
"""Columns of the app's table of results."""


@dataclass(frozen=True)
class ReadUsers:
    """What came of reading the app's users.

    Attributes:
        missing_columns: Optional columns that the table does not have, a sentence each.
    """

    reading: Reading
    missing_columns: tuple[str, ...]


@dataclass(frozen=True)
class ChartOutcome:
    """Charts of a day's users: all of them, and those computed now."""

    charts: int
    computed: int


@dataclass(frozen=True)
class FortuneOutcome:
    """What became of a day's fortunes.

    Attributes:
        stopped_by: Why not every user was asked about; None when all were.
        imported: Users whose fortune an old system wrote: not asked, and not among the others.
    """

    completed: int
    failed: int
    asking: AskSummary
    stopped_by: PlatformError | None
    imported: int = 0

    def figures(self) -> dict[str, int | float | str]:
        """For a person who looks at the partition."""
        return {
            "completed": self.completed,
            "failed": self.failed,
            "imported": self.imported,
            "answers_from_ledger": self.asking.from_ledger,
            "model_calls": self.asking.calls,
            "cost_krw": round(self.asking.cost_krw, 2),
            "input_tokens": self.asking.input_tokens,
            "output_tokens": self.asking.output_tokens,
            "stopped_by": str(self.stopped_by) if self.stopped_by else "nothing",
        }


@dataclass(frozen=True)
class Published:
    """Rows handed to the app."""

    completed: int
    failed: int


def user_columns(source: SourceDatabase, fortunes: FortunesSettings) -> dict[str, str]:
    """What to read of the app's users: name here → column there, optional ones if they exist.

    Raises:
        ConfigurationError: The table does not exist.
    """
    existing = source.existing_columns(fortunes.table_users)
    columns = {
        "user_id": fortunes.column_user_id,
        "is_active": fortunes.column_is_active,
        "birth_date": fortunes.column_birth_date,
    }
    for name in OPTIONAL_COLUMNS:
        said: str | None = getattr(fortunes, f"column_{name}")
        # A column that a person named must be there; the usual one may be.
        if said is not None or name in existing:
            columns[name] = said or name
    return columns


def read_users(
    day: date, *, db: PlatformDb, source: SourceDatabase, settings: Settings, clock: Clock
) -> ReadUsers:
    """Read the app's users and keep those who get a fortune for a day, without their names.

    Raises:
        ConfigurationError: The table or a column does not exist, or the key's column is no key.
        NoDataError: The table is empty: a source that was lost must not empty a day.
        RetryableError: The app's database does not answer.
    """
    columns = user_columns(source, settings.fortunes)
    with (
        sorted_users(day, source=source, settings=settings) as users,
        Spool(USER_SCHEMA) as spool,
    ):
        for user in users:
            spool.add(_user_row(day, user, settings.is_made_up))
        with db.replacing("fortunes/eligible_users", day.isoformat()) as transaction:
            FortuneStore(db).replace_users(
                transaction,
                users.reading,
                spool.batches(),
                default_zone=settings.platform.timezone,
                is_made_up=settings.is_made_up,
                read_at=clock(),
            )
    return ReadUsers(
        users.reading,
        tuple(
            f"{settings.fortunes.table_users} has no column {name}: it is unknown"
            for name in OPTIONAL_COLUMNS
            if name not in columns
        ),
    )


@contextmanager
def sorted_users(
    day: date, *, source: SourceDatabase, settings: Settings
) -> Generator["SortedUsers", None, None]:
    """Open the app's users for a day, in one snapshot; names are not read.

    Raises:
        ConfigurationError: The table or a column does not exist.
        NoDataError: The table is empty: a source that was lost must not empty a day.
        RetryableError: The app's database does not answer.
    """
    table = settings.fortunes.table_users
    columns = user_columns(source, settings.fortunes)
    columns.pop("name", None)
    with source.open_table(table, columns) as rows:
        if rows.source_rows == 0:
            raise NoDataError(
                f"The table {table} of the fortunes app is empty",
                "Check DATABASE_URL and FORTUNES_TABLE_USERS; nothing was changed here",
            )
        yield SortedUsers(day, rows, settings)


_SORTS: tuple[str, ...] = (
    *("eligible", "inactive", "undated"),
    *("unborn", "unreadable", "unknown_hour"),
)


class SortedUsers:
    """The users who get a fortune, of all rows of the app's table; iterate once.

    Made by `sorted_users`.
    """

    def __init__(self, day: date, rows: SourceRows, settings: Settings) -> None:
        self._day = day
        self._rows = rows
        self._fortunes = settings.fortunes
        self._zone = settings.platform.timezone
        self._counts = dict.fromkeys(_SORTS, 0)
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[EligibleUser]:
        """Yield them in the order in which the app gives them.

        Raises:
            ConfigurationError: The key's column is no key.
        """
        for batch in self._rows.batches():
            for row in batch.to_pylist():
                user = self._eligible(row)
                if user is not None:
                    yield user

    @property
    def reading(self) -> Reading:
        """What was counted; complete after the last user."""
        counts = {f"{name}_rows": count for name, count in self._counts.items()}
        return Reading(for_date=self._day, source_rows=self._rows.source_rows, **counts)

    def _eligible(self, row: Mapping[str, Any]) -> EligibleUser | None:
        user_id = str(row["user_id"])
        if user_id in self._seen:
            raise ConfigurationError(
                f"{self._fortunes.table_users} has two rows with the same"
                f" {self._fortunes.column_user_id}",
                "Name the table's key in FORTUNES_COLUMN_USER_ID",
            )
        self._seen.add(user_id)
        if not read_flag(row["is_active"]):
            return self._left_out("inactive")
        try:
            birth_date = read_birth_date(row["birth_date"])
        except ValueError:
            return self._left_out("unreadable")
        if birth_date is None:
            return self._left_out("undated")
        if birth_date >= self._day:
            return self._left_out("unborn")
        clock = read_birth_time(row.get("birth_time"))
        self._counts["eligible"] += 1
        self._counts["unknown_hour"] += clock is None
        birth = Birth(birth_date, clock, read_gender(row.get("gender")))
        zone = row.get("time_zone")
        return EligibleUser(user_id, birth, zone if zone and _is_zone(zone) else self._zone)

    def _left_out(self, why: str) -> None:
        self._counts[why] += 1


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        ZoneInfo(name)
        return True
    return False


def _user_row(day: date, user: EligibleUser, is_made_up: bool) -> dict[str, Any]:
    return {
        "for_date": day,
        "user_id": user.user_id,
        "birth_date": user.birth.day,
        "birth_time": user.birth.clock,
        "is_male": user.birth.is_male,
        "time_zone": user.time_zone,
        "is_made_up": is_made_up,
    }


def compute_charts(day: date, *, db: PlatformDb, settings: Settings, clock: Clock) -> ChartOutcome:
    """Compute the charts that a day's users lack; those that are there stay.

    Raises:
        NoDataError: The users were never read for that day.
    """
    _require_users(day, db)
    store = FortuneStore(db)
    lacking = list(store.users_without_chart(day))
    charts = ((user, natal_chart(user.birth)) for user in lacking)
    computed = 0
    while part := list(islice(charts, _CHARTS_AT_ONCE)):
        computed += store.put_charts(part, is_made_up=settings.is_made_up, computed_at=clock())
    return ChartOutcome(store.counts(day).charted, computed)


def write_fortunes(
    day: date,
    *,
    db: PlatformDb,
    llm: BulkLlm,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport = unheard,
    user_id: str | None = None,
    retry_failed: bool = False,
    replaces_imported: bool = False,
    asked_before: AskSummary | None = None,
) -> FortuneOutcome:
    """Have the model write about every user's day and replace the day's fortunes, or one user's.

    Every eligible user gets a row: a fortune, or the reason why there is none and from when it is
    tried again. When the model fails for now, what was answered stands and the rest is due at once.
    A fortune that an old system wrote is kept and not asked for, unless `replaces_imported`.
    `asked_before` is what chunks of the day took that this run had asked ahead: what they asked in
    vain is not asked again.

    Raises:
        NoDataError: Users or charts of the day are missing.
        ConfigurationError: The model's key, address or parameters are wrong; nothing is changed.
        RetryableError: The model failed before it answered anything.
        PermanentError: Nothing that it answered could be used.
    """
    store = FortuneStore(db)
    _require_charts(day, db, user_id)
    is_forced = retry_failed or user_id is not None
    with Spool(CHARTED_SCHEMA) as charted, _FortuneRows(day, settings, llm, clock()) as rows:
        imported = frozenset[str]() if replaces_imported else store.imported_users(day)
        kept = 0
        for row in store.charted(day, user_id):
            if row["user_id"] in imported:
                kept += 1
            else:
                charted.add(row)
        asking = _Asking(day, charted, rows, store.failures(day), is_forced=is_forced)
        summary, stopped_by = _ask(
            day, llm, asking, settings, progress, was_asked=asked_before is not None
        )
        if asked_before is not None:
            summary.add_earlier(asked_before)
        with db.replacing("fortunes/daily_fortunes", day.isoformat()) as transaction:
            store.replace_fortunes(
                transaction,
                day,
                rows.spool.batches(),
                user_id,
                keeps_imported=not replaces_imported,
            )
        if stopped_by is not None and not rows.completed:
            raise stopped_by
        return FortuneOutcome(rows.completed, rows.failed, summary, stopped_by, kept)


def users_to_ask(day: date, *, db: PlatformDb) -> int:
    """How many users' fortunes of a day are to be written, at most."""
    return FortuneStore(db).counts(day).charted


def ask_about_chunk(
    chunk: Chunk,
    *,
    db: PlatformDb,
    llm: BulkLlm,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport,
    retry_failed: bool,
    replaces_imported: bool,
) -> ChunkAsk:
    """Prepare to ask about a day's users of one chunk, as `write_fortunes` would.

    Raises:
        NoDataError: Users or charts of the day are missing.
    """
    _require_charts(chunk.day, db, None)
    store = FortuneStore(db)
    total = users_to_ask(chunk.day, db=db) // chunk.count
    imported = frozenset[str]() if replaces_imported else store.imported_users(chunk.day)
    ask = llm.ask(
        fortune_task(settings.fortunes.users_per_call),
        _items_of(chunk, store, clock(), imported, is_forced=retry_failed),
        workers=settings.fortunes.workers,
        partition=chunk.day.isoformat(),
        on_progress=lambda state: progress(state.done, total, _note(state)),
        asks_quarantined_again=True,
    )
    share = settings.fortunes.max_failed_share
    return ChunkAsk(ask, lambda useless: too_many_failed(useless, total, share))


def _items_of(
    chunk: Chunk,
    store: FortuneStore,
    now: datetime,
    imported: frozenset[str],
    *,
    is_forced: bool,
) -> Iterator[Item]:
    failures = store.failures(chunk.day)
    with Spool(CHARTED_SCHEMA) as charted:
        for row in store.charted(chunk.day):
            if row["user_id"] not in imported and chunk.holds(row["user_id"]):
                charted.add(row)
        for batch in charted.batches():
            for row in batch.to_pylist():
                user, chart = charted_user(row)
                failure = failures.get(user.user_id)
                if failure is None or is_forced or failure.is_due(now):
                    reading = read_day(chart, user.birth, chunk.day)
                    yield Item(user.user_id, text_for_model(reading))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A user on the way: what is asked, and what was computed."""

    user: EligibleUser
    reading: DayReading
    attempts: int


class _Asking:
    """A day's users on their way to the model; `waiting` holds those that are out.

    Each is computed when there is room for it, so memory stays flat and the first call leaves at
    once.
    """

    def __init__(
        self,
        day: date,
        charted: Spool,
        rows: "_FortuneRows",
        failures: Mapping[str, Failure],
        *,
        is_forced: bool,
    ) -> None:
        self.total = charted.rows
        self.rows = rows
        self.waiting: dict[str, _Asked] = {}
        self._day = day
        self._charted = charted
        self._failures = failures
        self._is_forced = is_forced

    def items(self) -> Iterator[Item]:
        """Hand out the users; those whose next attempt is not due yet stay failed."""
        for batch in self._charted.batches():
            for row in batch.to_pylist():
                user, chart = charted_user(row)
                reading = read_day(chart, user.birth, self._day)
                failure = self._failures.get(user.user_id)
                one = _Asked(user, reading, failure.attempts if failure else 0)
                if failure is None or self._is_forced or failure.is_due(self.rows.now):
                    self.waiting[user.user_id] = one
                    yield Item(user.user_id, text_for_model(reading))
                else:
                    self.rows.add_failed(one, failure)


def _ask(
    day: date,
    llm: BulkLlm,
    asking: _Asking,
    settings: Settings,
    progress: ProgressReport,
    *,
    was_asked: bool,
) -> tuple[AskSummary, PlatformError | None]:
    """Ask about every user that is to be asked about; who is not answered for is due again now.

    Returns:
        What asking took, and why it ended before its end.
    """
    rows, items = asking.rows, asking.items()
    ask = llm.ask(
        fortune_task(settings.fortunes.users_per_call),
        items,
        workers=settings.fortunes.workers,
        partition=day.isoformat(),
        on_progress=lambda state: progress(state.done, asking.total, _note(state)),
        # A user who failed before is only among the items when another attempt is due.
        asks_quarantined_again=not was_asked,
    )
    useless = 0
    try:
        for outcome in ask:
            one = asking.waiting.pop(outcome.item.id)
            if isinstance(outcome, Answered):
                rows.add_completed(one, outcome.answer)
            else:
                useless += 1
                attempts = one.attempts + 1
                retry_at = next_retry(attempts, rows.now)
                rows.add_failed(one, Failure(outcome.reason, attempts, retry_at))
                _require_few(useless, asking.total, day, settings.fortunes.max_failed_share)
    except (RetryableError, BudgetExceededError, PermanentError) as error:
        for _ in items:
            pass  # whom nobody asked about waits now, too
        for one in asking.waiting.values():
            rows.add_failed(one, Failure(f"Not asked: {error.problem}", one.attempts, rows.now))
        return ask.summary, error
    return ask.summary, None


def _require_few(useless: int, total: int, day: date, allowed_share: float) -> None:
    if too_many_failed(useless, total, allowed_share):
        raise PermanentError(
            f"{useless:,} of {total:,} answers for {day} could not be used;"
            f" FORTUNES_MAX_FAILED_SHARE allows {allowed_share:.0%}, so no more were asked",
            "Read the reasons in fortunes.daily_fortunes",
        )


class _FortuneRows:
    """A day's rows as answers arrive; on disk until the day is complete."""

    def __init__(self, day: date, settings: Settings, llm: BulkLlm, now: datetime) -> None:
        self.spool = Spool(FORTUNE_SCHEMA)
        self.now = now
        self.completed = 0
        self.failed = 0
        pillar = day_pillar(day)
        self._of_all = {
            "for_date": day,
            "gapja_code": pillar.index,
            "gapja_name": pillar.name,
            "gapja_element": str(stem_element(pillar.stem)),
            "model": llm.model,
            "is_made_up": settings.is_made_up,
            "generated_at": now,
        }

    def __enter__(self) -> "_FortuneRows":
        return self

    def __exit__(self, *_error: object) -> None:
        self.spool.close()

    def add_completed(self, one: _Asked, words: FortuneWords) -> None:
        """Add a fortune."""
        self.completed += 1
        data = fortune_data(words, one.reading)
        self._add(one, FortuneStatus.COMPLETED, data=_json(data), attempts=one.attempts)

    def add_failed(self, one: _Asked, failure: Failure) -> None:
        """Add a user without one."""
        self.failed += 1
        self._add(one, FortuneStatus.FAILED, **asdict(failure))

    def _add(
        self,
        one: _Asked,
        status: FortuneStatus,
        *,
        attempts: int,
        data: str | None = None,
        reason: str | None = None,
        next_retry_at: datetime | None = None,
    ) -> None:
        self.spool.add(
            {
                **self._of_all,
                "user_id": one.user.user_id,
                "status": str(status),
                "fortune_data": data,
                "fortune_score": _json(fortune_score(one.reading)),
                "time_zone": one.user.time_zone,
                "reason": reason,
                "attempts": attempts,
                "next_retry_at": next_retry_at,
            }
        )


def publish_fortunes(
    day: date,
    *,
    db: PlatformDb,
    source: SourceDatabase,
    settings: Settings,
    user_id: str | None = None,
) -> Published:
    """Write a day's fortunes, or one user's, into the app's own table, one row per user and day.

    A failed one is added as failed, without a text; it never takes the place of a row that is
    there. Other rows of the table are not touched.

    Raises:
        NoDataError: The day has no fortunes.
        ConfigurationError: The app's table is unknown or does not take the rows.
        RetryableError: The app's database does not answer.
    """
    store = FortuneStore(db)
    counts: list[int] = []
    made = (
        (FortuneStatus.COMPLETED, False, True),
        (FortuneStatus.FAILED, False, False),
        # What an old system wrote stands in the app's table, unless the app has a new one.
        (FortuneStatus.COMPLETED, True, False),
    )
    for status, is_imported, is_replacing in made:
        found = store.fortunes(day, user_id, imported=is_imported)
        chosen = (each for each in found if each.status is status)
        counts.append(_put(day, chosen, source, settings, is_replacing=is_replacing))
    if not any(counts):
        raise NoDataError(f"There are no fortunes of {day}", "Materialize daily_fortunes first")
    return Published(counts[0] + counts[2], counts[1])


def _put(
    day: date,
    chosen: Iterator[StoredFortune],
    source: SourceDatabase,
    settings: Settings,
    *,
    is_replacing: bool,
) -> int:
    count = 0
    while part := list(islice(chosen, _PUBLISHED_AT_ONCE)):
        source.upsert(
            settings.fortunes.table_results,
            of={"for_date": day},
            key="user_id",
            rows=[_app_row(each) for each in part],
            when_new={"created_at": part[0].generated_at},
            is_replacing=is_replacing,
        )
        count += len(part)
    return count


def _app_row(fortune: StoredFortune) -> dict[str, object]:
    return {
        "user_id": fortune.user_id,
        "gapja_code": fortune.gapja_code,
        "gapja_name": fortune.gapja_name,
        "gapja_element": fortune.gapja_element,
        "fortune_data": _json(fortune.data or {}),
        "fortune_score": _json(fortune.score),
        "status": str(fortune.status),
        "updated_at": fortune.generated_at,
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _note(state: Progress) -> str:
    return f"· {state.cost_krw:,.0f} won"


def _require_users(day: date, db: PlatformDb) -> None:
    if FortuneStore(db).reading(day) is None:
        raise NoDataError(
            f"The app's users were not read for {day} yet", "Materialize eligible_users first"
        )


def _require_charts(day: date, db: PlatformDb, user_id: str | None) -> None:
    _require_users(day, db)
    counts = FortuneStore(db).counts(day)
    if user_id is None and counts.charted < counts.eligible:
        raise NoDataError(
            f"{counts.eligible - counts.charted:,} users of {day} have no chart yet",
            "Materialize natal_charts first",
        )
