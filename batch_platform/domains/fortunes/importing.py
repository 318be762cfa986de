"""What the old job wrote, brought in: rows of the app's `core_fortuneresult`.

A user with a completed fortune of a day is not asked about again. What is no finished work stays to
be done: a row that is pending or processing, one without its three texts, and the placeholder text
that the old job stored as `completed` when its model failed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast

from batch_platform.core.days import Clock, today
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import FortunesSettings, Settings
from batch_platform.domains.fortunes.import_store import (
    IMPORTED_FORTUNE_SCHEMA,
    add_imported,
    users_with_fortune,
)
from batch_platform.domains.fortunes.models import FortuneStatus
from batch_platform.domains.fortunes.workflow import RESULT_COLUMNS, sorted_users
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
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.gateways.table_files import (
    FoundRow,
    as_date,
    as_json,
    as_text,
    as_time,
    as_whole,
    table_rows,
)

SYSTEM = "fortunes"
ASSET = WRITTEN[SYSTEM]
_PUBLISHED = "fortunes/published_fortunes"
_TEXTS = (*("today_fortune_summary", "today_element_balance_description", "today_daily_guidance"),)
_REPEATED = 3
"""So many users with the very same texts on a day were not written for: it is a placeholder."""

_UNFINISHED = "끝나지 않은 행 (pending, processing)"
_WITHOUT_TEXT = "글이 비어 있음"
_PLACEHOLDER = "자리만 채운 글 (같은 글이 여러 명에게, 또는 --placeholder)"
_TOLD_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class _OldFortune:
    """A completed row of the old table."""

    place: str
    user_id: str
    gapja_code: int
    gapja_name: str
    gapja_element: str
    data: Mapping[str, Any]
    score: Mapping[str, Any]
    written_at: datetime

    @property
    def texts(self) -> tuple[str, ...]:
        """Its three texts; empty ones where there is none."""
        return tuple(as_text(self.data.get(name)).strip() for name in _TEXTS)


class FortuneImport:
    """Brings old fortunes in; see `import_book.Importer`.

    Args:
        rows: Of the old table.
        db: The platform's database.
        source: The app's: it says who is still without a fortune of today and tomorrow.
        settings: The fortunes' settings.
        clock: The time.
        wanted: Tells whether a day (that fortunes are for) is wanted.
        model: The model that the old job asked; empty when nobody said.
        placeholders: Texts that the old job stored when its model failed.
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
        model: str = "",
        placeholders: Sequence[str] = (),
    ) -> None:
        self._rows = rows
        self._db = db
        self._source = source
        self._settings = settings
        self._clock = clock
        self._wanted = wanted
        self._model = f"imported: {model}" if model else "imported"
        self._placeholders = placeholders
        self._days: dict[date, dict[str, _OldFortune]] = {}

    def plan(self, progress: ProgressReport = unheard) -> ImportPlan:
        """Read everything; what is no finished work is counted and left out.

        Raises:
            PermanentError: Days are before the first one that can have fortunes.
        """
        plan = ImportPlan()
        for number, row in enumerate(self._rows, 1):
            if number % _TOLD_EVERY == 0:
                progress(number, None)
            self._read(row, plan)
        self._leave_out_placeholders(plan)
        require_days_from(self._settings.fortunes.first_day, self._days, "FORTUNES_FIRST_DAY")
        for day in sorted(self._days):
            here = users_with_fortune(self._db, day)
            new = self._days[day].keys() - here
            left = self._left(day, here | new)
            note = f"{left:,}명은 글이 없어 남습니다" if left else ""
            known = len(self._days[day]) - len(new)
            plan.partitions.append(PlannedPartition(day.isoformat(), len(new), known, left, note))
        return plan

    def write(self, partition: str, import_id: int, holder: str) -> Sequence[ImportedPartition]:
        """Write a day's fortunes of users who have none here."""
        day = date.fromisoformat(partition)
        with (
            self._db.hold(ASSET, partition, holder=holder),
            Spool(IMPORTED_FORTUNE_SCHEMA) as rows,
        ):
            here = users_with_fortune(self._db, day)
            new = {user: old for user, old in self._days[day].items() if user not in here}
            for old in new.values():
                rows.add(self._row(day, old, import_id))
            is_complete = not self._left(day, here | new.keys())
            written = [
                ImportedPartition(asset, partition, len(new), is_complete)
                for asset in (ASSET, _PUBLISHED)
            ]
            with self._db.replacing(ASSET, partition) as transaction:
                add_imported(transaction, day, list(new), rows.batches())
                note_imported(transaction.connection, import_id, written)
        return written

    def _read(self, row: FoundRow, plan: ImportPlan) -> None:
        if row.problem:
            plan.bad_rows.append(BadRow(row.place, row.problem))
            return
        try:
            day = as_date(row.values.get("for_date"))
        except ValueError as error:
            plan.bad_rows.append(BadRow(row.place, f"for_date: {error}"))
            return
        if not self._wanted(day):
            return
        if as_text(row.values.get("status")).strip().lower() != FortuneStatus.COMPLETED:
            _count(plan, _UNFINISHED)
            return
        try:
            old = _old_fortune(row, self._settings)
            if day > today(self._clock, self._settings.platform.zone) + timedelta(days=1):
                raise ValueError("내일보다 뒤의 날입니다")
        except ValueError as error:
            plan.bad_rows.append(BadRow(row.place, str(error), day.isoformat()))
            return
        if not all(old.texts):
            _count(plan, _WITHOUT_TEXT)
            return
        known = self._days.setdefault(day, {}).setdefault(old.user_id, old)
        if known.data != old.data:
            problem = f"{known.place}에 같은 사용자와 날의 다른 행이 있습니다"
            plan.bad_rows.append(BadRow(row.place, problem, day.isoformat()))

    def _leave_out_placeholders(self, plan: ImportPlan) -> None:
        for fortunes in self._days.values():
            times = Counter(old.texts for old in fortunes.values())
            for user_id, old in list(fortunes.items()):
                is_named = any(said in text for said in self._placeholders for text in old.texts)
                if is_named or times[old.texts] >= _REPEATED:
                    del fortunes[user_id]
                    _count(plan, _PLACEHOLDER)
        self._days = {day: fortunes for day, fortunes in self._days.items() if fortunes}

    def _left(self, day: date, done: Iterable[str]) -> int | None:
        """Users of the app who get a fortune and have none; of days that are over nobody asks."""
        if day < today(self._clock, self._settings.platform.zone):
            return None
        finished = frozenset(done)
        with sorted_users(day, source=self._source, settings=self._settings) as users:
            return sum(user.user_id not in finished for user in users)

    def _row(self, day: date, old: _OldFortune, import_id: int) -> dict[str, Any]:
        return {
            "for_date": day,
            "user_id": old.user_id,
            "status": str(FortuneStatus.COMPLETED),
            "gapja_code": old.gapja_code,
            "gapja_name": old.gapja_name,
            "gapja_element": old.gapja_element,
            "fortune_data": json.dumps(old.data, ensure_ascii=False),
            "fortune_score": json.dumps(old.score, ensure_ascii=False),
            "time_zone": self._settings.platform.timezone,
            "reason": None,
            "attempts": 0,
            "next_retry_at": None,
            "model": self._model,
            "is_made_up": self._settings.is_made_up,
            "generated_at": old.written_at,
            "import_id": import_id,
        }


def source_rows(source: SourceDatabase, fortunes: FortunesSettings) -> Iterator[FoundRow]:
    """Rows of the app's own table of results."""
    return table_rows(source, fortunes.table_results, {name: name for name in RESULT_COLUMNS})


def _old_fortune(row: FoundRow, settings: Settings) -> _OldFortune:
    values = row.values
    user_id = as_text(values.get("user_id", values.get("user"))).strip()
    if not user_id:
        raise ValueError("user_id가 비어 있습니다")
    code = as_whole(values.get("gapja_code"))
    if not 0 <= code < 60:
        raise ValueError(f"gapja_code가 0~59가 아닙니다: {code}")
    written = values.get("updated_at") or values.get("created_at")
    return _OldFortune(
        row.place,
        user_id,
        code,
        as_text(values.get("gapja_name")),
        as_text(values.get("gapja_element")),
        _object(values, "fortune_data"),
        _object(values, "fortune_score"),
        as_time(written, settings.platform.zone),
    )


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    try:
        found = as_json(values.get(name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: JSON 객체가 아닙니다")
    return cast("Mapping[str, Any]", found)


def _count(plan: ImportPlan, reason: str) -> None:
    plan.undone[reason] = plan.undone.get(reason, 0) + 1
