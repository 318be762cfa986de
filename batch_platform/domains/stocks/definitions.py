"""The stocks domain as Dagster sees it: its two halves together."""

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.financials.definitions import financials_definitions
from batch_platform.domains.stocks.market.definitions import market_definitions


def stocks_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, jobs and schedules of the domain."""
    return dg.Definitions.merge(market_definitions(settings), financials_definitions(settings))
