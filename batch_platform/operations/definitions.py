"""What watches over all domains, as Dagster sees it."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from batch_platform.operations.incidents.sensors import failed_run_sensor, incidents_sensor
from batch_platform.operations.schedules.sensor import dispatcher_sensor
from batch_platform.orchestration.deadlines import AnyDeadline


def operations_definitions(
    jobs: Sequence[ExecutableDefinition], deadlines: Sequence[AnyDeadline]
) -> dg.Definitions:
    """Sensors of the platform as a whole.

    Args:
        jobs: Of every domain: what a schedule in the table may launch.
        deadlines: Of every domain.
    """
    return dg.Definitions(
        sensors=[failed_run_sensor, incidents_sensor(deadlines), dispatcher_sensor(jobs)]
    )
