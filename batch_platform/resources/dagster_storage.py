"""Dagster's own storage, where the platform's settings say. Named in `dagster.yaml`.

Whatever Dagster keeps of what was said (log messages, errors with their stacks, metadata, the
errors of sensors and daemons) goes through here, so here secrets and personal data are taken out.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, Self, TypeVar, cast

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.scheduler.instigation import InstigatorTick, TickData
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._daemon.types import DaemonHeartbeat
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import create_pg_engine

from batch_platform.core.redaction import Redact, redacted_texts, redactor
from batch_platform.core.settings import load_settings
from batch_platform.gateways.platform_services import dagster_database_url

_EVENTS_AT_ONCE = "500"
_SECONDS_A_CONNECTION_LIVES = 3600
_MOST_CONNECTIONS_MORE = 20


def _write_events_together() -> None:
    """Have Dagster write the events of a run over many partitions in batches, unless told not to.

    One by one, a run over ten years of days takes longer for its events than for its checks.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", _EVENTS_AT_ONCE)


_FREE_TEXTS = {
    *("message", "user_message", "stack", "description", "skip_reason"),
    *("text", "md_str", "url", "data", "records"),
}
"""Names under which Dagster's records hold what somebody said; the last row is metadata's."""

_Record = TypeVar("_Record")


def _redacted(record: _Record, redact: Redact) -> _Record:
    """A record of Dagster's whose free texts are redacted; keys and ids stay as they are."""
    value = json.loads(serialize_value(record))  # pyright: ignore[reportArgumentType]
    clean = redacted_texts(value, redact, _FREE_TEXTS)
    return record if clean == value else cast("_Record", deserialize_value(json.dumps(clean)))


class _EventLog(PostgresEventLogStorage):
    """dagster-postgres' log, which writes a run's planned partitions one by one by itself."""

    def __init__(self, postgres_url: str, redact: Redact) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False)
        self._redact = redact

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store one event."""
        super().store_event(_redacted(event, self._redact))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events, those of planned partitions in one statement."""
        planned = [event for event in events if _is_planned_partition(event)]
        others = [
            _redacted(event, self._redact) for event in events if not _is_planned_partition(event)
        ]
        if planned:
            statement = self.prepare_insert_event_batch(planned)
            with self.run_connection() as connection:
                ids = connection.execute(statement.returning(SqlEventLogStorageTable.c.id))
                numbers: list[int] = [row[0] for row in ids]
            # An asset's own record tells of its last event only.
            last = {
                event.get_dagster_event().asset_key: (event, number)
                for event, number in zip(planned, numbers, strict=True)
            }
            for event, number in last.values():
                self.store_asset_event(event, number)
        if others:
            super().store_event_batch(others)


def _is_planned_partition(event: dg.EventLogEntry) -> bool:
    return event.get_dagster_event().is_asset_materialization_planned


class _Runs(PostgresRunStorage):
    def __init__(self, postgres_url: str, redact: Redact) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False)
        self._redact = redact

    def add_daemon_heartbeat(self, daemon_heartbeat: DaemonHeartbeat) -> None:
        super().add_daemon_heartbeat(_redacted(daemon_heartbeat, self._redact))

    def update_backfill(self, partition_backfill: PartitionBackfill) -> None:
        super().update_backfill(_redacted(partition_backfill, self._redact))


class _Schedules(PostgresScheduleStorage):
    def __init__(self, postgres_url: str, redact: Redact) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False)
        self._redact = redact

    def create_tick(self, tick_data: TickData) -> InstigatorTick:
        return super().create_tick(_redacted(tick_data, self._redact))

    def update_tick(self, tick: InstigatorTick) -> InstigatorTick:
        clean = _redacted(tick.tick_data, self._redact)
        return super().update_tick(InstigatorTick(tick.tick_id, clean))


class PlatformDagsterStorage(DagsterPostgresStorage):
    """dagster-postgres in a database beside the platform's, embedded or yours.

    With it every Dagster process (webserver, daemon, code server, run) finds and if need be starts
    the database by itself: plain `dagster dev` needs no variable. A connection is kept: by itself
    dagster-postgres opens one for each statement, which is half of what a small run takes.
    """

    def __init__(
        self,
        postgres_url: str,
        redact: Redact,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._run_storage = _Runs(postgres_url, redact)
        self._event_log_storage = _EventLog(postgres_url, redact)
        self._schedule_storage = _Schedules(postgres_url, redact)
        # Tried before each use: a server that was restarted meanwhile is simply connected to again.
        engine = create_pg_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=_MOST_CONNECTIONS_MORE,
            pool_recycle=_SECONDS_A_CONNECTION_LIVES,
            pool_pre_ping=True,
        )
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine = engine  # pyright: ignore[reportPrivateUsage]
        _write_events_together()

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No settings here: all come from the platform's."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: object
    ) -> Self:
        """Build it for Dagster; called when an instance is opened, never at import."""
        settings = load_settings()
        url = dagster_database_url(settings)
        # SQLAlchemy 2.1 reads a bare postgresql:// as psycopg 3, which dagster-postgres lacks.
        return cls(
            postgres_url=url.replace("postgresql://", "postgresql+psycopg2://", 1),
            redact=redactor(settings),
            inst_data=inst_data,
        )
