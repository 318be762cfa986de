"""All SQL of the financials: corporation codes, statements, ratios, valuations.

Prices and listed shares are read from `stocks.daily_prices`, which the market half writes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import pyarrow as pa
from psycopg import sql

from batch_platform.domains.stocks.financials.models import (
    Flow,
    ListedShares,
    Quarter,
    Ratio,
    Ratios,
    Statement,
)
from batch_platform.gateways.opendart import Basis, Corporation
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb, RowChanges

OLDEST_STATEMENT_DAYS = 550
"""A statement of a period that ended longer ago serves no valuation: five quarters, and time to
file them."""

_QUARTER = [
    ("quarter_start", pa.date32()),
    ("fiscal_year", pa.int16()),
    ("fiscal_quarter", pa.int16()),
]
_BALANCE = (
    "total_assets",
    "total_liabilities",
    "total_equity",
    "current_assets",
    "current_liabilities",
)
_FLOWS = ("revenue", "operating_income", "net_income")

_CORP_CODE_SCHEMA = pa.schema(
    [
        *_QUARTER,
        ("ticker", pa.string()),
        ("corp_code", pa.string()),
        ("corp_name", pa.string()),
        ("modify_date", pa.date32()),
        ("is_made_up", pa.bool_()),
    ]
)

_STATEMENT_SCHEMA = pa.schema(
    [
        *_QUARTER,
        ("corp_code", pa.string()),
        ("receipt_no", pa.string()),
        ("ticker", pa.string()),
        ("received_date", pa.date32()),
        ("statement_type", pa.string()),
        ("period_end", pa.date32()),
        *((f"{name}_krw", pa.int64()) for name in _BALANCE),
        *(
            (f"{name}{part}_krw", pa.int64())
            for name in _FLOWS
            for part in ("", "_ytd", "_prior_ytd")
        ),
        ("balance_sheet", pa.string()),
        ("income_statement", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""What the call for many companies tells. What only a company's own list of accounts tells is
written by `add_all_accounts` and is in no column of these."""

_KEY = ("quarter_start", "corp_code", "receipt_no")

_RATIO_SCHEMA = pa.schema(
    [
        *_QUARTER,
        ("corp_code", pa.string()),
        ("known_from", pa.date32()),
        ("ticker", pa.string()),
        ("receipt_no", pa.string()),
        ("receipt_numbers", pa.string()),
        ("statement_type", pa.string()),
        ("period_end", pa.date32()),
        *((f"{name}_krw", pa.int64()) for name in _FLOWS),
        *((f"trailing_{name}_krw", pa.int64()) for name in _FLOWS),
        ("earnings_krw", pa.int64()),
        ("book_value_krw", pa.int64()),
        ("has_owners_figures", pa.bool_()),
        ("shares", pa.int64()),
        ("shares_date", pa.date32()),
        *((ratio.value, pa.float64()) for ratio in Ratio),
        ("reasons", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of the filings of an answer.

    Attributes:
        new_filings: Receipt numbers that were not here.
        corrections: Those of them by companies whose quarter was here already.
        changed_filings: Filings that were here and whose figures the office has since mended.
        unchanged_filings: Filings that were here already, as they came.
    """

    new_filings: int
    corrections: int
    changed_filings: int
    unchanged_filings: int


@dataclass(frozen=True, slots=True)
class Valued:
    """What became of some days' prices.

    Attributes:
        rows: Valuations written: common stocks with a corporation code.
        without_statement: Those for which no statement was known on their day.
        left_out: Prices of stocks without a corporation code: preferred shares.
    """

    rows: int = 0
    without_statement: int = 0
    left_out: int = 0

    def __add__(self, other: "Valued") -> "Valued":
        return Valued(
            self.rows + other.rows,
            self.without_statement + other.without_statement,
            self.left_out + other.left_out,
        )


class FinancialStore:
    """Reads and writes the financials' tables of the schema `stocks`."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def replace_corporations(
        self,
        transaction: PartitionTransaction,
        quarter: Quarter,
        corporations: Sequence[Corporation],
        is_made_up: bool,
    ) -> RowChanges:
        """Put the office's directory in place of what a quarter held."""
        rows = [
            {
                **_quarter_columns(quarter),
                "ticker": each.ticker,
                "corp_code": each.corp_code,
                "corp_name": each.corp_name,
                "modify_date": each.modify_date,
                "is_made_up": is_made_up,
            }
            for each in corporations
        ]
        return transaction.reconcile(
            "stocks.corp_codes",
            ("quarter_start", [quarter.first_day]),
            ["quarter_start", "ticker"],
            _batches(rows, _CORP_CODE_SCHEMA),
        )

    def corporations(self, quarter: Quarter) -> dict[str, str]:
        """Corporation code → ticker, as the office listed them for a quarter."""
        rows = self._db.fetch_all(
            "SELECT corp_code, ticker FROM stocks.corp_codes"
            " WHERE quarter_start = %s ORDER BY corp_code",
            [quarter.first_day],
        )
        return dict(rows)

    def land(
        self,
        transaction: PartitionTransaction,
        statements: Sequence[Statement],
        is_made_up: bool,
    ) -> Landed:
        """Add filings that are new and mend those that changed; no filing is ever deleted."""
        connection = transaction.connection
        connection.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE came ON COMMIT DROP AS"
                " SELECT {} FROM stocks.financial_statements WITH NO DATA"
            ).format(sql.SQL(", ").join(map(sql.Identifier, _STATEMENT_SCHEMA.names)))
        )
        rows = [_statement_row(each, is_made_up) for each in statements]
        transaction.append("came", _batches(rows, _STATEMENT_SCHEMA))
        counted = connection.execute(
            """
            SELECT count(*) FILTER (WHERE same.corp_code IS NULL),
                   count(*) FILTER (WHERE same.corp_code IS NULL AND EXISTS (
                       SELECT FROM stocks.financial_statements AS other
                       WHERE other.quarter_start = came.quarter_start
                           AND other.corp_code = came.corp_code))
            FROM came LEFT JOIN stocks.financial_statements AS same
                USING (quarter_start, corp_code, receipt_no)
            """
        ).fetchone()
        new, corrections = cast(tuple[int, int], counted)
        written = connection.execute(_merge()).rowcount
        changed = written - new
        return Landed(new, corrections, changed, len(rows) - written)

    def without_all_accounts(self, quarter: Quarter) -> list[Statement]:
        """Each company's newest filing of a quarter, where its full list was never asked for."""
        return [
            statement
            for statement in self._statements(quarter, quarter, newest_only=True)
            if not statement.has_all_accounts
        ]

    def add_all_accounts(
        self, transaction: PartitionTransaction, statements: Sequence[Statement]
    ) -> None:
        """Write what the companies' full lists of accounts told."""
        with transaction.connection.cursor() as cursor:
            cursor.executemany(
                """
                UPDATE stocks.financial_statements SET
                    owners_equity_krw = %(owners_equity)s,
                    owners_net_income_krw = %(three_months)s,
                    owners_net_income_ytd_krw = %(year_to_date)s,
                    owners_net_income_prior_ytd_krw = %(prior_year_to_date)s,
                    operating_cash_flow_ytd_krw = %(operating_cash_flow)s,
                    cash_flow = %(cash_flow)s, equity_changes = %(equity_changes)s,
                    has_all_accounts = true, retrieved_at = now()
                WHERE quarter_start = %(quarter_start)s
                    AND corp_code = %(corp_code)s AND receipt_no = %(receipt_no)s
                """,
                [_all_accounts_row(each) for each in statements],
            )

    def statements(self, first: Quarter, last: Quarter) -> list[Statement]:
        """Every filing of the quarters from `first` to `last`, without the lines as received."""
        return self._statements(first, last, newest_only=False)

    def _statements(self, first: Quarter, last: Quarter, *, newest_only: bool) -> list[Statement]:
        distinct = sql.SQL("DISTINCT ON (quarter_start, corp_code)" if newest_only else "")
        query = sql.SQL(
            """
            SELECT {distinct} fiscal_year, fiscal_quarter, corp_code, ticker, receipt_no,
                   received_date, statement_type, period_end, total_assets_krw,
                   total_liabilities_krw, total_equity_krw, owners_equity_krw, current_assets_krw,
                   current_liabilities_krw, revenue_krw, revenue_ytd_krw, revenue_prior_ytd_krw,
                   operating_income_krw, operating_income_ytd_krw, operating_income_prior_ytd_krw,
                   net_income_krw, net_income_ytd_krw, net_income_prior_ytd_krw,
                   owners_net_income_krw, owners_net_income_ytd_krw,
                   owners_net_income_prior_ytd_krw, operating_cash_flow_ytd_krw, has_all_accounts
            FROM stocks.financial_statements
            WHERE quarter_start BETWEEN %s AND %s
            ORDER BY quarter_start, corp_code, receipt_no DESC
            """
        ).format(distinct=distinct)
        with self._db.connect("read statements") as connection:
            rows = connection.execute(query, [first.first_day, last.first_day])
            return [_as_statement(row) for row in rows]

    def listed_shares(self, asked: Iterable[tuple[str, date]]) -> dict[str, list[ListedShares]]:
        """How many shares of each ticker were listed near each day that is asked for.

        Args:
            asked: Tickers and days.

        Returns:
            Ticker → its shares on the last trading day up to each day, or else on the first after.
        """
        tickers, days = zip(*asked, strict=True) if (asked := list(asked)) else ((), ())
        rows = self._db.fetch_all(
            """
            SELECT asked.ticker, near.shares_outstanding, near.date
            FROM unnest(%s::text[], %s::date[]) AS asked (ticker, day)
            CROSS JOIN LATERAL (
                (SELECT shares_outstanding, date FROM stocks.daily_prices AS price
                 WHERE price.ticker = asked.ticker AND date <= day ORDER BY date DESC LIMIT 1)
                UNION ALL
                (SELECT shares_outstanding, date FROM stocks.daily_prices AS price
                 WHERE price.ticker = asked.ticker AND date > day ORDER BY date LIMIT 1)
                LIMIT 1
            ) AS near
            """,
            [list(tickers), list(days)],
        )
        shares: dict[str, list[ListedShares]] = {}
        for ticker, count, day in rows:
            shares.setdefault(ticker, []).append(ListedShares(count, day))
        return shares

    def replace_ratios(
        self,
        transaction: PartitionTransaction,
        quarter: Quarter,
        ratios: Sequence[Ratios],
        is_made_up: bool,
    ) -> RowChanges:
        """Put a quarter's ratios in place of what was there."""
        rows = [_ratio_row(quarter, each, is_made_up) for each in ratios]
        return transaction.reconcile(
            "stocks.financial_ratios",
            ("quarter_start", [quarter.first_day]),
            ["quarter_start", "corp_code", "known_from"],
            _batches(rows, _RATIO_SCHEMA),
        )

    def ratio_preview(self, quarter: Quarter, limit: int = 10) -> list[tuple[Any, ...]]:
        """The quarter's largest companies by equity: newest ratios, in per cent or won."""
        return self._db.fetch_all(
            """
            SELECT ticker, corp_name, known_from, round(roe::numeric * 100, 1),
                   round(debt_ratio::numeric * 100, 1), round(eps_krw::numeric),
                   round(bps_krw::numeric)
            FROM (
                SELECT DISTINCT ON (corp_code) * FROM stocks.financial_ratios
                WHERE quarter_start = %s
                ORDER BY corp_code, known_from DESC
            ) AS newest
            JOIN stocks.corp_code_map USING (ticker)
            ORDER BY book_value_krw DESC NULLS LAST, ticker LIMIT %s
            """,
            [quarter.first_day, limit],
        )

    def closed_days(self, start: date, end: date) -> dict[date, str]:
        """Days of a range without prices, with the reason that the market half gives."""
        rows = self._db.fetch_all(
            "SELECT date, reason FROM stocks.price_days"
            " WHERE date BETWEEN %s AND %s AND reason IS NOT NULL ORDER BY date",
            [start, end],
        )
        return dict(rows)

    def days_without_prices(self, start: date, end: date) -> list[date]:
        """Days of a range whose prices were never fetched."""
        rows = self._db.fetch_all(
            """
            SELECT day::date FROM generate_series(%s::date, %s::date, '1 day') AS day
            WHERE NOT EXISTS (SELECT FROM stocks.price_days WHERE date = day) ORDER BY day
            """,
            [start, end],
        )
        return [row[0] for row in rows]

    def replace_valuations(
        self, transaction: PartitionTransaction, start: date, end: date, is_made_up: bool
    ) -> Valued:
        """Value the common stocks of some days by the statements received up to each day.

        A company's current row is that of the newest period, and of its versions the newest; a
        correction of an older period changes nothing. The range decides only how many days are
        written at once.
        """
        connection, days = transaction.connection, {"start": start, "end": end}
        connection.execute(
            "DELETE FROM stocks.valuations WHERE date BETWEEN %(start)s AND %(end)s", days
        )
        connection.execute(
            _VALUATION, {**days, "oldest": OLDEST_STATEMENT_DAYS, "is_made_up": is_made_up}
        )
        row = connection.execute(
            """
            SELECT count(*), count(*) FILTER (WHERE receipt_no IS NULL),
                   (SELECT count(*) FROM stocks.daily_prices
                    WHERE date BETWEEN %(start)s AND %(end)s) - count(*)
            FROM stocks.valuations WHERE date BETWEEN %(start)s AND %(end)s
            """,
            days,
        ).fetchone()
        return Valued(*cast(tuple[int, int, int], row))

    def valuation_preview(self, day: date, limit: int = 10) -> list[tuple[Any, ...]]:
        """The day's largest companies: ticker, name, PER, PBR, ROE in per cent, quarter."""
        return self._db.fetch_all(
            """
            SELECT ticker, corp_name, round(per::numeric, 1), round(pbr::numeric, 2),
                   round(roe::numeric * 100, 1), to_char(quarter_start, 'YYYY-"Q"Q')
            FROM stocks.valuations
            JOIN stocks.daily_prices AS price USING (date, ticker)
            JOIN stocks.corp_code_map USING (ticker)
            WHERE date = %s ORDER BY price.market_cap DESC, ticker LIMIT %s
            """,
            [day, limit],
        )

    def unbalanced(self, quarter: Quarter) -> list[tuple[str, int]]:
        """Companies whose assets are not liabilities and equity, and by how many won.

        Reports in thousands or millions are rounded item by item: three units may be missing.
        """
        return self._db.fetch_all(
            """
            SELECT ticker, total_assets_krw - total_liabilities_krw - total_equity_krw
            FROM stocks.financial_statements
            WHERE quarter_start = %s
                AND abs(total_assets_krw - total_liabilities_krw - total_equity_krw)
                    > CASE WHEN mod(total_assets_krw, 1000000) = 0 THEN 3000000
                           WHEN mod(total_assets_krw, 1000) = 0 THEN 3000 ELSE 3 END
            ORDER BY ticker
            """,
            [quarter.first_day],
        )

    def received_after_retrieval(self, quarter: Quarter, zone: str) -> list[str]:
        """Filings that would have been received after we had them."""
        rows = self._db.fetch_all(
            "SELECT receipt_no FROM stocks.financial_statements"
            " WHERE quarter_start = %s"
            " AND received_date > (retrieved_at AT TIME ZONE %s)::date ORDER BY 1",
            [quarter.first_day, zone],
        )
        return [row[0] for row in rows]

    def statement_counts(self, quarter: Quarter) -> tuple[int, int]:
        """How many companies the office listed for a quarter, and how many of them have filed."""
        ((listed, filed),) = self._db.fetch_all(
            """
            SELECT count(*), count(*) FILTER (WHERE EXISTS (
                SELECT FROM stocks.financial_statements AS statement
                WHERE statement.quarter_start = code.quarter_start
                    AND statement.corp_code = code.corp_code))
            FROM stocks.corp_codes AS code WHERE quarter_start = %s
            """,
            [quarter.first_day],
        )
        return listed, filed

    def companies_without_ratios(self, quarter: Quarter) -> list[str]:
        """Tickers with a statement but neither a row of ratios nor, for one missing, a reason."""
        missing = sql.SQL(" OR ").join(
            sql.SQL("({column} IS NULL) <> (reasons ? {name})").format(
                column=sql.Identifier(ratio.value), name=sql.Literal(ratio.value)
            )
            for ratio in Ratio
        )
        query = sql.SQL(
            """
            SELECT DISTINCT statement.ticker
            FROM stocks.financial_statements AS statement
            LEFT JOIN stocks.financial_ratios AS ratio USING (quarter_start, corp_code)
            WHERE statement.quarter_start = %s
                AND (ratio.corp_code IS NULL OR {missing})
            ORDER BY 1
            """
        ).format(missing=missing)
        with self._db.connect("check ratios") as connection:
            rows = connection.execute(query, [quarter.first_day])
            return [row[0] for row in rows]

    def rests_on_older_filings(self, quarter: Quarter, later: Quarter) -> bool:
        """Whether a later quarter's ratios do not know the newest filings of this one."""
        ((found,),) = self._db.fetch_all(
            """
            SELECT EXISTS (
                SELECT FROM (
                    SELECT DISTINCT ON (corp_code) corp_code, receipt_numbers
                    FROM stocks.financial_ratios
                    WHERE quarter_start = %s
                    ORDER BY corp_code, known_from DESC
                ) AS ratio
                JOIN (
                    SELECT corp_code, max(receipt_no) AS newest FROM stocks.financial_statements
                    WHERE quarter_start = %s GROUP BY corp_code
                ) AS statement USING (corp_code)
                WHERE statement.newest <> ALL (ratio.receipt_numbers)
            )
            """,
            [later.first_day, quarter.first_day],
        )
        return found

    def valuations_that_look_ahead(self, start: date, end: date) -> list[str]:
        """Tickers whose valuation rests on any filing that was not there on its day."""
        rows = self._db.fetch_all(
            """
            SELECT DISTINCT value.ticker
            FROM stocks.valuations AS value
            LEFT JOIN stocks.financial_ratios AS ratio
                USING (quarter_start, corp_code, known_from)
            WHERE value.date BETWEEN %s AND %s AND value.receipt_no IS NOT NULL
                AND (ratio.corp_code IS NULL OR EXISTS (
                    SELECT FROM unnest(ratio.receipt_numbers) AS used (receipt_no)
                    WHERE left(used.receipt_no, 8)::date > value.date))
            ORDER BY 1
            """,
            [start, end],
        )
        return [row[0] for row in rows]

    def unvalued(self, start: date, end: date) -> list[str]:
        """Tickers with a price and a corporation code but no row of valuation on the same day."""
        rows = self._db.fetch_all(
            """
            SELECT DISTINCT price.ticker FROM stocks.daily_prices AS price
            WHERE date BETWEEN %s AND %s
                AND EXISTS (SELECT FROM stocks.corp_codes AS code
                            WHERE code.ticker = price.ticker)
                AND NOT EXISTS (SELECT FROM stocks.valuations AS value
                                WHERE value.date = price.date AND value.ticker = price.ticker)
            ORDER BY 1
            """,
            [start, end],
        )
        return [row[0] for row in rows]


# Spans: from when until when a company's row is the newest known. Of rows in the order in which
# they became known, one counts if no newer period was known before it.
_VALUATION = """
    INSERT INTO stocks.valuations
        (date, ticker, corp_code, quarter_start, receipt_no, known_from,
         per, pbr, eps_krw, bps_krw, roe, reasons, is_made_up)
    WITH version AS (
        SELECT *, max(period_end) OVER (
            PARTITION BY corp_code ORDER BY known_from, period_end) AS newest_period
        FROM stocks.financial_ratios
        WHERE known_from BETWEEN %(start)s::date - %(oldest)s::integer AND %(end)s
    ), span AS MATERIALIZED (
        SELECT *, lead(known_from) OVER (
            PARTITION BY corp_code ORDER BY known_from, period_end) AS until
        FROM version WHERE period_end = newest_period
    ), common AS MATERIALIZED (
        SELECT price.date, price.ticker, price.close,
               nullif(price.shares_outstanding, 0)::double precision AS shares, code.corp_code
        FROM stocks.daily_prices AS price
        CROSS JOIN LATERAL (
            SELECT corp_code FROM stocks.corp_codes AS code WHERE code.ticker = price.ticker
            ORDER BY quarter_start DESC LIMIT 1) AS code
        WHERE price.date BETWEEN %(start)s AND %(end)s
    ), value AS (
        SELECT common.date, common.ticker, common.corp_code, common.close, span.quarter_start,
               span.receipt_no, span.known_from, span.roe,
               span.earnings_krw / common.shares AS eps, span.book_value_krw / common.shares AS bps,
               CASE WHEN span.corp_code IS NULL THEN '{}'::jsonb ELSE span.reasons END AS why,
               CASE WHEN span.corp_code IS NULL THEN 'No statement was known'
                    ELSE 'No shares were listed' END AS otherwise
        FROM common LEFT JOIN span
            ON span.corp_code = common.corp_code
            AND span.known_from <= common.date
            AND (span.until IS NULL OR common.date < span.until)
            AND common.date - span.period_end <= %(oldest)s
    )
    SELECT date, ticker, corp_code, quarter_start, receipt_no, known_from,
           CASE WHEN eps > 0 THEN close / eps END, CASE WHEN bps > 0 THEN close / bps END,
           eps, bps, roe,
           jsonb_strip_nulls(jsonb_build_object(
               'per', CASE WHEN eps IS NULL THEN coalesce(why->>'eps_krw', otherwise)
                           WHEN eps <= 0 THEN 'Earnings of zero or below' END,
               'pbr', CASE WHEN bps IS NULL THEN coalesce(why->>'bps_krw', otherwise)
                           WHEN bps <= 0 THEN 'Equity of zero or below' END,
               'eps_krw', CASE WHEN eps IS NULL THEN coalesce(why->>'eps_krw', otherwise) END,
               'bps_krw', CASE WHEN bps IS NULL THEN coalesce(why->>'bps_krw', otherwise) END,
               'roe', CASE WHEN roe IS NULL THEN coalesce(why->>'roe', otherwise) END)),
           %(is_made_up)s
    FROM value
"""


def _quarter_columns(quarter: Quarter) -> dict[str, Any]:
    return {
        "quarter_start": quarter.first_day,
        "fiscal_year": quarter.year,
        "fiscal_quarter": quarter.number,
    }


def _batches(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pylist(list(rows), schema)]


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _statement_row(statement: Statement, is_made_up: bool) -> dict[str, Any]:
    row = {
        **_quarter_columns(statement.quarter),
        "corp_code": statement.corp_code,
        "receipt_no": statement.receipt_no,
        "ticker": statement.ticker,
        "received_date": statement.received_date,
        "statement_type": statement.basis.value,
        "period_end": statement.period_end,
        "is_made_up": is_made_up,
    }
    for name in _BALANCE:
        row[f"{name}_krw"] = getattr(statement, name)
    for name in _FLOWS:
        flow: Flow = getattr(statement, name)
        row[f"{name}_krw"] = flow.three_months
        row[f"{name}_ytd_krw"] = flow.year_to_date
        row[f"{name}_prior_ytd_krw"] = flow.prior_year_to_date
    for name in ("balance_sheet", "income_statement"):
        row[name] = _as_json(statement.rows.get(name, []))
    return row


def _all_accounts_row(statement: Statement) -> dict[str, Any]:
    flow = statement.owners_net_income
    return {
        **_quarter_columns(statement.quarter),
        "corp_code": statement.corp_code,
        "receipt_no": statement.receipt_no,
        "owners_equity": statement.owners_equity,
        "three_months": flow.three_months,
        "year_to_date": flow.year_to_date,
        "prior_year_to_date": flow.prior_year_to_date,
        "operating_cash_flow": statement.operating_cash_flow,
        "cash_flow": _as_json(statement.rows.get("cash_flow", [])),
        "equity_changes": _as_json(statement.rows.get("equity_changes", [])),
    }


def _as_statement(row: Sequence[Any]) -> Statement:
    year, number, corp_code, ticker, receipt_no, received, basis, period_end = row[:8]
    flows = [Flow(*row[start : start + 3]) for start in (14, 17, 20, 23)]
    return Statement(
        Quarter(year, number),
        corp_code,
        ticker,
        receipt_no,
        received,
        Basis(basis),
        period_end,
        *row[8:14],
        *flows,
        operating_cash_flow=row[26],
        has_all_accounts=row[27],
    )


def _ratio_row(quarter: Quarter, ratios: Ratios, is_made_up: bool) -> dict[str, Any]:
    statement, shares = ratios.statement, ratios.shares
    return {
        **_quarter_columns(quarter),
        "corp_code": statement.corp_code,
        "known_from": ratios.known_from,
        "ticker": statement.ticker,
        "receipt_no": statement.receipt_no,
        "receipt_numbers": "{" + ",".join(ratios.receipt_numbers) + "}",
        "statement_type": statement.basis.value,
        "period_end": statement.period_end,
        **{f"{name}_krw": ratios.three_months[name] for name in _FLOWS},
        **{f"trailing_{name}_krw": ratios.trailing[name] for name in _FLOWS},
        "earnings_krw": ratios.earnings,
        "book_value_krw": ratios.book_value,
        "has_owners_figures": ratios.has_owners_figures,
        "shares": shares.count if shares else None,
        "shares_date": shares.date if shares else None,
        **{ratio.value: ratios.values[ratio] for ratio in Ratio},
        "reasons": _as_json(ratios.reasons),
        "is_made_up": is_made_up,
    }


def _merge() -> sql.Composed:
    """Insert filings that are new, change those that differ, leave the rest alone."""
    names = _STATEMENT_SCHEMA.names
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    figures = [name for name in names if name not in _KEY]
    stored = sql.SQL(", ").join(sql.Identifier("stored", name) for name in figures)
    came = sql.SQL(", ").join(sql.Identifier("excluded", name) for name in figures)
    changes = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("excluded", name))
        for name in figures
    )
    return sql.SQL(
        """
        INSERT INTO stocks.financial_statements AS stored ({columns}) SELECT {columns} FROM came
        ON CONFLICT ({key}) DO UPDATE SET {changes}, retrieved_at = now()
        WHERE ({stored}) IS DISTINCT FROM ({came})
        """
    ).format(
        columns=columns,
        key=sql.SQL(", ").join(map(sql.Identifier, _KEY)),
        changes=changes,
        stored=stored,
        came=came,
    )
