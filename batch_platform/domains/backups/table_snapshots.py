"""Copies of tables within the database: taken weekly, put back into place or beside, removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from batch_platform.core.days import Clock, today
from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.logic import plan_snapshot_retention, snapshot_name
from batch_platform.domains.backups.models import TableSnapshot
from batch_platform.domains.backups.snapshot_store import (
    ContentDiffersError,
    Relation,
    SnapshotStore,
)
from batch_platform.gateways.pg_tools.scratch import require_room
from batch_platform.gateways.platform_db import PlatformDb

STOCK_TABLES = (
    "stocks.stocks",
    "stocks.sectors",
    "stocks.daily_prices",
    "stocks.financial_statements",
    "stocks.financial_ratios",
    "stocks.corp_code_map",
    # What the view stocks.stocks is made of, so that it can be put back.
    "stocks.listings",
    "stocks.listing_days",
)

_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Taken:
    """What a week's snapshots are.

    Attributes:
        missing: Tables that are not there (yet); named once a week, not an error.
    """

    snapshots: tuple[TableSnapshot, ...]
    missing: tuple[str, ...]


def last_week(clock: Clock, zone: ZoneInfo) -> date:
    """The Sunday that names the last week that is over."""
    return snapshot_week_before(today(clock, zone))


def snapshot_week_before(day: date) -> date:
    """The Sunday that names the last week that is over on a day."""
    return day - timedelta(days=(day.weekday() + 1) % 7 + 7)


def take_snapshots(week: date, *, db: PlatformDb, settings: Settings, clock: Clock) -> Taken:
    """Copy the stocks' tables and those of `SNAPSHOT_TABLES`, all from the same moment.

    Args:
        week: The partition; must be the last week that is over.
        db: The platform's database.
        settings: Which tables, and how much room must be left.
        clock: The time.

    Raises:
        PermanentError: The week is not the last one, or a copy differs from its source.
        NoDataError: None of the tables is there.
        RetryableError: Too little room, or a lock that could not be had.
    """
    zone, at = settings.platform.zone, clock()
    if week != (last := last_week(lambda: at, zone)):
        raise PermanentError(
            f"Snapshots of the week of {week} cannot be taken any more", f"Materialize {last}"
        )
    store = SnapshotStore(db)
    wanted = dict.fromkeys([*STOCK_TABLES, *settings.backups.snapshot_tables])
    found = {name: store.relation(name) for name in wanted}
    relations = [each for each in found.values() if each is not None]
    if not relations:
        raise NoDataError("None of the tables to snapshot is there", "See SNAPSHOT_TABLES")
    _require_room(relations, settings)
    try:
        snapshots = store.take(
            _named(relations, at, zone), week, at, is_made_up=settings.is_made_up
        )
    except ContentDiffersError as error:
        raise PermanentError(f"The copy {error} differs from its table") from error
    return Taken(tuple(snapshots), tuple(name for name, each in found.items() if each is None))


def find_snapshot(table: str, chosen: str, db: PlatformDb) -> TableSnapshot:
    """A snapshot by its name or time, or a table's newest.

    Args:
        table: `schema.table`, or its name alone where that is plain.
        chosen: The snapshot's name or its time (`20261122_020000`); empty for the newest.
        db: The platform's database.

    Raises:
        NoDataError: There is none.
    """
    of_table = [
        each
        for each in SnapshotStore(db).all()
        if table in (each.source_table, each.source, each.snapshot_name)
    ]
    fitting = [each for each in of_table if not chosen or each.snapshot_name.endswith(chosen)]
    if not fitting or not fitting[-1].is_there:
        raise NoDataError(
            f"There is no snapshot {chosen} of {table}".replace("  ", " "),
            "See batch-platform snapshots list",
        )
    if len({each.source for each in fitting}) > 1:
        raise NoDataError(
            f"Several tables are called {table}",
            f"Name one of {', '.join(sorted({each.source for each in fitting}))}",
        )
    return fitting[-1]


def restore_snapshot(
    snapshot: TableSnapshot, *, db: PlatformDb, beside: bool, clock: Clock, zone: ZoneInfo
) -> tuple[str, int]:
    """Put a snapshot's rows back, into place or into a new table beside it.

    Returns:
        The table's name, and how many rows were written or removed.

    Raises:
        PermanentError: The table's columns changed since, other tables refer to rows that would
            go, or what came of it differs; nothing was changed.
    """
    store = SnapshotStore(db)
    target = store.relation(snapshot.source)
    try:
        if beside:
            stamp = f"_restored_{clock().astimezone(zone):%Y%m%d_%H%M%S}"
            name = snapshot.source_table[: _LONGEST_NAME - len(stamp)] + stamp
            rows = store.restore_beside(snapshot, target, snapshot.source_schema, name)
            return f"{snapshot.source_schema}.{name}", rows
        if target is None:
            raise NoDataError(f"There is no table {snapshot.source} any more", "Use --beside")
        return snapshot.source, _restore_in_place(store, snapshot, target)
    except ContentDiffersError as error:
        raise PermanentError(
            f"{snapshot.snapshot_name} does not hold what it held when it was taken",
            "Nothing was changed; use another snapshot or a backup",
        ) from error


def damaged_snapshots(week: date, db: PlatformDb) -> tuple[list[str], int]:
    """Count a week's copies again.

    Returns:
        A sentence for each that is not what it was when it was taken, and how many there are.
    """
    store = SnapshotStore(db)
    of_week = [each for each in store.all() if each.week == week]
    problems = [f"{each.snapshot_name} is gone" for each in of_week if not each.is_there]
    problems += [
        f"{each.snapshot_name} holds something else than when it was taken"
        for each in of_week
        if each.is_there and not store.is_unchanged(each)
    ]
    return problems, len(of_week)


def prune_snapshots(
    db: PlatformDb, settings: Settings, clock: Clock, *, is_dry_run: bool
) -> list[TableSnapshot]:
    """Remove old snapshots, but never the last one of a table.

    Returns:
        What went, or would.
    """
    store, zone = SnapshotStore(db), settings.platform.zone
    snapshots = store.all()
    doomed = plan_snapshot_retention(
        [
            (each.snapshot_name, each.source, each.taken_at.astimezone(zone).date())
            for each in snapshots
            if each.is_there
        ],
        today(clock, zone),
        keep_days=settings.backups.snapshot_retention_days,
    )
    gone = [each for each in snapshots if each.snapshot_name in doomed or not each.is_there]
    if not is_dry_run:
        store.remove([each.snapshot_name for each in gone])
    return gone


def _restore_in_place(store: SnapshotStore, snapshot: TableSnapshot, target: Relation) -> int:
    if target.kind not in ("r", "p"):
        raise PermanentError(
            f"{target.full_name} is a view: rows cannot be put into it",
            "Restore the tables that it shows, or use --beside",
        )
    columns = store.columns(target)
    copied = store.columns(Relation("snapshots", snapshot.snapshot_name, "r", 0))
    if [(each.name, each.kind) for each in columns] != [(each.name, each.kind) for each in copied]:
        raise PermanentError(
            f"The columns of {target.full_name} changed since {snapshot.snapshot_name} was taken",
            "Use --beside and bring over what you need",
        )
    try:
        return store.restore_in_place(snapshot, target, columns)
    except psycopg.errors.IntegrityError as error:
        raise PermanentError(
            f"{target.full_name} cannot be put back: {error.diag.message_primary}",
            "Nothing was changed; restore the tables that refer to it first, or use --beside",
        ) from error


def _named(
    relations: Sequence[Relation], at: datetime, zone: ZoneInfo
) -> list[tuple[Relation, str]]:
    named: list[tuple[Relation, str]] = []
    taken: set[str] = set()
    for relation in relations:
        name = snapshot_name(relation.name, at, zone)
        if name in taken:
            # Tables of the same name in two schemas.
            name = snapshot_name(f"{relation.schema}_{relation.name}", at, zone)
        if len(name.encode()) > _LONGEST_NAME:
            raise PermanentError(
                f"{relation.full_name} has too long a name for a snapshot's",
                "Take it from SNAPSHOT_TABLES; dumps hold it",
            )
        taken.add(name)
        named.append((relation, name))
    return named


def _require_room(relations: Sequence[Relation], settings: Settings) -> None:
    """Only where the disk is ours to see: the embedded server's."""
    if settings.platform.database_url is None:
        size = sum(each.size_bytes for each in relations)
        needed = max(settings.backups.min_free_gb * 1e9, settings.backups.free_factor * size)
        require_room(settings.home, int(needed), "snapshots of tables (BACKUP_MIN_FREE_GB)")
