"""What the old job recommended, brought in: rows of its table `InterventionRecord`.

A user with a recommendation of a day and gubun is not advised again. A row with an error is no
finished work and stays to be done. Whether the old system's model or its rules wrote a row is not
known, so it says `import`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, cast

from batch_platform.core.days import Clock, today
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import InterventionsSettings, Settings
from batch_platform.domains.interventions.import_store import (
    IMPORTED_RECOMMENDATION_SCHEMA,
    Key,
    add_imported,
    recommendations_here,
)
from batch_platform.domains.interventions.logic import state_of
from batch_platform.domains.interventions.models import Gubun, State
from batch_platform.domains.interventions.source import InterventionSource
from batch_platform.domains.interventions.store import TEXT_COLUMNS
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
    as_number,
    as_text,
    table_rows,
)

SYSTEM = "interventions"
ASSET = WRITTEN[SYSTEM]
_PUBLISHED = "interventions/published_records"
_VERSION = "imported"
_WITH_ERROR = "오류로 끝난 행"
_WITHOUT_ADVICE = "권고가 비어 있는 행"
_TOLD_EVERY = 1_000


class InterventionImport:
    """Brings old recommendations in; see `import_book.Importer`.

    Args:
        rows: Of the old table.
        db: The platform's database.
        source: The service's: its records say who is still to be advised.
        settings: The interventions' settings.
        clock: The time.
        wanted: Tells whether a day (of the records) is wanted.
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
    ) -> None:
        self._rows = rows
        self._db = db
        self._source = InterventionSource(source, settings.interventions)
        self._settings = settings
        self._clock = clock
        self._wanted = wanted
        self._days: dict[date, dict[Key, Mapping[str, Any]]] = {}

    def plan(self, progress: ProgressReport = unheard) -> ImportPlan:
        """Read everything; rows with an error are counted and left out.

        Raises:
            PermanentError: Days are before the first one whose records can be used.
        """
        plan = ImportPlan()
        for number, row in enumerate(self._rows, 1):
            if number % _TOLD_EVERY == 0:
                progress(number, None)
            self._read(row, plan)
        require_days_from(
            self._settings.interventions.first_day, self._days, "INTERVENTIONS_FIRST_DAY"
        )
        for day in sorted(self._days):
            here = recommendations_here(self._db, day)
            found = self._days[day].keys()
            new = found - here
            left = self._left(day, here | new)
            note = f"{left:,}명은 권고가 없어 남습니다" if left else ""
            plan.partitions.append(
                PlannedPartition(day.isoformat(), len(new), len(found & here), left, note)
            )
        return plan

    def write(self, partition: str, import_id: int, holder: str) -> Sequence[ImportedPartition]:
        """Write a day's recommendations of users who have none here."""
        day = date.fromisoformat(partition)
        with (
            self._db.hold(ASSET, partition, holder=holder),
            Spool(IMPORTED_RECOMMENDATION_SCHEMA) as rows,
        ):
            here = recommendations_here(self._db, day)
            new = self._days[day].keys() - here
            for key in sorted(new):
                rows.add({**self._days[day][key], "import_id": import_id})
            is_complete = not self._left(day, here | new)
            written = [
                ImportedPartition(asset, partition, len(new), is_complete)
                for asset in (ASSET, _PUBLISHED)
            ]
            with self._db.replacing(ASSET, partition) as transaction:
                add_imported(transaction, day, sorted(new), rows.batches())
                note_imported(transaction.connection, import_id, written)
        return written

    def _read(self, row: FoundRow, plan: ImportPlan) -> None:
        if row.problem:
            plan.bad_rows.append(BadRow(row.place, row.problem))
            return
        names = self._settings.interventions
        try:
            day = as_date(row.values.get(names.column_record_date))
        except ValueError as error:
            plan.bad_rows.append(BadRow(row.place, f"{names.column_record_date}: {error}"))
            return
        if not self._wanted(day):
            return
        try:
            found = self._recommendation(day, row)
            if day >= today(self._clock, self._settings.platform.zone):
                raise ValueError("아직 끝나지 않은 날입니다")
        except ValueError as error:
            plan.bad_rows.append(BadRow(row.place, str(error), day.isoformat()))
            return
        if as_text(row.values.get("error_message")).strip():
            _count(plan, _WITH_ERROR)
        elif found["output"] is None:
            _count(plan, _WITHOUT_ADVICE)
        else:
            key = (found["gubun"], found["user_id"])
            known = self._days.setdefault(day, {}).setdefault(key, found)
            if known != found:
                problem = "같은 사용자, 날, gubun의 다른 행이 앞에 있습니다"
                plan.bad_rows.append(BadRow(row.place, problem, day.isoformat()))

    def _recommendation(self, day: date, row: FoundRow) -> Mapping[str, Any]:
        names, values = self._settings.interventions, row.values
        user_id = as_text(values.get(names.column_user_id, values.get("user"))).strip()
        if not user_id:
            raise ValueError(f"{names.column_user_id}가 비어 있습니다")
        said = as_text(values.get("gubun")).strip()
        if said not in set(Gubun):
            raise ValueError(f"gubun이 all, sleep, food가 아닙니다: {said[:20] or '(빈 값)'}")
        if values.get("target_date") and as_date(values["target_date"]) != day + timedelta(days=1):
            raise ValueError("target_date가 record_date의 다음 날이 아닙니다")
        texts = {name: as_text(values.get(name)).strip() or None for name in TEXT_COLUMNS}
        meals = _object(values, "diet_target")
        content = {name: text for name, text in texts.items() if text} | (
            {"diet_target": meals} if meals else {}
        )
        took = values.get("processing_time")
        return {
            "record_date": day,
            "gubun": said,
            "user_id": user_id,
            "target_date": day + timedelta(days=1),
            "written_by": "import",
            "reason": "",
            "version": _VERSION,
            **texts,
            "diet_target": _json(meals) if meals else None,
            "processing_time": as_number(took) if as_text(took).strip() else 0.0,
            "error_message": None,
            # What the old system sent may hold names: it stays where it is.
            "input": "{}",
            "output": _json(content) if content else None,
            "is_made_up": self._settings.is_made_up,
        }

    def _left(self, day: date, done: Iterable[Key]) -> int:
        """Users with food and exercise of the day who were not advised on all, or on anything."""
        found = frozenset(done)
        on_all = {user_id for gubun, user_id in found if gubun == Gubun.ALL.value}
        advised = on_all or {user_id for _, user_id in found}
        return sum(
            user.user_id not in advised
            and state_of(user, has_record=False, has_schedule=True, is_asked=True) is State.ELIGIBLE
            for user in self._source.users(day)
        )


def source_rows(source: SourceDatabase, names: InterventionsSettings) -> Iterator[FoundRow]:
    """Rows of the service's own table of recommendations."""
    columns = (
        *(names.column_user_id, names.column_record_date, "target_date", "gubun"),
        *(*TEXT_COLUMNS, "diet_target", "processing_time", "error_message"),
    )
    return table_rows(source, names.table_records, {name: name for name in columns})


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    said = values.get(name)
    if said is None or said == "":
        return {}
    try:
        found = as_json(said)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: JSON 객체가 아닙니다")
    said_of = cast("Mapping[str, object]", found)
    return {meal: as_text(text) for meal, text in said_of.items()}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _count(plan: ImportPlan, reason: str) -> None:
    plan.undone[reason] = plan.undone.get(reason, 0) + 1
