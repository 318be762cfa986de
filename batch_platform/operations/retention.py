"""What the platform wrote about its own work and nobody needs any more: found, counted, removed.

Kept whatever its age: runs that go on or that an open incident names, the record of everything
that was ever made, answers that a live partition used, the file that a server writes now, archives.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import LiteralString

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.gateways.llm.ledger import prune
from batch_platform.gateways.platform_db import PlatformDb

RunDeleter = Callable[[str], None]
"""Deletes a run and its events by its id; Dagster's own."""

_RUNS_AT_ONCE = 10_000

_UNFINISHED_RUNS: LiteralString = """
    SELECT run_id FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')
"""
_RUNS_THAT_MADE_NOTHING: LiteralString = """
    SELECT run_id FROM runs
    WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND update_timestamp < %(before)s
      AND run_id <> ALL(%(kept)s)
      AND NOT EXISTS (
        SELECT FROM event_logs AS event
        WHERE event.run_id = runs.run_id AND event.dagster_event_type IN
          ('ASSET_MATERIALIZATION', 'ASSET_OBSERVATION', 'ASSET_CHECK_EVALUATION')
      )
    ORDER BY update_timestamp LIMIT %(most)s
"""
# What says that something was made, checked, begun or ended stays; how it went in detail goes.
_DETAILS: LiteralString = """
    FROM event_logs
    WHERE timestamp < %(before)s AND run_id <> ALL(%(kept)s)
      AND (dagster_event_type IS NULL
        OR dagster_event_type LIKE 'STEP\\_%%' AND dagster_event_type <> 'STEP_FAILURE'
        OR dagster_event_type LIKE 'RESOURCE\\_INIT\\_%%' OR dagster_event_type LIKE 'HOOK\\_%%'
        OR dagster_event_type IN ('ENGINE_EVENT', 'HANDLED_OUTPUT', 'LOADED_INPUT', 'LOGS_CAPTURED',
                                  'OBJECT_STORE_OPERATION', 'ASSET_STORE_OPERATION'))
      AND run_id IN (SELECT run_id FROM runs WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED')
                     AND update_timestamp < %(before)s)
"""


@dataclass(frozen=True, slots=True)
class Freed:
    """What went of one kind, or would go.

    Attributes:
        kind: `runs`, `run_details`, `answers`, `logs`, `reports`.
        count: Rows, or files, of it.
        size_bytes: What files took; 0 for rows, whose room PostgreSQL uses again.
    """

    kind: str
    count: int
    size_bytes: int = 0


def free(
    settings: Settings,
    clock: Clock,
    *,
    db: PlatformDb,
    dagster_db: PlatformDb,
    delete_run: RunDeleter,
    is_dry_run: bool,
) -> list[Freed]:
    """Remove what is older than the settings keep it, or only count it.

    Args:
        settings: What is kept for how long.
        clock: The time.
        db: The platform's database.
        dagster_db: Dagster's, beside it.
        delete_run: See `RunDeleter`.
        is_dry_run: Whether to change nothing.

    Returns:
        One of each kind, those of which nothing goes included.
    """
    kept = settings.retention
    now = clock()
    unfinished = {run_id for (run_id,) in dagster_db.fetch_all(_UNFINISHED_RUNS)}
    return [
        *_free_runs(_before(now, kept.run_days), db, dagster_db, delete_run, is_dry_run=is_dry_run),
        _free_answers(kept.answer_days, db, is_dry_run=is_dry_run),
        _free_files(
            "logs",
            _surplus(
                list(_logs(settings.home, unfinished)),
                _before(now, kept.log_days),
                most_bytes=int(kept.log_gb * 1e9),
            ),
            is_dry_run=is_dry_run,
        ),
        _free_files(
            "reports",
            _surplus(list(_reports(settings)), _before(now, kept.report_days)),
            is_dry_run=is_dry_run,
        ),
    ]


def _before(now: datetime, days: int) -> datetime | None:
    return now - timedelta(days=days) if days else None


def _free_runs(
    before: datetime | None,
    db: PlatformDb,
    dagster_db: PlatformDb,
    delete_run: RunDeleter,
    *,
    is_dry_run: bool,
) -> list[Freed]:
    if before is None:
        return [Freed("runs", 0), Freed("run_details", 0)]
    needed = [
        run_id
        for (run_id,) in db.fetch_all(
            "SELECT run_id FROM operations.incidents"
            " WHERE recovered_at IS NULL AND run_id IS NOT NULL"
        )
    ]
    # Dagster's times are in UTC and say no zone.
    values = {"before": before.replace(tzinfo=None), "kept": needed, "most": _RUNS_AT_ONCE}
    runs = [run_id for (run_id,) in dagster_db.fetch_all(_RUNS_THAT_MADE_NOTHING, values)]
    if not is_dry_run:
        for run_id in runs:
            delete_run(run_id)
    with dagster_db.connect("retention") as connection:
        if is_dry_run:
            found = connection.execute("SELECT count(*)" + _DETAILS, values).fetchone()
            details = int(found[0]) if found else 0
        else:
            details = connection.execute("DELETE" + _DETAILS, values).rowcount
    return [Freed("runs", len(runs)), Freed("run_details", details)]


def _free_answers(days: int, db: PlatformDb, *, is_dry_run: bool) -> Freed:
    if not days:
        return Freed("answers", 0)
    with db.connect("retention") as connection:
        return Freed("answers", prune(connection, timedelta(days=days), dry_run=is_dry_run))


@dataclass(frozen=True, slots=True)
class _Kept:
    path: Path
    size_bytes: int
    changed_at: float


def _logs(home: Path, unfinished: Collection[str]) -> Iterator[_Kept]:
    """Rotated logs of servers, and what steps wrote: a folder a run, not of those that go on."""
    for path in (home / "logs").glob("*.log.*"):
        yield _kept(path)
    for folder in (home / "dagster" / "storage").glob("*/compute_logs"):
        if folder.parent.name not in unfinished:
            yield _kept(folder.parent)


def _reports(settings: Settings) -> Iterator[_Kept]:
    for folder in (settings.chats_report_folder, settings.stocks_report_folder):
        # Not below it: archives stay.
        yield from map(_kept, folder.glob("*.xlsx"))


def _kept(path: Path) -> _Kept:
    files = [file.stat() for file in path.rglob("*") if file.is_file()] if path.is_dir() else []
    states = files or [path.stat()]
    return _Kept(path, sum(each.st_size for each in states), max(each.st_mtime for each in states))


def _surplus(
    files: Sequence[_Kept], before: datetime | None, *, most_bytes: int = 0
) -> list[_Kept]:
    """Those that are too old, and the oldest others until the rest fits."""
    left = sum(each.size_bytes for each in files)
    gone: list[_Kept] = []
    for each in sorted(files, key=lambda file: file.changed_at):
        is_old = before is not None and each.changed_at < before.timestamp()
        if is_old or (most_bytes and left > most_bytes):
            gone.append(each)
            left -= each.size_bytes
    return gone


def _free_files(kind: str, files: Sequence[_Kept], *, is_dry_run: bool) -> Freed:
    if not is_dry_run:
        for each in files:
            if each.path.is_dir():
                shutil.rmtree(each.path)
            else:
                each.path.unlink(missing_ok=True)
    return Freed(kind, len(files), sum(each.size_bytes for each in files))
