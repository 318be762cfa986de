"""A run whose process was lost while the code server was away: launched again, or told of."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import (
    consume_new_runs_for_automatic_reexecution,
)

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.incidents.lost_retries import report_lost_retries
from batch_platform.operations.incidents.models import IncidentKind
from batch_platform.operations.incidents.sensors import DagsterHistory
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.orchestration.run_process import NOT_AGAIN
from batch_platform_tests.given_settings import settings_of

DAYS = dg.DailyPartitionsDefinition("2026-01-01")
DAY = {"dagster/partition": "2026-01-05", "domain": "chats"}
GONE = "The run's process is gone without a word"


@dg.asset(partitions_def=DAYS)
def raw_chats() -> None:
    """Made at once."""


night = dg.Definitions([raw_chats], jobs=[dg.define_asset_job("chats_night_job")])
JOB = night.resolve_job_def("chats_night_job")


@dataclass
class CodeServerIsAway:
    """What Dagster's daemon works with while nobody answers for the code."""

    instance: dg.DagsterInstance

    def create_request_context(self) -> Any:
        raise DagsterUserCodeUnreachableError("the code server does not answer")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    retries = {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    folder = str(tmp_path_factory.mktemp("dagster"))
    with dg.DagsterInstance.local_temp(folder, {"run_retries": retries}) as instance:
        yield instance


@dataclass
class World:
    """Incidents of an instance, looked at when the test says."""

    instance: dg.DagsterInstance
    book: IncidentBook

    def look(self, minutes: float = 3) -> int:
        """Let the sensor look so many minutes from now; return how many incidents are new."""
        now = datetime.now(UTC) + timedelta(minutes=minutes)
        return report_lost_retries(self.instance, self.book, self.history, settings_of(), now)

    @property
    def history(self) -> DagsterHistory:
        return DagsterHistory(self.instance, frozenset())

    def lose(self, **tags: str) -> dg.DagsterRun:
        """A run whose process is gone, as run monitoring finds it."""
        run = self.instance.create_run_for_job(JOB, tags={**DAY, **tags})
        self.instance.report_run_failed(
            run, GONE, JobFailureData(error=None, failure_reason=RunFailureReason.UNKNOWN)
        )
        lost = self.instance.get_run_by_id(run.run_id)
        assert lost is not None
        return lost

    def try_again(self, run: dg.DagsterRun) -> None:
        """Let Dagster's own daemon try to launch it again while the code server is away."""
        records = self.instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
        away: Any = CodeServerIsAway(self.instance)
        list(consume_new_runs_for_automatic_reexecution(away, records, logging.getLogger("daemon")))


@pytest.fixture
def world(instance: dg.DagsterInstance, platform_db: PlatformDb) -> Iterator[World]:
    yield World(instance, IncidentBook(platform_db))
    for run in instance.get_runs():
        instance.delete_run(run.run_id)


def test_a_run_that_could_not_be_launched_again_is_told_of_once(world: World) -> None:
    run = world.lose()
    assert run.tags[WILL_RETRY_TAG] == "true"  # so nobody was told of its failure
    world.try_again(run)
    assert world.look() == 1
    assert world.look(4) == 0
    (incident,) = world.book.open_incidents()
    trouble = incident.trouble
    assert trouble.kind is IncidentKind.FAILED
    assert (trouble.job, trouble.partition, trouble.domain, trouble.run_id) == (
        "chats_night_job", "2026-01-05", "chats", run.run_id,
    )  # fmt: skip
    assert GONE in trouble.causes[0]
    assert "코드 서버" in trouble.causes[-1]
    assert trouble.advice


def test_a_run_that_a_person_has_run_again_is_not_told_of(world: World) -> None:
    world.try_again(world.lose())
    JOB.execute_in_process(instance=world.instance, partition_key="2026-01-05")
    assert world.look() == 0


def test_a_run_that_nobody_came_to_is_told_of_when_it_should_long_be_launched(world: World) -> None:
    world.lose()
    assert world.look(1) == 0
    assert world.look(3) == 1


def test_a_run_that_was_launched_again_is_not_told_of(world: World) -> None:
    run = world.lose()
    world.instance.add_run_tags(run.run_id, {AUTO_RETRY_RUN_ID_TAG: "another"})
    assert world.look() == 0


def test_what_is_told_of_elsewhere_is_not_told_of_here(world: World) -> None:
    run = world.lose(**NOT_AGAIN)
    assert run.tags[WILL_RETRY_TAG] == "false"
    assert world.look() == 0


def test_what_failed_yesterday_was_told_of_yesterday(world: World) -> None:
    world.try_again(world.lose())
    assert world.look(24 * 60) == 0
