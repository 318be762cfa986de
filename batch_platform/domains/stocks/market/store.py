"""All SQL of the market but that of its report: listings, prices, actions, trading days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Literal, LiteralString

import pyarrow as pa
import pyarrow.compute

from batch_platform.core.errors import NoDataError
from batch_platform.core.trading_days import TradingCalendar, TradingDayOverride
from batch_platform.domains.stocks.market.models import (
    BaseDifference,
    CorporateAction,
    PriceDay,
)
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb, RowChanges

PRICES = "stocks.daily_prices"

# pyarrow's overloads say too little of a column's values for a strict check.
_pc: Any = pyarrow.compute

_LISTING_COLUMNS: tuple[LiteralString, ...] = (
    *("ticker", "isin", "name", "name_en", "market", "sector_id", "listing_date"),
    *("security_group", "certificate_kind", "par_value_krw", "shares_outstanding"),
    *("source", "is_made_up"),
)
# What data.go.kr does not tell stays as the exchange told it.
_KEPT_WHEN_UNTOLD = frozenset(
    (
        *("name_en", "sector_id", "listing_date"),
        *("security_group", "certificate_kind", "par_value_krw"),
    )
)


PriceRule = Literal["range", "volume_and_value", "market_cap", "change_rate"]

_BROKEN: Mapping[PriceRule, LiteralString] = {
    "range": "high < greatest(open, low) OR low > open"
    " OR NOT is_suspended AND (high < close OR low > close)",
    # The value lies between volume times low and volume times high; trades outside the session may
    # lie beyond them, so a tenth is allowed. In floats: a wrong figure must not overflow.
    "volume_and_value": "is_suspended <> (volume = 0) OR is_suspended <> (trading_value = 0)"
    " OR NOT is_suspended AND (trading_value < volume::float8 * low * 0.9 - 1"
    " OR trading_value > volume::float8 * high * 1.1 + 1)",
    "market_cap": "abs(shares_outstanding::float8 * close - market_cap) > close",
    "change_rate": "abs(change_rate::float8 - change_amount * 100.0::float8"
    " / (close - change_amount)) > 0.011",
}
"""Rule → the condition of a row that breaks it; a null (no range) breaks none."""


class MarketStore:
    """Reads and writes the market's tables in the schema `stocks`."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    # Trading days

    def calendar(self) -> TradingCalendar:
        """The exchange's calendar with every override."""
        return TradingCalendar(dict(self.overrides()))

    def overrides(self) -> list[tuple[date, TradingDayOverride]]:
        """Every override, in order."""
        rows = self._db.fetch_all(
            "SELECT date, is_open, reason FROM stocks.trading_day_overrides ORDER BY date"
        )
        return [(day, TradingDayOverride(is_open, reason)) for day, is_open, reason in rows]

    def put_override(self, day: date, override: TradingDayOverride) -> None:
        """Add an override, or replace that of the day."""
        with self._db.connect("stocks holidays") as connection:
            connection.execute(
                "INSERT INTO stocks.trading_day_overrides (date, is_open, reason)"
                " VALUES (%s, %s, %s) ON CONFLICT (date) DO UPDATE SET"
                " is_open = excluded.is_open, reason = excluded.reason, added_at = now()",
                [day, override.is_open, override.reason],
            )

    def remove_override(self, day: date) -> None:
        """Take an override away.

        Raises:
            NoDataError: There is none for the day.
        """
        with self._db.connect("stocks holidays") as connection:
            removed = connection.execute(
                "DELETE FROM stocks.trading_day_overrides WHERE date = %s", [day]
            )
            if removed.rowcount == 0:
                raise NoDataError(
                    f"There is no override for {day}", "See batch-platform stocks holidays list"
                )

    # Prices

    def replace_prices(
        self,
        transaction: PartitionTransaction,
        days: Sequence[PriceDay],
        tables: Sequence[pa.Table],
        *,
        run_id: str,
        is_made_up: bool,
        import_id: int | None = None,
    ) -> RowChanges:
        """Make days hold exactly these prices; rows that are the same are not touched.

        Args:
            transaction: In which the days are replaced.
            days: The days, closed ones among them.
            tables: Prices of the days that have any (`market_rows.PRICE_SCHEMA`).
            run_id: Who writes.
            is_made_up: Whether the sandbox gave them.
            import_id: The import that brings them; None for what the services gave.
        """
        table = pa.concat_tables(tables) if tables else None
        dates = [day.date for day in days]
        filled = {
            row[0]
            for row in transaction.connection.execute(
                # The limit makes it look into the index once a day; EXISTS would read the table.
                "SELECT day FROM unnest(%s::date[]) AS day"
                " WHERE (SELECT true FROM stocks.daily_prices WHERE date = day LIMIT 1)",
                [dates],
            )
        }
        changes = RowChanges()
        if table is not None:
            made_up = _repeated(is_made_up, table.num_rows)
            table = table.append_column("is_made_up", made_up)
            fresh = table
            if filled:
                was_there = _pc.is_in(table["date"], pa.array(sorted(filled), pa.date32()))
                fresh = table.filter(_pc.invert(was_there))
                changes += transaction.reconcile(
                    PRICES,
                    ("date", sorted(filled)),
                    ("date", "ticker"),
                    _batches(table.filter(was_there)),
                )
            changes += RowChanges(inserted=transaction.append(PRICES, _batches(fresh)))
            new = [day.date for day in days if day.row_count and day.date not in filled]
            transaction.note_overwritten(PRICES, ("date", new))
        elif filled:
            removed = transaction.connection.execute(
                "DELETE FROM stocks.daily_prices WHERE date = ANY(%s)", [sorted(filled)]
            )
            changes += RowChanges(removed=removed.rowcount)
            transaction.note_overwritten(PRICES, ("date", sorted(filled)))
        self._replace_days(transaction, days, run_id, is_made_up, import_id)
        return changes

    def _replace_days(
        self,
        transaction: PartitionTransaction,
        days: Sequence[PriceDay],
        run_id: str,
        is_made_up: bool,
        import_id: int | None,
    ) -> None:
        with transaction.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO stocks.price_days"
                " (date, kospi_rows, kosdaq_rows, source, reason, run_id, is_made_up, import_id)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (date) DO UPDATE SET kospi_rows = excluded.kospi_rows,"
                " kosdaq_rows = excluded.kosdaq_rows, source = excluded.source,"
                " reason = excluded.reason, run_id = excluded.run_id,"
                " is_made_up = excluded.is_made_up, import_id = excluded.import_id,"
                " fetched_at = now()",
                [
                    (
                        day.date,
                        day.rows.get("KOSPI", 0),
                        day.rows.get("KOSDAQ", 0),
                        day.source,
                        day.reason,
                        run_id,
                        is_made_up,
                        import_id,
                    )
                    for day in days
                ],
            )

    def price_days(self, start: date, end: date) -> dict[date, PriceDay]:
        """The days of a period that are there, closed ones among them."""
        rows = self._db.fetch_all(
            "SELECT date, kospi_rows, kosdaq_rows, source, reason FROM stocks.price_days"
            " WHERE date BETWEEN %s AND %s ORDER BY date",
            [start, end],
        )
        return {
            day: PriceDay(day, {"KOSPI": kospi, "KOSDAQ": kosdaq} if source else {}, source, reason)
            for day, kospi, kosdaq, source, reason in rows
        }

    def days_of_run(self, run_id: str) -> dict[date, PriceDay]:
        """The days that a run has written already: a step that is tried again leaves them out."""
        rows = self._db.fetch_all(
            "SELECT min(date), max(date), array_agg(date) FROM stocks.price_days WHERE run_id = %s",
            [run_id],
        )
        first, last, days = rows[0]
        if first is None:
            return {}
        return {
            day: found for day, found in self.price_days(first, last).items() if day in set(days)
        }

    def imported_days(self, start: date, end: date) -> dict[date, PriceDay]:
        """Days of a period whose prices an old system had collected."""
        rows = self._db.fetch_all(
            "SELECT date FROM stocks.price_days"
            " WHERE date BETWEEN %s AND %s AND import_id IS NOT NULL",
            [start, end],
        )
        imported = {row[0] for row in rows}
        return {
            day: found
            for day, found in (self.price_days(start, end) if imported else {}).items()
            if day in imported
        }

    def first_price_day(self) -> date | None:
        """The first day with prices; None when there are none."""
        ((day,),) = self._db.fetch_all(
            "SELECT min(date) FROM stocks.price_days WHERE source IS NOT NULL"
        )
        return day

    def suspended_counts(self, start: date, end: date) -> dict[date, int]:
        """Day → stocks that did not trade."""
        return dict(
            self._db.fetch_all(
                "SELECT date, count(*) FROM stocks.daily_prices"
                " WHERE date BETWEEN %s AND %s AND is_suspended GROUP BY date",
                [start, end],
            )
        )

    def preview(
        self, day: date, limit: int = 10, market: str | None = None
    ) -> list[tuple[str, str, str, int, float, int, bool]]:
        """The day's largest: (ticker, name, market, close, change in %, volume, suspended)."""
        return self._db.fetch_all(
            "SELECT price.ticker, coalesce(listing.name, ''), price.market, close,"
            " change_rate::float8, volume, is_suspended FROM stocks.daily_prices AS price"
            " LEFT JOIN stocks.listings AS listing USING (ticker)"
            " WHERE date = %(day)s AND (%(market)s::text IS NULL OR price.market = %(market)s)"
            " ORDER BY market_cap DESC, ticker LIMIT %(limit)s",
            {"day": day, "market": market, "limit": limit},
        )  # pyright: ignore[reportReturnType]

    # Corporate actions

    def base_differences(
        self, transaction: PartitionTransaction, pairs: Sequence[tuple[date, date]]
    ) -> list[BaseDifference]:
        """Stocks whose base price is not the close of the trading day before.

        Args:
            transaction: Sees what it has written.
            pairs: (day, trading day before) to look at; a stock must have a price on both.
        """
        # A pair at a time: the planner knows nothing yet of rows that this transaction wrote, and
        # would rather read the whole table than a few days.
        rows: list[tuple[Any, ...]] = []
        for day, before in pairs:
            rows += transaction.connection.execute(
                """
                SELECT now.date, now.ticker, before.close, now.close - now.change_amount,
                       before.shares_outstanding, now.shares_outstanding
                FROM stocks.daily_prices AS now
                JOIN stocks.daily_prices AS before USING (ticker)
                WHERE now.date = %s AND before.date = %s
                  AND now.close - now.change_amount <> before.close
                ORDER BY now.ticker
                """,
                [day, before],
            )
        return [BaseDifference(*row) for row in rows]

    def replace_actions(
        self,
        transaction: PartitionTransaction,
        days: Sequence[date],
        actions: Iterable[CorporateAction],
        *,
        is_made_up: bool,
    ) -> None:
        """Make days hold exactly these corporate actions."""
        actions = list(actions)
        removed = transaction.connection.execute(
            "DELETE FROM stocks.corporate_actions WHERE date = ANY(%s) RETURNING date", [list(days)]
        )
        changed = {row[0] for row in removed} | {action.difference.date for action in actions}
        transaction.note_overwritten("stocks.corporate_actions", ("date", sorted(changed)))
        with transaction.connection.cursor() as cursor:
            cursor.executemany(
                """
                INSERT INTO stocks.corporate_actions
                    (date, ticker, kind, previous_close, base_price, factor, shares_before,
                     shares_after, is_made_up)
                VALUES (%(date)s, %(ticker)s, %(kind)s, %(previous_close)s, %(base_price)s,
                        %(factor)s, %(shares_before)s, %(shares_after)s, %(is_made_up)s)
                """,
                [
                    asdict(action.difference)
                    | {"kind": action.kind, "factor": action.factor, "is_made_up": is_made_up}
                    for action in actions
                ],
            )

    # What checks count

    def broken_prices(self, days: Sequence[date], rule: PriceRule) -> tuple[int, int]:
        """(rows that break a rule of a price, rows) from the first of the days to the last."""
        rows = self._db.fetch_all(
            f"SELECT count(*) FILTER (WHERE {_BROKEN[rule]}), count(*)"
            " FROM stocks.daily_prices WHERE date BETWEEN %s AND %s",
            [days[0], days[-1]],
        )
        broken, seen = rows[0]
        return broken, seen

    def unmarked_changes(self, pairs: Sequence[tuple[date, date]]) -> tuple[int, int, int]:
        """(base prices that differ without an action, actions, stocks looked at) of the pairs."""
        rows = self._db.fetch_all(
            """
            SELECT count(*) FILTER (WHERE now.close - now.change_amount <> before.close
                                    AND action.ticker IS NULL),
                   count(action.ticker), count(*)
            FROM unnest(%s::date[], %s::date[]) AS pair (day, day_before)
            JOIN stocks.daily_prices AS now ON now.date = pair.day
            JOIN stocks.daily_prices AS before
                ON before.date = pair.day_before AND before.ticker = now.ticker
            LEFT JOIN stocks.corporate_actions AS action
                ON action.date = now.date AND action.ticker = now.ticker
            """,
            [[day for day, _ in pairs], [before for _, before in pairs]],
        )
        differing, actions, seen = rows[0]
        return differing, actions, seen

    def fallback_days(self, days: Sequence[date]) -> list[date]:
        """Of these days, those whose prices data.go.kr gave in the exchange's place."""
        rows = self._db.fetch_all(
            "SELECT date FROM stocks.price_days WHERE date = ANY(%s) AND source = 'PUBLIC_DATA'"
            " ORDER BY date",
            [list(days)],
        )
        return [row[0] for row in rows]

    def listing_differences(self, day: date) -> tuple[int, int]:
        """(stocks with a price that are not listed, listed ones without a price) on a day.

        Nothing differs on a day whose list was not read.
        """
        rows = self._db.fetch_all(
            """
            SELECT count(*) FILTER (WHERE listing.ticker IS NULL),
                   count(*) FILTER (WHERE price.ticker IS NULL)
            FROM (SELECT ticker FROM stocks.daily_prices WHERE date = %(day)s) AS price
            FULL JOIN (SELECT ticker FROM stocks.listings
                       WHERE %(day)s BETWEEN first_seen_date AND last_seen_date) AS listing
                USING (ticker)
            WHERE EXISTS (SELECT FROM stocks.listing_days WHERE date = %(day)s)
            """,
            {"day": day},
        )
        unlisted, unpriced = rows[0]
        return unlisted, unpriced

    # Listings

    def replace_listings(
        self,
        transaction: PartitionTransaction,
        day: PriceDay,
        table: pa.Table | None,
        *,
        is_made_up: bool,
    ) -> RowChanges:
        """Note who is listed on a day; what is known of a stock is as of its newest day.

        The result does not depend on the order in which days come.

        Args:
            transaction: In which the day is replaced.
            day: The day.
            table: Its stocks (`market_rows.LISTING_SCHEMA`); None when the exchange was closed.
            is_made_up: Whether the sandbox gave them.

        Returns:
            Stocks that are new, of which something other than the dates changed, and that are
            gone because only this day had them.
        """
        connection = transaction.connection
        connection.execute(
            "CREATE TEMP TABLE listed ON COMMIT DROP AS SELECT"
            f" {', '.join(_LISTING_COLUMNS)} FROM stocks.listings WITH NO DATA"
        )
        if table is not None:
            rows = _with_sectors(table).append_column(
                "is_made_up", _repeated(is_made_up, table.num_rows)
            )
            self._put_sectors(transaction, rows)
            transaction.append("listed", _batches(rows.select(list(_LISTING_COLUMNS))))
        given = {"day": day.date}
        removed = connection.execute(
            "DELETE FROM stocks.listings AS old"
            " WHERE first_seen_date = %(day)s AND last_seen_date = %(day)s"
            " AND NOT EXISTS (SELECT FROM listed WHERE listed.ticker = old.ticker)",
            given,
        ).rowcount
        connection.execute(
            "UPDATE stocks.listings AS old SET last_seen_date = (SELECT max(date)"
            "   FROM stocks.listing_days WHERE row_count > 0 AND date < %(day)s)"
            " WHERE last_seen_date = %(day)s"
            " AND NOT EXISTS (SELECT FROM listed WHERE listed.ticker = old.ticker)"
            " AND EXISTS (SELECT FROM stocks.listing_days WHERE row_count > 0 AND date < %(day)s"
            "   AND date >= old.first_seen_date)",
            given,
        )
        told: LiteralString = ", ".join(_LISTING_COLUMNS[1:])
        old: LiteralString = ", ".join([_of_old(column) for column in _LISTING_COLUMNS[1:]])
        new: LiteralString = ", ".join([_of_listed(column) for column in _LISTING_COLUMNS[1:]])
        changed = connection.execute(
            f"UPDATE stocks.listings AS old SET ({told}) = ({new})"
            " FROM listed WHERE listed.ticker = old.ticker AND old.last_seen_date <= %(day)s"
            f" AND ({old}) IS DISTINCT FROM ({new})",
            given,
        ).rowcount
        connection.execute(
            "UPDATE stocks.listings AS old SET first_seen_date = least(first_seen_date, %(day)s),"
            " last_seen_date = greatest(last_seen_date, %(day)s)"
            " FROM listed WHERE listed.ticker = old.ticker"
            " AND %(day)s NOT BETWEEN first_seen_date AND last_seen_date",
            given,
        )
        columns = ", ".join(_LISTING_COLUMNS)
        inserted = connection.execute(
            f"INSERT INTO stocks.listings ({columns}, first_seen_date, last_seen_date)"
            f" SELECT {columns}, %(day)s, %(day)s FROM listed ON CONFLICT (ticker) DO NOTHING",
            given,
        ).rowcount
        connection.execute("DROP TABLE listed")
        connection.execute(
            "INSERT INTO stocks.listing_days (date, row_count, source, reason, is_made_up)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (date) DO UPDATE SET"
            " row_count = excluded.row_count, source = excluded.source,"
            " reason = excluded.reason, is_made_up = excluded.is_made_up",
            [day.date, day.row_count, day.source, day.reason, is_made_up],
        )
        return RowChanges(inserted, changed, removed)

    def _put_sectors(self, transaction: PartitionTransaction, rows: pa.Table) -> None:
        names: Mapping[str, list[str | None]] = rows.select(["market", "section"]).to_pydict()
        pairs = sorted({(m or "", s or "") for m, s in zip(*names.values(), strict=True)})
        sectors: dict[str, tuple[str, str, int, str | None]] = {}
        for market, section in pairs:
            sectors[market] = (market, market, 1, None)
            if section:
                sectors[f"{market}/{section}"] = (section, "", 2, market)
        with transaction.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO stocks.sectors (code, name, name_en, level, parent_id)"
                " VALUES (%s, %s, nullif(%s, ''), %s, %s) ON CONFLICT (code) DO NOTHING",
                [(code, *values) for code, values in sectors.items()],
            )

    def listing_preview(self, day: date, limit: int = 10) -> list[tuple[str, str, str, str, int]]:
        """(ticker, name, market, listing date, shares) of stocks listed on a day, newest first."""
        return self._db.fetch_all(
            "SELECT ticker, name, market, coalesce(listing_date::text, ''), shares_outstanding"
            " FROM stocks.listings WHERE %s BETWEEN first_seen_date AND last_seen_date"
            " ORDER BY listing_date DESC NULLS LAST, ticker LIMIT %s",
            [day, limit],
        )  # pyright: ignore[reportReturnType]


def _of_old(column: LiteralString) -> LiteralString:
    return f"old.{column}"


def _of_listed(column: LiteralString) -> LiteralString:
    listed: LiteralString = f"listed.{column}"
    is_kept: bool = column in _KEPT_WHEN_UNTOLD
    return f"coalesce({listed}, {_of_old(column)})" if is_kept else listed


def _with_sectors(table: pa.Table) -> pa.Table:
    section = _pc.binary_join_element_wise(table["market"], table["section"], "/")
    return table.append_column("sector_id", _pc.coalesce(section, table["market"]))


def _repeated(value: bool, rows: int) -> Any:
    repeat: Any = pa.repeat
    return repeat(value, rows)


def _batches(table: pa.Table) -> list[pa.RecordBatch]:
    # One batch at least: `reconcile` takes the columns from it.
    return table.combine_chunks().to_batches() or [
        pa.RecordBatch.from_pylist([], schema=table.schema)
    ]


def remove_imported(transaction: PartitionTransaction, partition: str, import_id: int) -> int:
    """Delete a day that is an import's, with what was derived of it; returns the rows."""
    day = date.fromisoformat(partition)
    connection = transaction.connection
    is_its_own = connection.execute(
        "DELETE FROM stocks.price_days WHERE date = %s AND import_id = %s", [day, import_id]
    ).rowcount
    if not is_its_own:
        return 0
    removed = connection.execute("DELETE FROM stocks.daily_prices WHERE date = %s", [day]).rowcount
    connection.execute("DELETE FROM stocks.corporate_actions WHERE date = %s", [day])
    for table in (PRICES, "stocks.corporate_actions"):
        transaction.note_overwritten(table, ("date", [day]))
    return removed
