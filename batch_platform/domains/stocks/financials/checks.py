"""Checks of the financials: sentences that must be true of a quarter or day."""

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.financials.assets import (
    corp_codes,
    financial_ratios,
    financial_statements,
    valuations,
)
from batch_platform.domains.stocks.financials.models import Quarter
from batch_platform.domains.stocks.financials.store import FinancialStore
from batch_platform.domains.stocks.financials.workflow import outdated_quarters
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.partitions import (
    checked_day,
    checked_days,
    partition_quarters,
)

_SHOWN = 10
_FEWEST_COMPANIES = 0.9


def _quarters(context: dg.AssetCheckExecutionContext) -> list[Quarter]:
    """Its run's quarters, or the last one that was due when it runs by itself."""
    if context.has_partition_key or context.has_partition_key_range:
        return [Quarter.starting(day) for day in partition_quarters(context)]
    return [Quarter.last_due(checked_day(context))]


def _shown(found: list[str]) -> str:
    return ", ".join(found[:_SHOWN]) or "none"


@dg.asset_check(asset=corp_codes, blocking=True)
def corp_codes_are_as_many_as_before(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """The office lists at least nine tenths of the companies that the quarter before knew."""
    quarter = _quarters(context)[-1]
    store = FinancialStore(platform_db)
    now, before = (len(store.corporations(each)) for each in (quarter, quarter.plus(-1)))
    return dg.AssetCheckResult(
        passed=now >= before * _FEWEST_COMPANIES,
        metadata={"companies": now, "companies_before": before},
    )


@dg.asset_check(asset=financial_statements)
def balance_sheets_have_equal_sides(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Assets are liabilities and equity, within the rounding of the report's unit."""
    store = FinancialStore(platform_db)
    found = [each for quarter in _quarters(context) for each in store.unbalanced(quarter)]
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "companies": len(found),
            "unequal": _shown([f"{ticker} ({difference:+,})" for ticker, difference in found]),
        },
    )


@dg.asset_check(asset=financial_statements, blocking=True)
def receipt_dates_are_not_after_retrieval(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
) -> dg.AssetCheckResult:
    """No filing claims to have been received after we had it: valuations go by that date."""
    store, zone = FinancialStore(platform_db), settings.platform.timezone
    found = [
        each
        for quarter in _quarters(context)
        for each in store.received_after_retrieval(quarter, zone)
    ]
    return dg.AssetCheckResult(
        passed=not found, metadata={"filings": len(found), "receipt_numbers": _shown(found)}
    )


@dg.asset_check(asset=financial_statements)
def most_companies_have_filed(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Four of five listed companies have a statement once a quarter's deadline has passed.

    Before it, the quarter is asked for only when a person wants to, and fewer have filed.
    """
    listed, filed = FinancialStore(platform_db).statement_counts(_quarters(context)[-1])
    return dg.AssetCheckResult(
        passed=filed >= 0.8 * listed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"listed": listed, "filed": filed},
    )


@dg.asset_check(asset=financial_ratios, blocking=True)
def every_statement_has_ratios_or_a_reason(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """A company with a statement has ratios, and each missing ratio says why it is missing."""
    store = FinancialStore(platform_db)
    found = [
        each for quarter in _quarters(context) for each in store.companies_without_ratios(quarter)
    ]
    return dg.AssetCheckResult(
        passed=not found, metadata={"companies": len(found), "tickers": _shown(found)}
    )


@dg.asset_check(asset=financial_ratios)
def later_ratios_have_the_newest_filings(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Ratios of later quarters know this one's newest filings; else those quarters are named.

    Materialize `financial_ratios` of the named quarters; the command does that by itself.
    """
    found = sorted(
        {
            later
            for quarter in _quarters(context)
            for later in outdated_quarters(quarter, platform_db)
        }
    )
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"quarters_to_make_again": _shown([str(each) for each in found])},
    )


@dg.asset_check(asset=valuations, blocking=True)
def valuations_have_only_known_statements(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """No valuation rests on a filing that was received after its day."""
    days = checked_days(context, checked_day(context))
    found = FinancialStore(platform_db).valuations_that_look_ahead(min(days), max(days))
    return dg.AssetCheckResult(
        passed=not found, metadata={"rows": len(found), "tickers": _shown(found)}
    )


@dg.asset_check(asset=valuations)
def every_common_stock_has_a_valuation(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Each stock with a price and a corporation code has a row that day, be it one of reasons."""
    days = checked_days(context, checked_day(context))
    found = FinancialStore(platform_db).unvalued(min(days), max(days))
    return dg.AssetCheckResult(
        passed=not found, metadata={"rows": len(found), "tickers": _shown(found)}
    )


financial_checks = [
    corp_codes_are_as_many_as_before,
    balance_sheets_have_equal_sides,
    receipt_dates_are_not_after_retrieval,
    most_companies_have_filed,
    every_statement_has_ratios_or_a_reason,
    later_ratios_have_the_newest_filings,
    valuations_have_only_known_statements,
    every_common_stock_has_a_valuation,
]
