"""The financials half of the stocks domain as Dagster sees it."""

import dagster as dg

from batch_platform.core.settings import Settings


def financials_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, jobs and schedules of the financials half."""
    del settings
    return dg.Definitions()
