"""The sensor that turns due times into occurrences and occurrences into runs."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from batch_platform.core.days import Clock
from batch_platform.core.errors import PartitionBusyError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.schedules.dagster_runs import (
    DagsterRuns,
    jobs_of,
    run_request,
    why_not,
)
from batch_platform.operations.schedules.declared import DeclaredSchedules
from batch_platform.operations.schedules.dispatcher import MOST_AT_ONCE, Dispatcher

SECONDS_BETWEEN_LOOKS = 15


def dispatcher_sensor(
    jobs: Sequence[ExecutableDefinition],
    schedules: Sequence[dg.ScheduleDefinition] = (),
    *,
    most_at_once: int = MOST_AT_ONCE,
) -> dg.SensorDefinition:
    """The sensor.

    Args:
        jobs: Those that schedules may name.
        schedules: Those that code declares.
        most_at_once: Missed times of one schedule that run at the same time.
    """

    @dg.sensor(
        name="dispatcher_sensor",
        jobs=jobs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        description="Launches what every schedule, or somebody, asked for; fills gaps.",
    )
    def dispatcher_sensor(
        context: dg.SensorEvaluationContext,
        platform_db: dg.ResourceParam[PlatformDb],
        clock: dg.ResourceParam[Clock],
    ) -> list[dg.RunRequest] | dg.SkipReason:
        repository = context.repository_def
        assert repository is not None  # noqa: S101 - Dagster gives one to whom it evaluates
        declared = DeclaredSchedules(schedules, context.instance, repository)
        runs = DagsterRuns(context.instance)
        dispatcher = Dispatcher(platform_db, clock, runs, declared.ask, most_at_once)
        try:
            with platform_db.hold("operations/occurrences", "dispatcher", holder="dispatcher"):
                dispatcher.note_jobs(jobs_of(repository))
                dispatcher.note_declared(declared.all())
                dispatcher.note_outcomes()
                dispatcher.note_due()
                leased = dispatcher.lease(lambda each: why_not(each, repository))
        except PartitionBusyError:
            return dg.SkipReason("Another dispatcher is at work")
        if not leased:
            return dg.SkipReason("Nothing is due")
        return [run_request(occurrence) for occurrence in leased]

    return dispatcher_sensor
