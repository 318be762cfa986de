"""What Dagster writes into its storage is what we read there without Dagster."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import instance_for_test

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.run_history import reading_runs
from batch_platform.orchestration.results import materialized

DAYS = dg.DailyPartitionsDefinition("2026-11-01")


@dg.asset(key_prefix="chats", partitions_def=DAYS)
def raw_chats() -> dg.MaterializeResult:
    return materialized(rows=12, seconds=0.5, is_made_up=True)


@dg.asset(key_prefix="chats", partitions_def=DAYS, deps=[raw_chats])
def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    if context.partition_key == "2026-11-03":
        raise ValueError("no report")
    return materialized(
        rows=2_650,
        seconds=1.25,
        is_made_up=False,
        preview="| a |",
        details={"cost_krw": 31.5, "path": dg.MetadataValue.path("/reports/보고서.xlsx")},
    )


@pytest.fixture
def instance(dagster_db: PlatformDb) -> Iterator[dg.DagsterInstance]:
    url = dagster_db.url.replace("postgresql://", "postgresql+psycopg2://", 1)
    with instance_for_test(overrides={"storage": {"postgres": {"postgres_url": url}}}) as instance:
        yield instance


def run(instance: dg.DagsterInstance, day: str) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=[raw_chats, report],
        jobs=[dg.define_asset_job("chats_night_job", tags={"domain": "chats"})],
    )
    return definitions.resolve_job_def("chats_night_job").execute_in_process(
        instance=instance, partition_key=day, raise_on_error=False
    )


def test_runs_and_what_they_made_are_read_as_dagster_wrote_them(
    instance: dg.DagsterInstance, dagster_db: PlatformDb
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    first, again, failed = (run(instance, f"2026-11-0{n}") for n in (2, 2, 3))
    with reading_runs(dagster_db) as history:
        assert history is not None
        made = history.first_made(["chats/raw_chats", "chats/report", "chats/nothing"])
        assert {asset: sorted(days) for asset, days in made.items()} == {
            "chats/raw_chats": ["2026-11-02", "2026-11-03"],
            "chats/report": ["2026-11-02"],
            "chats/nothing": [],
        }
        assert before < made["chats/report"]["2026-11-02"] < datetime.now(UTC)
        assert made["chats/report"].keys() == instance.get_materialized_partitions(
            dg.AssetKey(["chats", "report"])
        )

        (raw, last) = history.last_made(
            {"chats/raw_chats": ["2026-11-02"], "chats/report": ["2026-11-02", "2026-11-03"]}
        )
        assert (last.asset, last.partition, last.run_id) == (
            "chats/report",
            "2026-11-02",
            again.run_id,
        )
        assert (last.rows, last.seconds, last.cost_krw) == (2_650, 1.25, 31.5)
        assert (last.path, last.is_made_up) == ("/reports/보고서.xlsx", False)
        assert (raw.rows, raw.cost_krw, raw.is_made_up) == (12, None, True)

        runs = history.runs_of(["chats_night_job", "other_job"], 10)
        assert [(each.run_id, each.status) for each in runs["chats_night_job"]] == [
            (failed.run_id, "FAILURE"),
            (again.run_id, "SUCCESS"),
            (first.run_id, "SUCCESS"),
        ]
        stats = instance.get_run_stats(again.run_id)
        seconds = runs["chats_night_job"][1].seconds
        assert seconds == pytest.approx(stats.end_time - stats.start_time, abs=0.01)  # type: ignore[operator]
        assert runs["other_job"] == []
        assert history.open_runs() == []
        assert history.last_run_by_domain("SUCCESS")["chats"].run_id == again.run_id
        (last_run,) = history.last_run_by_domain().values()
        assert (last_run.run_id, last_run.status, last_run.partition, last_run.domain) == (
            failed.run_id,
            "FAILURE",
            "2026-11-03",
            "chats",
        )


def test_a_run_that_goes_on_tells_how_far_it_has_come(
    instance: dg.DagsterInstance, dagster_db: PlatformDb
) -> None:
    failed = run(instance, "2026-11-03")
    record = instance.get_run_by_id(failed.run_id)
    assert record is not None
    going_on = dg.DagsterRun(
        job_name="chats_night_job",
        run_id=failed.run_id,
        status=dg.DagsterRunStatus.STARTED,
        tags=record.tags,
    )
    instance.delete_run(failed.run_id)
    instance.add_run(going_on)
    with reading_runs(dagster_db) as history:
        assert history is not None
        ((found, steps),) = history.open_runs()
    assert (found.run_id, found.partition, found.domain) == (failed.run_id, "2026-11-03", "chats")
    assert found.is_open
    # Its events went with the run.
    assert (steps.made, steps.planned) == (0, 0)


def test_before_dagster_made_its_tables_there_is_nothing(platform_db: PlatformDb) -> None:
    with reading_runs(platform_db) as history:
        assert history is None
