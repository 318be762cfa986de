"""The SQL of the monthly price report: one month, seen in one state of the data."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, LiteralString

import psycopg

from batch_platform.gateways.platform_db import PlatformDb

_REPEATABLE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

# A month's return takes every base price into account, so that a split is no loss: the product of
# close by base price over the days.
_RETURNS: LiteralString = """
    SELECT ticker, max(market) AS market,
           exp(sum(ln(close::float8 / (close - change_amount)))) - 1 AS month_return,
           (array_agg(close ORDER BY date DESC))[1] AS close,
           (array_agg(market_cap ORDER BY date DESC))[1] AS market_cap,
           sum(volume)::bigint AS volume, sum(trading_value)::bigint AS trading_value,
           count(*) FILTER (WHERE is_suspended) AS suspended_days, count(*) AS days
    FROM stocks.daily_prices WHERE date BETWEEN %(first)s AND %(last)s
    GROUP BY ticker
"""


@dataclass(frozen=True, slots=True)
class StockMonth:
    """A stock's month: return as a share, won."""

    ticker: str
    name: str
    market: str
    month_return: float
    close: int
    market_cap: int
    volume: int
    trading_value: int


@dataclass(frozen=True, slots=True)
class SectorMonth:
    """A market's section: stocks, capitalization and value in won, return weighted by size."""

    sector: str
    stocks: int
    market_cap: int
    trading_value: int
    month_return: float


@dataclass(frozen=True, slots=True)
class DayOfMarket:
    """A trading day of both markets: stocks that rose and fell, won."""

    date: date
    stocks: int
    rising: int
    falling: int
    suspended: int
    volume: int
    trading_value: int
    market_cap: int


@dataclass(frozen=True, slots=True)
class ActionLine:
    """A corporate action with the stock's name."""

    date: date
    ticker: str
    name: str
    kind: str
    previous_close: int
    base_price: int
    factor: float
    shares_before: int
    shares_after: int


class MonthSource:
    """Figures of a month; made by `month_source`."""

    def __init__(self, connection: psycopg.Connection, first: date, last: date) -> None:
        self._connection = connection
        self._period = {"first": first, "last": last}

    def movers(self, limit: int, *, is_rising: bool) -> Sequence[StockMonth]:
        """The stocks that rose, or fell, most. Stocks that were suspended throughout are not in."""
        direction: LiteralString = "DESC" if is_rising else "ASC"
        return self._stocks(f"month_return {direction}, ticker", limit)

    def most_traded(self, limit: int) -> Sequence[StockMonth]:
        """The stocks with the largest traded value."""
        return self._stocks("trading_value DESC, ticker", limit)

    def sectors(self) -> Sequence[SectorMonth]:
        """Every section of every market, the largest first."""
        rows = self._rows(
            f"""
            WITH month AS ({_RETURNS})
            SELECT coalesce(parent.name || ' · ', '') || coalesce(sector.name, month.market),
                   count(*), sum(market_cap)::bigint, sum(trading_value)::bigint,
                   sum(month_return * market_cap) / sum(market_cap)
            FROM month
            LEFT JOIN stocks.listings AS listing USING (ticker)
            LEFT JOIN stocks.sectors AS sector ON sector.code = listing.sector_id
            LEFT JOIN stocks.sectors AS parent ON parent.code = sector.parent_id
            GROUP BY 1 ORDER BY 3 DESC
            """
        )
        return [SectorMonth(*row) for row in rows]

    def days(self) -> Sequence[DayOfMarket]:
        """Every stored trading day, in order."""
        rows = self._rows(
            """
            SELECT date, count(*), count(*) FILTER (WHERE change_amount > 0),
                   count(*) FILTER (WHERE change_amount < 0), count(*) FILTER (WHERE is_suspended),
                   sum(volume)::bigint, sum(trading_value)::bigint, sum(market_cap)::bigint
            FROM stocks.daily_prices WHERE date BETWEEN %(first)s AND %(last)s
            GROUP BY date ORDER BY date
            """
        )
        return [DayOfMarket(*row) for row in rows]

    def actions(self) -> Sequence[ActionLine]:
        """Every corporate action, in order."""
        rows = self._rows(
            """
            SELECT date, ticker, coalesce(name, ''), kind, previous_close, base_price, factor,
                   shares_before, shares_after
            FROM stocks.corporate_actions LEFT JOIN stocks.listings USING (ticker)
            WHERE date BETWEEN %(first)s AND %(last)s ORDER BY date, ticker
            """
        )
        return [ActionLine(*row) for row in rows]

    def stock_count(self) -> int:
        """Stocks that had a price."""
        ((count,),) = self._rows(
            "SELECT count(DISTINCT ticker) FROM stocks.daily_prices"
            " WHERE date BETWEEN %(first)s AND %(last)s"
        )
        return count

    def has_made_up(self) -> bool:
        """Whether any day came from the sandbox."""
        ((found,),) = self._rows(
            "SELECT coalesce(bool_or(is_made_up), false) FROM stocks.price_days"
            " WHERE date BETWEEN %(first)s AND %(last)s"
        )
        return found

    def _stocks(self, order: LiteralString, limit: int) -> list[StockMonth]:
        rows = self._rows(
            f"""
            WITH month AS ({_RETURNS})
            SELECT ticker, coalesce(name, ''), month.market, month_return, close, market_cap,
                   volume, trading_value
            FROM month LEFT JOIN stocks.listings USING (ticker)
            WHERE suspended_days < days ORDER BY {order} LIMIT %(limit)s
            """,
            limit=limit,
        )
        return [StockMonth(*row) for row in rows]

    def _rows(self, query: LiteralString, **more: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, {**self._period, **more}).fetchall()


@contextmanager
def month_source(db: PlatformDb, first: date, last: date) -> Generator[MonthSource, None, None]:
    """Give the figures of a period; all of them see the same state of the data."""
    with db.connect("stocks report") as connection, connection.transaction():
        connection.execute(_REPEATABLE)
        yield MonthSource(connection, first, last)
