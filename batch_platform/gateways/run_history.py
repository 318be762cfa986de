"""What Dagster's storage says of runs and of what they made, read without Dagster.

For processes that must start at once and answer while Dagster's servers are away. It reads the
tables of the Dagster version that the project pins; a contract test writes them with Dagster and
reads them here. Nothing is ever written.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from batch_platform.gateways.platform_db import PlatformDb

OPEN_STATUSES = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING")
_MATERIALIZED = "ASSET_MATERIALIZATION"


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run.

    Attributes:
        partition: The partition's key; empty for a run without one, or of a range.
        status: Dagster's word: QUEUED, STARTED, SUCCESS, FAILURE, CANCELED …
        domain: The job's tag; empty when it has none.
        started_at: None while it waits.
        ended_at: None while it goes on.
    """

    run_id: str
    job: str
    partition: str
    status: str
    domain: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it waits or goes on."""
        return self.status in OPEN_STATUSES

    @property
    def seconds(self) -> float | None:
        """From its start to its end; None before both."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class MadePartition:
    """The last materialization of an asset's partition, with the figures that it reported.

    Attributes:
        asset: Key `group/name`.
        path: The file that was written; empty when there is none.
    """

    asset: str
    partition: str
    run_id: str
    made_at: datetime
    rows: int
    seconds: float
    cost_krw: float | None
    path: str
    is_made_up: bool


@dataclass(frozen=True, slots=True)
class StepCounts:
    """How far a run has come, in assets."""

    made: int
    planned: int


class RunHistory:
    """Questions to Dagster's storage, over one connection; see `reading_runs`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def first_made(self, assets: Sequence[str]) -> dict[str, dict[str, datetime]]:
        """Asset → partition → when it was made for the first time; every asset has an entry."""
        found: dict[str, dict[str, datetime]] = {asset: {} for asset in assets}
        rows = self._connection.execute(
            "SELECT asset_key, partition, min(timestamp) FROM event_logs"
            " WHERE asset_key = ANY(%s) AND dagster_event_type = %s AND partition IS NOT NULL"
            " GROUP BY asset_key, partition",
            [[_stored_key(asset) for asset in assets], _MATERIALIZED],
        )
        for key, partition, at in rows:
            found[_asset(key)][partition] = at.replace(tzinfo=UTC)
        return found

    def assets(self) -> list[str]:
        """Keys of all assets that were ever made or looked at."""
        rows = self._connection.execute("SELECT asset_key FROM asset_keys ORDER BY asset_key")
        return [_asset(row[0]) for row in rows]

    def last_made(self, partitions: Mapping[str, Sequence[str]]) -> list[MadePartition]:
        """The last materialization of each of these partitions that has one.

        Args:
            partitions: Asset → keys of its partitions.
        """
        pairs = [(_stored_key(asset), key) for asset, keys in partitions.items() for key in keys]
        rows = self._connection.execute(
            "SELECT last.asset_key, last.partition, last.run_id, last.timestamp, last.event"
            " FROM unnest(%s::text[], %s::text[]) AS wanted (asset_key, partition)"
            " CROSS JOIN LATERAL ("
            "   SELECT * FROM event_logs AS event WHERE event.asset_key = wanted.asset_key"
            "   AND event.partition = wanted.partition AND event.dagster_event_type = %s"
            "   ORDER BY event.id DESC LIMIT 1) AS last",
            [[asset for asset, _ in pairs], [key for _, key in pairs], _MATERIALIZED],
        )
        return [_made(*row) for row in rows]

    def runs_of(self, jobs: Sequence[str], count: int) -> dict[str, list[RunRow]]:
        """Job → its last runs, the newest first; every job has an entry."""
        found: dict[str, list[RunRow]] = {job: [] for job in jobs}
        rows = self._connection.execute(
            "SELECT run.* FROM unnest(%s::text[]) AS wanted (job) CROSS JOIN LATERAL ("
            "   SELECT run_id, pipeline_name, partition, status, '' AS domain, create_timestamp,"
            "          start_time, end_time, id"
            "   FROM runs WHERE pipeline_name = wanted.job ORDER BY id DESC LIMIT %s) AS run"
            " ORDER BY run.id DESC",
            [list(jobs), count],
        )
        for *row, _ in rows:
            run = _run(*row)
            found[run.job].append(run)
        return found

    def open_runs(self) -> list[tuple[RunRow, StepCounts]]:
        """Runs that wait or go on, the oldest first, and how far each has come."""
        rows = self._connection.execute(
            "SELECT run.run_id, run.pipeline_name, run.partition, run.status,"
            "       coalesce(tag.value, ''), run.create_timestamp, run.start_time, run.end_time,"
            "       (SELECT count(DISTINCT asset_key) FROM event_logs AS event"
            "        WHERE event.run_id = run.run_id AND dagster_event_type = %s),"
            "       (SELECT count(DISTINCT asset_key) FROM event_logs AS event"
            "        WHERE event.run_id = run.run_id"
            "          AND dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED')"
            " FROM runs AS run"
            " LEFT JOIN run_tags AS tag ON tag.run_id = run.run_id AND tag.key = 'domain'"
            " WHERE run.status = ANY(%s) ORDER BY run.id",
            [_MATERIALIZED, list(OPEN_STATUSES)],
        )
        return [(_run(*row), StepCounts(made, planned)) for *row, made, planned in rows]

    def last_run_by_domain(self, status: str | None = None) -> dict[str, RunRow]:
        """Domain → its last run, by the tag of its job.

        With a status, its last run of that status among its last 200.
        """
        rows = self._connection.execute(
            "WITH RECURSIVE domains AS ("
            "   (SELECT value FROM run_tags WHERE key = 'domain' ORDER BY value LIMIT 1)"
            "   UNION ALL SELECT (SELECT value FROM run_tags WHERE key = 'domain'"
            "     AND value > domains.value ORDER BY value LIMIT 1)"
            "   FROM domains WHERE domains.value IS NOT NULL)"
            " SELECT run.* FROM domains CROSS JOIN LATERAL ("
            "   SELECT run.run_id, pipeline_name, partition, status, tag.value,"
            "          run.create_timestamp, start_time, end_time"
            "   FROM (SELECT * FROM run_tags WHERE key = 'domain' AND value = domains.value"
            "         ORDER BY id DESC LIMIT %(looked_at)s) AS tag"
            "   JOIN runs AS run ON run.run_id = tag.run_id"
            "   WHERE %(status)s::text IS NULL OR run.status = %(status)s"
            "   ORDER BY tag.id DESC LIMIT 1) AS run",
            {"status": status, "looked_at": 1 if status is None else 200},
        )
        return {run.domain: run for run in (_run(*row) for row in rows)}


@contextmanager
def reading_runs(db: PlatformDb) -> Generator[RunHistory | None]:
    """Read Dagster's storage in one read-only snapshot; None before Dagster made its tables.

    Args:
        db: Dagster's own database, beside the platform's.

    Raises:
        RetryableError: The server does not answer.
    """
    with db.connect("run history") as connection:
        connection.execute("SET default_transaction_read_only = on")
        with connection.transaction():
            found = connection.execute("SELECT to_regclass('event_logs'), to_regclass('runs')")
            is_there = None not in (found.fetchone() or (None,))
            yield RunHistory(connection) if is_there else None


def _stored_key(asset: str) -> str:
    # As Dagster's AssetKey.to_string() writes it.
    return json.dumps(asset.split("/"))


def _asset(stored_key: str) -> str:
    return "/".join(json.loads(stored_key))


def _run(
    run_id: str,
    job: str,
    partition: str | None,
    status: str,
    domain: str,
    created_at: datetime,
    start: float | None,
    end: float | None,
) -> RunRow:
    return RunRow(
        run_id,
        job,
        partition or "",
        status,
        domain,
        created_at.replace(tzinfo=UTC),
        datetime.fromtimestamp(start, UTC) if start else None,
        datetime.fromtimestamp(end, UTC) if end else None,
    )


def _made(
    stored_key: str, partition: str, run_id: str, made_at: datetime, event: str
) -> MadePartition:
    said = _metadata(json.loads(event))
    return MadePartition(
        asset=_asset(stored_key),
        partition=partition,
        run_id=run_id,
        made_at=made_at.replace(tzinfo=UTC),
        rows=int(said.get("dagster/row_count") or 0),
        seconds=float(said.get("seconds") or 0),
        cost_krw=float(said["cost_krw"]) if "cost_krw" in said else None,
        path=str(said.get("path") or ""),
        is_made_up="made_up" in said,
    )


def _metadata(event: Mapping[str, Any]) -> dict[str, Any]:
    """Label → value of the metadata that hold one; texts and paths among them."""
    materialization = event["dagster_event"]["event_specific_data"]["materialization"]
    found: dict[str, Any] = {}
    for entry in materialization["metadata_entries"]:
        data = entry["entry_data"]
        for attribute in ("value", "text", "path"):
            if attribute in data:
                found[entry["label"]] = data[attribute]
    return found
