"""The financials half of the stocks domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.financials import assets
from batch_platform.domains.stocks.financials.automation import (
    financials_schedules,
    stocks_financials_job,
    stocks_valuations_job,
)
from batch_platform.domains.stocks.financials.checks import financial_checks


def financials_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, jobs and schedules of the financials half."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([assets], group_name="stocks"),
        asset_checks=financial_checks,
        jobs=[stocks_financials_job, stocks_valuations_job],
        schedules=financials_schedules(settings),
    )
