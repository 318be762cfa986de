"""What watches over all domains, as Dagster sees it."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from batch_platform.operations.failures import failure_mail_sensor
from batch_platform.operations.schedules.sensor import dispatcher_sensor


def operations_definitions(jobs: Sequence[ExecutableDefinition]) -> dg.Definitions:
    """Sensors of the platform as a whole.

    Args:
        jobs: Of every domain: what a schedule in the table may launch.
    """
    return dg.Definitions(sensors=[failure_mail_sensor, dispatcher_sensor(jobs)])
