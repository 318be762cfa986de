"""SQL of what the morning shows of the platform's own tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, LiteralString

import psycopg

_LIVE = "30 seconds"


@dataclass(frozen=True, slots=True)
class AskProgress:
    """How far an ask of a model has come; its total is unknown when None."""

    domain: str
    partition: str
    done: int
    total: int | None
    seconds_left: float | None
    updated_at: datetime


def known_jobs(connection: psycopg.Connection) -> set[str]:
    """Names of the jobs that may be asked for."""
    return {row[0] for row in connection.execute("SELECT job FROM operations.jobs")}


def under_way(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """Job and partition of everything that was asked for or is due and has not ended."""
    rows = connection.execute(
        "SELECT job, partition FROM operations.occurrences"
        " WHERE status IN ('due', 'launching', 'launched')"
    )
    return {(job, partition) for job, partition in rows}


def asks_in_progress(connection: psycopg.Connection) -> list[AskProgress]:
    """Asks of models that go on now: those that were heard of in the last half minute."""
    rows = connection.execute(
        "SELECT split_part(task, '.', 1), partition, done + failed,"
        " done + failed + remaining, seconds_left, updated_at FROM llm.progress"
        " WHERE state = 'running' AND updated_at > now() - %s::interval",
        [_LIVE],
    )
    return [AskProgress(*row) for row in rows]


def quarantined_count(connection: psycopg.Connection) -> int:
    """Items that were set aside and nobody has looked at."""
    return _number(
        connection,
        "SELECT count(*) FROM llm.quarantine"
        " WHERE NOT EXISTS (SELECT FROM llm.discarded"
        "  WHERE (discarded.task, discarded.partition, discarded.item_id)"
        "  = (quarantine.task, quarantine.partition, quarantine.item_id))",
    )


def unsent_count(connection: psycopg.Connection) -> int:
    """Messages about incidents that could not be sent so far, or were given up."""
    return _number(
        connection,
        "SELECT count(*) FROM operations.incident_messages WHERE sent_at IS NULL AND attempts > 0",
    )


def spent_krw(connection: psycopg.Connection, day: date) -> float:
    """Won that all domains' models cost on a day."""
    return _number(
        connection,
        "SELECT coalesce(sum(spent_krw), 0) FROM llm.spending WHERE spent_on = %s",
        [day],
    )


def costs_of(connection: psycopg.Connection, partitions: Mapping[str, str]) -> Mapping[str, float]:
    """Domain → won that the models cost for its partition, all runs together.

    Args:
        connection: To the platform's database.
        partitions: Domain → partition.
    """
    rows = connection.execute(
        "SELECT wanted.domain, sum(progress.cost_krw)"
        " FROM unnest(%s::text[], %s::text[]) AS wanted (domain, partition)"
        " JOIN llm.progress ON split_part(progress.task, '.', 1) = wanted.domain"
        "  AND progress.partition = wanted.partition"
        " GROUP BY 1",
        [list(partitions), list(partitions.values())],
    )
    return dict(rows.fetchall())


def _number(
    connection: psycopg.Connection, query: LiteralString, values: Sequence[object] | None = None
) -> Any:
    row = connection.execute(query, values).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row[0]
