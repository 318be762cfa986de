"""What watches over all domains, as Dagster sees it."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from batch_platform.core.deadlines import AnyDeadline
from batch_platform.core.settings import Settings
from batch_platform.operations.incidents.sensors import (
    failed_check_sensor,
    failed_run_sensor,
    incidents_sensor,
)
from batch_platform.operations.schedules.declared import launched_by_the_dispatcher
from batch_platform.operations.schedules.sensor import dispatcher_sensor


def operations_definitions(
    jobs: Sequence[ExecutableDefinition],
    schedules: Sequence[dg.ScheduleDefinition],
    deadlines: Sequence[AnyDeadline],
    settings: Settings,
) -> dg.Definitions:
    """Sensors of the platform as a whole, and every schedule as the webserver shows it.

    Args:
        jobs: Of every domain: what a schedule in the table may launch.
        schedules: As the domains declare them.
        deadlines: Of every domain.
        settings: How many missed times run at once.
    """
    return dg.Definitions(
        schedules=[launched_by_the_dispatcher(schedule) for schedule in schedules],
        sensors=[
            failed_run_sensor,
            failed_check_sensor,
            incidents_sensor(deadlines),
            dispatcher_sensor(jobs, schedules, most_at_once=settings.platform.catch_up_at_once),
        ],
    )
