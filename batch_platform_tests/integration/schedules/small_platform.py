"""A code location with the real dispatcher over jobs that do nothing; tests set what it uses."""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

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

defs = dg.Definitions(
    assets=[day, month, whole],
    jobs=JOBS,
    sensors=[dispatcher_sensor(JOBS)],
    resources={"platform_db": GivenDb(), "clock": GivenClock()},
)
