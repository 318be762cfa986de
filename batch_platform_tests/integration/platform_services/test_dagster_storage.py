"""Dagster's storage as the platform uses it: batches of events; a server that comes and goes."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.resources.dagster_storage import PlatformDagsterStorage

_DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01")


@dg.asset(partitions_def=_DAYS)
def prices() -> None:
    """Say nothing of fifty-nine days."""


@pytest.fixture
def instance(
    platform_db: PlatformDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", platform_db.url)
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    storage = PlatformDagsterStorage
    custom = {"module": storage.__module__, "class": storage.__name__}
    overrides = {"storage": {"custom": custom}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides) as opened:
        yield opened


def run_all_days(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [prices],
        instance=instance,
        tags={
            "dagster/asset_partition_range_start": "2026-01-01",
            "dagster/asset_partition_range_end": "2026-02-28",
        },
    )


def test_every_partition_of_a_run_is_planned_and_made(instance: dg.DagsterInstance) -> None:
    result = run_all_days(instance)
    keys = set(_DAYS.get_partition_keys())
    assert len(keys) == 59
    events = instance.all_logs(result.run_id)
    for kind in ("is_asset_materialization_planned", "is_step_materialization"):
        told = [
            event.get_dagster_event().partition
            for event in events
            if event.is_dagster_event and getattr(event.get_dagster_event(), kind)
        ]
        assert sorted(each for each in told if each) == sorted(keys), kind
    assert instance.get_materialized_partitions(prices.key) == keys
    (record,) = instance.get_asset_records([prices.key])
    assert record.asset_entry.last_run_id == result.run_id


def test_a_restarted_server_is_connected_to_again(
    instance: dg.DagsterInstance, platform_db: PlatformDb
) -> None:
    run_all_days(instance)
    with psycopg.connect(platform_db.url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() || '_dagster'"
        ).fetchall()
    assert ended  # a connection was kept
    assert run_all_days(instance).success
