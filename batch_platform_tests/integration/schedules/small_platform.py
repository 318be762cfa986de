"""A code location with the real dispatcher over jobs that do nothing; tests set what it uses."""

import logging
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from unittest.mock import patch

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration

from batch_platform.core.settings import PROJECT_ROOT, Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.schedules.sensor import dispatcher_sensor

FIRST_MOMENT = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
"""09:00 in Seoul."""


class Now:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.value = FIRST_MOMENT

    def __call__(self) -> datetime:
        return self.value


class Given:
    """What the definitions use; set before they are."""

    db: PlatformDb
    clock: Callable[[], datetime]
    settings: Settings


class GivenDb(dg.ConfigurableResource[PlatformDb]):
    def create_resource(self, context: dg.InitResourceContext) -> PlatformDb:
        return Given.db


class GivenClock(dg.ConfigurableResource[Callable[[], datetime]]):
    def create_resource(self, context: dg.InitResourceContext) -> Callable[[], datetime]:
        return Given.clock


class Wish(dg.Config):
    gubun: str = "all"


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01", timezone="Asia/Seoul"))
def day(config: Wish) -> None:
    """One day."""


@dg.asset(partitions_def=dg.MonthlyPartitionsDefinition("2026-01-01", timezone="Asia/Seoul"))
def month() -> None:
    """One month."""


@dg.asset
def whole() -> None:
    """No partitions."""


JOBS = [
    dg.define_asset_job("day_job", dg.AssetSelection.assets(day)),
    dg.define_asset_job("month_job", dg.AssetSelection.assets(month)),
    dg.define_asset_job("whole_job", dg.AssetSelection.assets(whole)),
]

DECLARED: list[dg.ScheduleDefinition] = []
"""Schedules that code declares; a test puts in its own."""

defs = dg.Definitions(
    assets=[day, month, whole],
    jobs=JOBS,
    sensors=[dispatcher_sensor(JOBS, DECLARED)],
    resources={"platform_db": GivenDb(), "clock": GivenClock()},
)


WORKSPACE = InProcessWorkspaceLoadTarget(
    InProcessCodeLocationOrigin(
        LoadableTargetOrigin(
            module_name="batch_platform_tests.integration.schedules.small_platform",
            working_directory=str(PROJECT_ROOT),
            attribute="defs",
        ),
        location_name="small",
    )
)


def look(workspace: WorkspaceProcessContext) -> None:
    """One turn of Dagster's sensor daemon."""
    for _ in execute_sensor_iteration(
        workspace,
        logging.getLogger("dispatcher test"),
        threadpool_executor=None,
        submit_threadpool_executor=None,
    ):
        pass


def look_and_be_killed(instance: InstanceRef, url: str, now: datetime, place: str) -> None:
    """A process of its own whose only look ends with `kill -9` when it comes to a place.

    Args:
        instance: The Dagster instance.
        url: The platform's database.
        now: What time it is.
        place: Dotted name of the function whose call is not lived to see.
    """
    Given.db, Given.clock = PlatformDb(url), lambda: now

    def kill(*_arguments: object, **_more: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        patch("dagster._time._mockable_get_current_datetime", lambda: now),
        patch("dagster._time._mockable_get_current_timestamp", now.timestamp),
        patch(place, kill),
        dg.DagsterInstance.from_ref(instance) as own_instance,
        WorkspaceProcessContext(own_instance, WORKSPACE) as workspace,
    ):
        own_instance.run_coordinator.__dict__["_db"] = Given.db
        look(workspace)
