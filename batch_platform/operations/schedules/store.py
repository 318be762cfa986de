"""SQL of schedules and occurrences, each function in the transaction of the connection it is given.

Rules are in `rules`, tables in `migrations/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from batch_platform.core.hashing import lock_key
from batch_platform.operations.schedules.models import (
    Asked,
    Frequency,
    Job,
    MissedPolicy,
    Occurrence,
    OccurrenceStatus,
    PartitionRule,
    Schedule,
    ScheduleChange,
    ScheduleSpec,
)

_SPEC: LiteralString = (
    "name, job, frequency, hour, minute, weekday, day, cron, timezone, is_active, missed,"
    " partition_rule, run_config"
)
_SCHEDULE: LiteralString = (
    f"schedule_id, version, next_due_at, created_at, updated_at, deleted_at, is_declared, {_SPEC}"
)
_OCCURRENCE: LiteralString = """
    SELECT occurrence_id, schedule_id, coalesce(schedule.name, '') AS schedule_name,
           schedule_version, request_key, requested_by, occurrence.job, partition,
           occurrence.run_config, due_at, is_missed, status, reason, run_id, launched_at, ended_at,
           tags
    FROM operations.occurrences AS occurrence
    LEFT JOIN operations.schedules AS schedule USING (schedule_id)
"""
Row = dict[str, Any]
_MOST_OF_A_GROUP = 50


# Jobs


def jobs(connection: psycopg.Connection) -> dict[str, Job]:
    """Every job that may be named, by its name."""
    rows = connection.execute(
        "SELECT job, description, partitions, timezone FROM operations.jobs"
        ' ORDER BY job COLLATE "C"'
    )
    return {row[0]: Job(*row) for row in rows}


def note_jobs(connection: psycopg.Connection, all_jobs: Sequence[Job]) -> None:
    """Put these in place of all jobs that were known, if they differ."""
    if jobs(connection) == {job.name: job for job in all_jobs}:
        return
    connection.execute("LOCK operations.jobs IN SHARE ROW EXCLUSIVE MODE")
    connection.execute("DELETE FROM operations.jobs")
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO operations.jobs (job, description, partitions, timezone)"
            " VALUES (%s, %s, %s, %s)",
            [(job.name, job.description, job.partitions, job.timezone) for job in all_jobs],
        )


# Schedules


def schedules(connection: psycopg.Connection) -> list[Schedule]:
    """Every schedule that is not deleted, by name."""
    query: LiteralString = (
        f"SELECT {_SCHEDULE} FROM operations.schedules WHERE deleted_at IS NULL"
        ' ORDER BY name COLLATE "C"'
    )
    return [_schedule(row) for row in _rows(connection, query)]


def schedule(
    connection: psycopg.Connection, schedule_id: int, *, for_update: bool = False
) -> Schedule | None:
    """A schedule, deleted or not; locked if it is going to be changed."""
    query: LiteralString = f"SELECT {_SCHEDULE} FROM operations.schedules WHERE schedule_id = %s"
    lock: LiteralString = " FOR UPDATE" if for_update else ""
    rows = _rows(connection, query + lock, [schedule_id])
    return _schedule(rows[0]) if rows else None


def schedule_named(connection: psycopg.Connection, name: str) -> Schedule | None:
    """The schedule of that name that is not deleted."""
    query: LiteralString = (
        f"SELECT {_SCHEDULE} FROM operations.schedules WHERE name = %s AND deleted_at IS NULL"
    )
    rows = _rows(connection, query, [name])
    return _schedule(rows[0]) if rows else None


def due_schedule_ids(connection: psycopg.Connection, now: datetime) -> list[int]:
    """The schedules that have a due time of which no occurrence was noted, longest due first."""
    rows = connection.execute(
        "SELECT schedule_id FROM operations.schedules WHERE next_due_at <= %s"
        " ORDER BY next_due_at, schedule_id",
        [now],
    )
    return [row[0] for row in rows]


def insert_schedule(
    connection: psycopg.Connection,
    spec: ScheduleSpec,
    next_due_at: datetime | None,
    now: datetime,
    *,
    is_declared: bool = False,
) -> Schedule:
    """Add a schedule, as version 1.

    Raises:
        psycopg.errors.UniqueViolation: The name is taken.
    """
    query: LiteralString = f"""
        INSERT INTO operations.schedules
            ({_SPEC}, version, next_due_at, created_at, updated_at, is_declared)
        VALUES (%(name)s, %(job)s, %(frequency)s, %(hour)s, %(minute)s, %(weekday)s, %(day)s,
                %(cron)s, %(timezone)s, %(is_active)s, %(missed)s, %(partition_rule)s,
                %(run_config)s, 1, %(next_due_at)s, %(now)s, %(now)s, %(is_declared)s)
        RETURNING {_SCHEDULE}
    """
    values = _values(spec) | {"next_due_at": next_due_at, "now": now, "is_declared": is_declared}
    return _schedule(_rows(connection, query, values)[0])


def update_schedule(
    connection: psycopg.Connection,
    schedule_id: int,
    spec: ScheduleSpec,
    next_due_at: datetime | None,
    now: datetime,
    *,
    is_deleted: bool = False,
) -> Schedule:
    """Change a schedule; its version grows by one.

    Raises:
        psycopg.errors.UniqueViolation: The name is taken.
    """
    query: LiteralString = f"""
        UPDATE operations.schedules SET
            ({_SPEC}) = ROW (
                %(name)s, %(job)s, %(frequency)s, %(hour)s, %(minute)s, %(weekday)s, %(day)s,
                %(cron)s, %(timezone)s, %(is_active)s, %(missed)s, %(partition_rule)s,
                %(run_config)s),
            version = version + 1, next_due_at = %(next_due_at)s, updated_at = %(now)s,
            deleted_at = CASE WHEN %(is_deleted)s THEN %(now)s::timestamptz END
        WHERE schedule_id = %(schedule_id)s
        RETURNING {_SCHEDULE}
    """
    values = _values(spec) | {
        "schedule_id": schedule_id,
        "next_due_at": next_due_at,
        "now": now,
        "is_deleted": is_deleted,
    }
    return _schedule(_rows(connection, query, values)[0])


def set_next_due(
    connection: psycopg.Connection, schedule_id: int, next_due_at: datetime | None
) -> None:
    """Note up to when a schedule's occurrences were noted; not a change of the schedule."""
    connection.execute(
        "UPDATE operations.schedules SET next_due_at = %s WHERE schedule_id = %s",
        [next_due_at, schedule_id],
    )


def insert_change(
    connection: psycopg.Connection, changed: Schedule, action: str, changed_by: str
) -> None:
    """Keep what a schedule was after a change, and who made it."""
    connection.execute(
        "INSERT INTO operations.schedule_changes"
        " (schedule_id, version, action, changed_by, changed_at, spec)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [
            changed.schedule_id,
            changed.version,
            action,
            changed_by,
            changed.updated_at,
            Jsonb(asdict(changed.spec)),
        ],
    )


def changes(connection: psycopg.Connection, schedule_id: int) -> list[ScheduleChange]:
    """What was done to a schedule, the newest first."""
    rows = _rows(
        connection,
        "SELECT schedule_id, version, action, changed_by, changed_at, spec"
        " FROM operations.schedule_changes WHERE schedule_id = %s ORDER BY version DESC",
        [schedule_id],
    )
    return [ScheduleChange(**{**row, "spec": _spec(row["spec"])}) for row in rows]


# Occurrences


def occurrence(connection: psycopg.Connection, occurrence_id: int) -> Occurrence | None:
    """One occurrence."""
    rows = _rows(connection, _OCCURRENCE + " WHERE occurrence_id = %s", [occurrence_id])
    return _occurrence(rows[0]) if rows else None


def occurrences_asked_by(connection: psycopg.Connection, request_key: str) -> list[Occurrence]:
    """What one request led to, in the order of its partitions."""
    query = _OCCURRENCE + " WHERE request_key = %s ORDER BY occurrence_id"
    return [_occurrence(row) for row in _rows(connection, query, [request_key])]


def occurrence_history(
    connection: psycopg.Connection,
    *,
    schedule_id: int | None,
    job: str | None,
    statuses: Sequence[OccurrenceStatus],
    before: tuple[datetime, int] | None,
    limit: int,
) -> list[Occurrence]:
    """Occurrences, the latest due first; None and an empty sequence restrict nothing."""
    query = (
        _OCCURRENCE
        + """
        WHERE (%(schedule_id)s::bigint IS NULL OR schedule_id = %(schedule_id)s)
          AND (%(job)s::text IS NULL OR occurrence.job = %(job)s)
          AND (%(statuses)s::text[] = '{}' OR status = ANY(%(statuses)s))
          AND (%(before_at)s::timestamptz IS NULL
               OR (due_at, occurrence_id) < (%(before_at)s, %(before_id)s))
        ORDER BY due_at DESC, occurrence_id DESC LIMIT %(limit)s
    """
    )
    before_at, before_id = before or (None, None)
    values = {
        "schedule_id": schedule_id,
        "job": job,
        "statuses": [str(status) for status in statuses],
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    return [_occurrence(row) for row in _rows(connection, query, values)]


def open_counts(connection: psycopg.Connection) -> dict[OccurrenceStatus, int]:
    """How many occurrences of each status that is not final there are; none of some is 0."""
    rows = connection.execute(
        "SELECT status, count(*) FROM operations.occurrences"
        " WHERE status IN ('due', 'launching', 'launched') GROUP BY status"
    ).fetchall()
    counts = {status: 0 for status in OccurrenceStatus if not status.is_final}
    return counts | {OccurrenceStatus(status): count for status, count in rows}


def lock_request(connection: psycopg.Connection, request_key: str) -> None:
    """Let nobody else ask under a key until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("request", request_key)])


def request_hash(connection: psycopg.Connection, request_key: str) -> str | None:
    """The hash of what was asked under a key; None when nothing was."""
    row = connection.execute(
        "SELECT request_hash FROM operations.occurrences WHERE request_key = %s LIMIT 1",
        [request_key],
    ).fetchone()
    return row[0] if row else None


def insert_scheduled(
    connection: psycopg.Connection,
    due: Schedule,
    due_at: datetime,
    asked: Asked,
    now: datetime,
    *,
    is_missed: bool,
    catch_up_id: int | None,
) -> None:
    """Note one due time of a schedule; to be launched unless it asks for nothing, or cannot say.

    Args:
        connection: In whose transaction.
        due: The schedule.
        due_at: One of its times.
        asked: What it asks for then.
        now: The present.
        is_missed: Whether the platform was down then.
        catch_up_id: The time of being down that it was missed in, if anything is made up for.
    """
    reason = asked.skip_reason or asked.problem
    connection.execute(
        """
        INSERT INTO operations.occurrences
            (schedule_id, schedule_version, job, partition, run_config, tags, due_at, is_missed,
             catch_up_id, status, reason, noted_at, ended_at)
        VALUES (%(schedule_id)s, %(version)s, %(job)s, %(partition)s, %(run_config)s, %(tags)s,
                %(due_at)s, %(is_missed)s, %(catch_up_id)s, %(status)s, %(reason)s, %(now)s,
                %(ended_at)s)
        ON CONFLICT (schedule_id, due_at) DO NOTHING
        """,
        {
            "schedule_id": due.schedule_id,
            "version": due.version,
            "job": due.spec.job,
            "partition": asked.partition,
            "run_config": Jsonb(asked.run_config),
            "tags": Jsonb(asked.tags),
            "due_at": due_at,
            "is_missed": is_missed,
            "catch_up_id": catch_up_id,
            "status": _first_status(asked),
            "reason": reason,
            "now": now,
            "ended_at": now if reason else None,
        },
    )


def insert_requested(
    connection: psycopg.Connection,
    *,
    job: str,
    partitions: Sequence[str],
    run_config: Mapping[str, Any],
    request_key: str,
    content_hash: str,
    requested_by: str,
    now: datetime,
) -> None:
    """Note that somebody asked for a job, one occurrence a partition.

    The caller holds the key's lock.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO operations.occurrences
                (request_key, request_hash, requested_by, job, partition, run_config, due_at,
                 is_missed, status, noted_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, false, 'due', %s)
            """,
            [
                (
                    request_key,
                    content_hash,
                    requested_by,
                    job,
                    partition,
                    Jsonb(run_config),
                    now,
                    now,
                )
                for partition in partitions
            ],
        )


def skip_waiting(
    connection: psycopg.Connection, schedule_id: int, reason: str, now: datetime
) -> None:
    """Skip what a schedule was due for and nobody has enqueued yet."""
    connection.execute(
        "UPDATE operations.occurrences SET status = 'skipped', reason = %s, ended_at = %s"
        " WHERE schedule_id = %s AND status IN ('due', 'launching')",
        [reason, now, schedule_id],
    )


# Dispatching


def caught_up_at(connection: psycopg.Connection) -> datetime | None:
    """Until when every due time was noted; None before the first dispatcher ever looked."""
    row = connection.execute("SELECT caught_up_at FROM operations.dispatcher").fetchone()
    return row[0] if row else None


def set_caught_up(connection: psycopg.Connection, now: datetime) -> None:
    """Note that every due time until now was noted."""
    connection.execute(
        "INSERT INTO operations.dispatcher (caught_up_at) VALUES (%s)"
        " ON CONFLICT (is_the_only_row) DO UPDATE SET caught_up_at = excluded.caught_up_at",
        [now],
    )


def begin_catch_up(connection: psycopg.Connection, down_from: datetime, now: datetime) -> int:
    """The time of being down that is being made up for; a new one when there is none."""
    row = connection.execute(
        "SELECT catch_up_id FROM operations.catch_ups WHERE ended_at IS NULL"
    ).fetchone()
    row = (
        row
        or connection.execute(
            "INSERT INTO operations.catch_ups (down_from, back_at) VALUES (least(%s, %s), %s)"
            " RETURNING catch_up_id",
            [down_from, now, now],
        ).fetchone()
    )
    assert row is not None  # noqa: S101 - RETURNING gives one
    return row[0]


def end_catch_up(connection: psycopg.Connection, now: datetime) -> None:
    """Note that all that was missed has ended, well or not, if it has."""
    connection.execute(
        "UPDATE operations.catch_ups SET ended_at = %s WHERE ended_at IS NULL AND NOT EXISTS ("
        " SELECT FROM operations.occurrences WHERE catch_up_id = catch_ups.catch_up_id"
        " AND status IN ('due', 'launching', 'launched'))",
        [now],
    )


def unfinished(connection: psycopg.Connection) -> list[tuple[Occurrence, datetime | None]]:
    """Occurrences that are not final, oldest first, and when somebody last asked for their run.

    Of a schedule or request with many, the oldest few dozen: the others' turn comes later.
    """
    rows = _rows(
        connection,
        _OCCURRENCE.replace("ended_at,", "ended_at, leased_at,", 1)
        + """
        WHERE occurrence_id IN (
            SELECT occurrence_id FROM (
                SELECT occurrence_id, row_number() OVER (
                    PARTITION BY schedule_id, request_key ORDER BY due_at, occurrence_id) AS place
                FROM operations.occurrences WHERE status IN ('due', 'launching', 'launched')
            ) AS waiting WHERE place <= %s)
        ORDER BY due_at, occurrence_id
        """,
        [_MOST_OF_A_GROUP],
    )
    return [(_occurrence(row), leased_at) for row in rows for leased_at in [row.pop("leased_at")]]


def lease(connection: psycopg.Connection, occurrence_ids: Sequence[int], now: datetime) -> set[int]:
    """Take the right to ask for runs; return the occurrences that are still to be launched."""
    rows = connection.execute(
        "UPDATE operations.occurrences SET status = 'launching', leased_at = %s"
        " WHERE occurrence_id = ANY(%s) AND status IN ('due', 'launching') RETURNING occurrence_id",
        [now, list(occurrence_ids)],
    )
    return {row[0] for row in rows}


def claim(
    connection: psycopg.Connection,
    occurrence_id: int,
    run_id: str,
    now: datetime,
) -> bool:
    """Make a run the one that executes an occurrence; tell whether it is."""
    row = connection.execute(
        """
        UPDATE operations.occurrences SET run_id = %(run_id)s, status = 'launched',
            launched_at = coalesce(launched_at, %(now)s)
        WHERE occurrence_id = %(occurrence_id)s
          AND ((status IN ('due', 'launching') AND run_id IS NULL)
               OR (status IN ('due', 'launching', 'launched') AND run_id = %(run_id)s))
        RETURNING occurrence_id
        """,
        {"run_id": run_id, "now": now, "occurrence_id": occurrence_id},
    ).fetchone()
    return row is not None


def take_over(
    connection: psycopg.Connection, occurrence_id: int, run_id: str, now: datetime
) -> None:
    """Follow another run that executes an occurrence again."""
    connection.execute(
        "UPDATE operations.occurrences SET run_id = %s, status = 'launched', reason = '',"
        " launched_at = %s, ended_at = NULL WHERE occurrence_id = %s AND run_id IS NOT NULL",
        [run_id, now, occurrence_id],
    )


def wait_again(connection: psycopg.Connection, occurrence_id: int) -> None:
    """Let a run that was claimed and never enqueued be asked for again; it stays the one run."""
    connection.execute(
        "UPDATE operations.occurrences SET status = 'due'"
        " WHERE occurrence_id = %s AND status = 'launched'",
        [occurrence_id],
    )


def set_outcome(
    connection: psycopg.Connection,
    occurrence_id: int,
    status: OccurrenceStatus,
    reason: str,
    now: datetime,
) -> None:
    """Note how an occurrence ended."""
    connection.execute(
        "UPDATE operations.occurrences SET status = %s, reason = %s, ended_at = %s"
        " WHERE occurrence_id = %s AND status IN ('due', 'launching', 'launched')",
        [status, reason, now, occurrence_id],
    )


def _first_status(asked: Asked) -> OccurrenceStatus:
    if asked.skip_reason:
        return OccurrenceStatus.SKIPPED
    return OccurrenceStatus.FAILED if asked.problem else OccurrenceStatus.DUE


def _rows(connection: psycopg.Connection, query: LiteralString, values: Any = None) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def _values(spec: ScheduleSpec) -> Row:
    return {**asdict(spec), "run_config": Jsonb(spec.run_config)}


def _schedule(row: Row) -> Schedule:
    own = ("schedule_id", "version", "next_due_at", "created_at", "updated_at", "deleted_at",
           "is_declared")  # fmt: skip
    return Schedule(
        spec=_spec({name: value for name, value in row.items() if name not in own}),
        **{name: row[name] for name in own},
    )


def _spec(values: Row) -> ScheduleSpec:
    return ScheduleSpec(
        **{
            **values,
            "frequency": Frequency(values["frequency"]),
            "missed": MissedPolicy(values["missed"]),
            "partition_rule": PartitionRule(values["partition_rule"]),
        }
    )


def _occurrence(row: Row) -> Occurrence:
    return Occurrence(**{**row, "status": OccurrenceStatus(row["status"])})
