"""Checks of the market: sentences that must be true of the days that a run made."""

from datetime import date

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.market.assets import daily_prices
from batch_platform.domains.stocks.market.logic import day_pairs, implausible_count
from batch_platform.domains.stocks.market.store import MarketStore, PriceRule
from batch_platform.domains.stocks.market.workflow import missing_trading_days
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.partitions import checked_day, partition_days

_ACTION_SHARE = 0.02
"""More corporate actions than this share of the stocks on one day are rather a wrong answer."""


@dg.asset_check(asset=daily_prices)
def daily_prices_have_no_gaps(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Every trading day from the first one stored to the checked one has prices."""
    missing = missing_trading_days(_days(context)[-1], db=platform_db)
    shown = ", ".join(f"{day}" for day in missing[:20])
    return dg.AssetCheckResult(
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"missing_days": len(missing), "missing": shown or "none"},
    )


@dg.asset_check(asset=daily_prices, blocking=True)
def highs_and_lows_are_around_open_and_close(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """High is at least open, close and low, and low at most open, of every stock that traded."""
    return _rule(context, platform_db, "range")


@dg.asset_check(asset=daily_prices)
def volume_and_value_are_in_agreement(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Both are zero for a stock that did not trade; value by volume lies between low and high."""
    return _rule(context, platform_db, "volume_and_value", dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=daily_prices, blocking=True)
def shares_times_close_are_the_market_cap(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Listed shares times close is the market capitalization, within one share's price."""
    return _rule(context, platform_db, "market_cap")


@dg.asset_check(asset=daily_prices, blocking=True)
def changes_are_from_the_close_before_or_an_action(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Change is close less the previous close, or a corporate action is marked; few are.

    An answer of another day would look like an action of every stock.
    """
    store = MarketStore(platform_db)
    pairs = day_pairs(_days(context), store.calendar())
    unmarked, actions, seen = store.unmarked_changes(pairs)
    wrong_rates, _ = store.broken_prices(_days(context), "change_rate")
    return dg.AssetCheckResult(
        passed=not unmarked and not wrong_rates and actions <= max(5, seen * _ACTION_SHARE),
        metadata={
            "unmarked_changes": unmarked,
            "corporate_actions": actions,
            "rates_that_are_not_of_their_change": wrong_rates,
            "stocks_compared": seen,
        },
    )


@dg.asset_check(asset=daily_prices, blocking=True)
def stocks_are_as_many_as_the_day_before(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """The number of stocks of each market is within 3 per cent of the trading day before."""
    store = MarketStore(platform_db)
    days = _days(context)
    calendar = store.calendar()
    stored = store.price_days(calendar.previous(days[0]), days[-1])
    found: list[str] = []
    for day in days:
        before = stored.get(calendar.previous(day))
        now = stored.get(day)
        if now and now.row_count and before:
            difference = implausible_count(now.rows, before.rows)
            found += [f"{day}: {difference}"] if difference else []
    return dg.AssetCheckResult(
        passed=not found,
        metadata={"days": len(days), "differences": "; ".join(found[:10]) or "none"},
    )


@dg.asset_check(asset=daily_prices)
def daily_prices_are_from_the_exchange(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
) -> dg.AssetCheckResult:
    """No day came from data.go.kr because the exchange, which has a key here, did not serve."""
    days = MarketStore(platform_db).fallback_days(_days(context))
    return dg.AssetCheckResult(
        passed=not days or settings.stocks.krx_auth_key is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"days_from_data_go_kr": len(days)},
    )


@dg.asset_check(asset=daily_prices)
def priced_stocks_are_listed(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Every stock with a price on the checked day is listed on it, if its list was read."""
    day = _days(context)[-1]
    unlisted, unpriced = MarketStore(platform_db).listing_differences(day)
    return dg.AssetCheckResult(
        passed=unlisted == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"unlisted": unlisted, "listed_without_a_price": unpriced},
    )


def _days(context: dg.AssetCheckExecutionContext) -> list[date]:
    """The days of the check's run, or yesterday when it runs by itself."""
    if context.has_partition_key or context.has_partition_key_range:
        return partition_days(context)
    return [checked_day(context)]


def _rule(
    context: dg.AssetCheckExecutionContext,
    db: PlatformDb,
    rule: PriceRule,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    broken, rows = MarketStore(db).broken_prices(_days(context), rule)
    return dg.AssetCheckResult(
        passed=broken == 0, severity=severity, metadata={"broken_rows": broken, "rows": rows}
    )


market_checks = [
    daily_prices_have_no_gaps,
    highs_and_lows_are_around_open_and_close,
    volume_and_value_are_in_agreement,
    shares_times_close_are_the_market_cap,
    changes_are_from_the_close_before_or_an_action,
    stocks_are_as_many_as_the_day_before,
    daily_prices_are_from_the_exchange,
    priced_stocks_are_listed,
]
