"""What watches over all domains, as Dagster sees it."""

import dagster as dg

from batch_platform.operations.failures import failure_mail_sensor


def operations_definitions() -> dg.Definitions:
    """Sensors of the platform as a whole."""
    return dg.Definitions(sensors=[failure_mail_sensor])
