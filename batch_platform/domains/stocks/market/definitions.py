"""The market half of the stocks domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.market import assets
from batch_platform.domains.stocks.market.automation import (
    market_schedules,
    stocks_night_job,
    stocks_prices_job,
    stocks_report_job,
)
from batch_platform.domains.stocks.market.checks import market_checks


def market_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, jobs and schedules of the market half."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([assets], group_name="stocks"),
        asset_checks=market_checks,
        jobs=[stocks_night_job, stocks_prices_job, stocks_report_job],
        schedules=market_schedules(settings),
    )
