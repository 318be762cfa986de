"""Imports of what old systems had done: what is planned, what was written, how it is listed.

A domain's own rows are its store's; here stands which import wrote which partition. A partition is
written whole in one transaction, its line here in the same one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import psycopg

from batch_platform.core.errors import ConflictError, NotFoundError, PermanentError
from batch_platform.core.progress import ProgressReport
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb

WRITTEN = {
    "chats": "chats/classifications",
    "fortunes": "fortunes/daily_fortunes",
    "interventions": "interventions/recommendations",
    "emotions": "emotions/history",
    "stocks": "stocks/daily_prices",
}
"""System → the asset that its imports are about; further ones follow from it."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be imported.

    Attributes:
        place: File and line.
        problem: A Korean sentence without personal data.
        partition: Whose row it is; None when that cannot be told.
    """

    place: str
    problem: str
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedPartition:
    """What an import would do to a partition.

    Attributes:
        items: What is done by it (questions, users, stocks, posts).
        known: Items of the export that are here already, imported before or made here.
        left: Items that nobody has done, which the platform will do; None when nobody knows.
        note: What else a person should know, in Korean.
    """

    partition: str
    items: int
    known: int = 0
    left: int | None = None
    note: str = ""


@dataclass
class ImportPlan:
    """What an import would do.

    Attributes:
        undone: Why rows are no finished work, in Korean → how many: they stay to be done.
    """

    partitions: list[PlannedPartition] = field(default_factory=list[PlannedPartition])
    bad_rows: list[BadRow] = field(default_factory=list[BadRow])
    undone: dict[str, int] = field(default_factory=dict[str, int])

    def bad_partitions(self) -> set[str]:
        """Partitions that have a bad row: none of them is imported in part."""
        return {row.partition for row in self.bad_rows if row.partition is not None}


@dataclass(frozen=True, slots=True)
class ImportedPartition:
    """A partition that an import wrote.

    Attributes:
        rows: Rows of it that are the import's.
        is_complete: Whether nothing of it is left to do.
    """

    asset: str
    partition: str
    rows: int
    is_complete: bool = True


class Importer(Protocol):
    """How a domain imports what its old system did."""

    def plan(self, progress: ProgressReport) -> ImportPlan:
        """Read everything and say what would be done; nothing is written."""
        ...

    def write(self, partition: str, import_id: int, holder: str) -> Sequence[ImportedPartition]:
        """Write a partition of the plan whole, in one transaction, held meanwhile.

        Raises:
            PartitionBusyError: A run works on it.
        """
        ...


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """An import as it is listed.

    Attributes:
        partitions: Of the asset that the import is about; so are `rows`.
        first_partition: None when it wrote nothing.
    """

    import_id: int
    system: str
    sources: Sequence[str]
    imported_by: str
    refused_rows: int
    is_made_up: bool
    started_at: datetime
    finished_at: datetime | None
    undone_at: datetime | None
    run_id: str | None
    partitions: int
    rows: int
    first_partition: str | None
    last_partition: str | None


class ImportBook:
    """Reads and writes `operations.imports`."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def begin(
        self,
        system: str,
        sources: Sequence[str],
        *,
        by: str,
        refused_rows: int,
        is_made_up: bool,
        now: datetime,
    ) -> int:
        """Note that an import begins; returns its number."""
        with self._db.connect("import") as connection:
            row = connection.execute(
                "INSERT INTO operations.imports"
                " (system, sources, imported_by, refused_rows, is_made_up, started_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) RETURNING import_id",
                [system, list(sources), by, refused_rows, is_made_up, now],
            ).fetchone()
        assert row is not None  # noqa: S101 - RETURNING gives the row
        return row[0]

    def finish(self, import_id: int, run_id: str | None, now: datetime) -> None:
        """Note that all of it is there, and where Dagster holds its materializations."""
        with self._db.connect("import") as connection:
            connection.execute(
                "UPDATE operations.imports SET finished_at = %s, run_id = %s WHERE import_id = %s",
                [now, run_id, import_id],
            )

    def imports(self, import_id: int | None = None) -> list[ImportRecord]:
        """All imports, the newest first, or one."""
        rows = self._db.fetch_all(
            """
            SELECT imports.import_id, system, sources, imported_by, refused_rows, is_made_up,
                   started_at, finished_at, undone_at, run_id, count(part.partition),
                   coalesce(sum(rows), 0)::bigint, min(part.partition), max(part.partition)
            FROM operations.imports LEFT JOIN operations.imported_partitions AS part
                ON part.import_id = imports.import_id AND part.asset = ANY(%(counted)s)
            WHERE %(one)s::bigint IS NULL OR imports.import_id = %(one)s
            GROUP BY imports.import_id ORDER BY imports.import_id DESC
            """,
            {"one": import_id, "counted": list(WRITTEN.values())},
        )
        return [ImportRecord(*row) for row in rows]

    def standing(self, import_id: int) -> ImportRecord:
        """An import that was not undone.

        Raises:
            NotFoundError: There is none of that number.
            ConflictError: It was undone.
        """
        found = self.imports(import_id)
        if not found:
            raise NotFoundError(f"There is no import {import_id}", "See batch-platform import list")
        if found[0].undone_at is not None:
            raise ConflictError(f"Import {import_id} was undone already", "Import it again")
        return found[0]

    def partitions(self, import_id: int) -> list[ImportedPartition]:
        """What an import wrote, in order."""
        rows = self._db.fetch_all(
            "SELECT asset, partition, rows, is_complete FROM operations.imported_partitions"
            " WHERE import_id = %s ORDER BY asset, partition",
            [import_id],
        )
        return [ImportedPartition(*row) for row in rows]

    def unfinished(self, system: str) -> list[int]:
        """Imports of a system that were ended in between: Dagster does not know of them yet."""
        rows = self._db.fetch_all(
            "SELECT import_id FROM operations.imports"
            " WHERE system = %s AND finished_at IS NULL AND undone_at IS NULL ORDER BY 1",
            [system],
        )
        return [row[0] for row in rows]


def note_imported(
    connection: psycopg.Connection[Any], import_id: int, written: Sequence[ImportedPartition]
) -> None:
    """Note what an import wrote, in the transaction that writes it."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO operations.imported_partitions"
            " (import_id, asset, partition, rows, is_complete) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (import_id, asset, partition) DO UPDATE"
            " SET rows = excluded.rows, is_complete = excluded.is_complete",
            [
                (import_id, each.asset, each.partition, each.rows, each.is_complete)
                for each in written
            ],
        )


def note_undone(connection: psycopg.Connection[Any], import_id: int, now: datetime) -> None:
    """Note that an import's rows are gone, in the transaction that deletes them."""
    connection.execute(
        "UPDATE operations.imports SET undone_at = %s WHERE import_id = %s", [now, import_id]
    )


def take_back_rows(
    record: ImportRecord,
    db: PlatformDb,
    partitions: Iterable[str],
    remove: Callable[[PartitionTransaction, str, int], int],
) -> int:
    """Delete what an import brought to its own asset, a partition at a time.

    Args:
        record: The import.
        db: The platform's database.
        partitions: Its partitions of the asset that it is about.
        remove: Deletes the import's rows of a partition; returns what is to be done again.

    Returns:
        What is to be done again, in all.

    Raises:
        PartitionBusyError: A run works on a partition; those before it are taken back.
    """
    asset, holder = WRITTEN[record.system], f"undo of import {record.import_id}"
    removed = 0
    for partition in partitions:
        with (
            db.hold(asset, partition, holder=holder),
            db.replacing(asset, partition) as transaction,
        ):
            removed += remove(transaction, partition, record.import_id)
    return removed


def require_days_from(first_day: date, days: Iterable[date], setting: str) -> None:
    """Refuse an export with days before the first one that a system has partitions for.

    Args:
        first_day: That day.
        days: Days of the export.
        setting: What to set for an earlier one.

    Raises:
        PermanentError: There are such days.
    """
    early = sorted(day for day in days if day < first_day)
    if early:
        raise PermanentError(
            f"{len(early):,} days of the export are before the first day, {first_day}",
            f"Set {setting}={early[0]}, or take later days alone with -s",
        )


def chosen(plan: ImportPlan, *, skips_bad: bool) -> Sequence[str]:
    """Partitions to write: those with something new, and none with a bad row.

    With a bad row anywhere nothing is written at all, unless those are to be left out.
    """
    if plan.bad_rows and not skips_bad:
        return ()
    bad = plan.bad_partitions()
    return [each.partition for each in plan.partitions if each.items and each.partition not in bad]
