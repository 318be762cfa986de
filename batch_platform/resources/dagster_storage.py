"""Dagster's own storage, where the platform's settings say. Named in `dagster.yaml`."""

import os
from collections.abc import Sequence
from typing import Any, Self

import dagster as dg
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine

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


class _EventLog(PostgresEventLogStorage):
    """dagster-postgres' log, which writes a run's planned partitions one by one by itself."""

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events, those of planned partitions in one statement."""
        planned = [event for event in events if _is_planned_partition(event)]
        others = [event for event in events if not _is_planned_partition(event)]
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


class PlatformDagsterStorage(DagsterPostgresStorage):
    """dagster-postgres in a database beside the platform's, embedded or yours.

    With it every Dagster process (webserver, daemon, code server, run) finds and if need be starts
    the database by itself: plain `dagster dev` needs no variable. A connection is kept: by itself
    dagster-postgres opens one for each statement, which is half of what a small run takes.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._event_log_storage = _EventLog(postgres_url)
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
        url = dagster_database_url(load_settings())
        # SQLAlchemy 2.1 reads a bare postgresql:// as psycopg 3, which dagster-postgres lacks.
        return cls(
            postgres_url=url.replace("postgresql://", "postgresql+psycopg2://", 1),
            inst_data=inst_data,
        )
