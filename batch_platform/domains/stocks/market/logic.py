"""Rules of the market: when a day's size is plausible, what a base price suggests. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute

from batch_platform.core.trading_days import TradingCalendar
from batch_platform.domains.stocks.market.models import (
    BaseDifference,
    CorporateAction,
    MonthCoverage,
    PriceDay,
)
from batch_platform.gateways.market_rows import MARKETS, Market

# pyarrow's overloads say too little of a column's values for a strict check.
_pc: Any = pyarrow.compute

COUNT_TOLERANCE = 0.03
"""Share by which a market's number of stocks may differ from the trading day before."""

_SHARES_TOLERANCE = 0.02


def missing_markets(rows: Mapping[Market, int]) -> list[Market]:
    """Markets without a single stock."""
    return [market for market in MARKETS if not rows.get(market)]


def implausible_count(rows: Mapping[Market, int], before: Mapping[Market, int]) -> str | None:
    """Say which market's number of stocks is too far from that of the day before, if one's is."""
    for market in MARKETS:
        now, then = rows.get(market, 0), before.get(market, 0)
        if then and abs(now - then) > COUNT_TOLERANCE * then:
            return f"{market} has {now:,} stocks, {then:,} on the trading day before"
    return None


def corporate_action(difference: BaseDifference) -> CorporateAction:
    """Tell what a base price that is not the previous close suggests.

    The exchange gives no reason, so price and number of shares must tell: in a split or
    consolidation they move against each other; a rights issue or bonus issue takes from the price
    first, and its shares are listed weeks later.
    """
    factor = difference.base_price / difference.previous_close
    ratio = difference.shares_after / difference.shares_before
    if ratio != 1 and abs(factor * ratio - 1) <= _SHARES_TOLERANCE:
        kind = "split" if ratio > 1 else "consolidation"
    elif factor < 1 and ratio == 1:
        kind = "rights"
    else:
        kind = "other"
    return CorporateAction(difference, kind, factor)


def base_differences(before: pa.Table, now: pa.Table) -> list[BaseDifference]:
    """Stocks whose base price is not the close of the trading day before, of one day.

    Args:
        before: Prices of the trading day before (`market_rows.PRICE_SCHEMA`).
        now: Prices of the day.
    """
    known = _pc.index_in(now["ticker"], value_set=before["ticker"])
    close_before = _pc.take(before["close"], known)
    base = _pc.subtract(now["close"], now["change_amount"])
    differs = _pc.not_equal(base, close_before)  # null, and left out, where a stock is new
    columns = [
        now["date"],
        now["ticker"],
        close_before,
        base,
        _pc.take(before["shares_outstanding"], known),
        now["shares_outstanding"],
    ]
    found = [_pc.filter(column, differs).to_pylist() for column in columns]
    return [BaseDifference(*values) for values in zip(*found, strict=True)]


def day_pairs(days: Sequence[date], calendar: TradingCalendar) -> list[tuple[date, date]]:
    """Every (day, trading day before) that a change of these days' prices concerns.

    These are each day with its predecessor, and its successor with the day.
    """
    pairs: set[tuple[date, date]] = set()
    for day in days:
        if calendar.is_open(day):
            pairs |= {(day, calendar.previous(day)), (calendar.next(day), day)}
    return sorted(pairs)


def coverage_by_month(
    start: date,
    end: date,
    stored: Mapping[date, PriceDay],
    suspended: Mapping[date, int],
    calendar: TradingCalendar,
) -> list[MonthCoverage]:
    """What is there of each month from `start` to `end`, and what is missing."""
    months: dict[date, list[date]] = {}
    for day in calendar.days(start, end):
        months.setdefault(day.replace(day=1), []).append(day)
    return [
        _month_coverage(month, days, stored, suspended) for month, days in sorted(months.items())
    ]


def _month_coverage(
    month: date,
    days: Sequence[date],
    stored: Mapping[date, PriceDay],
    suspended: Mapping[date, int],
) -> MonthCoverage:
    there = [stored[day] for day in days if day in stored and stored[day].row_count]
    counts = [day.row_count for day in there]
    there_dates = {day.date for day in there}
    return MonthCoverage(
        month=month,
        trading_days=len(days),
        stored_days=len(there),
        missing=tuple(day for day in days if day not in there_dates),
        least_rows=min(counts, default=0),
        most_rows=max(counts, default=0),
        fallback_days=sum(day.source == "PUBLIC_DATA" for day in there),
        suspended_rows=sum(suspended.get(day, 0) for day in there_dates),
    )
