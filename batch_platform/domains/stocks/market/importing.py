"""What the old updater collected, brought in: exports of its tables `daily_prices` and `stocks`.

A day that is brought in is not asked of the exchange again, by the night or by a backfill, unless
somebody says so. A day of which the old updater had lost too many stocks is left to the exchange:
two calls bring all of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from batch_platform.core.days import Clock, today
from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.market.logic import implausible_count
from batch_platform.domains.stocks.market.models import PriceDay
from batch_platform.domains.stocks.market.store import MarketStore
from batch_platform.domains.stocks.market.workflow import WritingOptions, write_days
from batch_platform.gateways.import_book import (
    WRITTEN,
    BadRow,
    ImportedPartition,
    ImportPlan,
    PlannedPartition,
    note_imported,
)
from batch_platform.gateways.market_rows import MARKETS, PRICE_SCHEMA, Market
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.table_files import (
    TextBatch,
    as_text,
    column_texts,
    header_of,
    read_rows,
)

SYSTEM = "stocks"
ASSET = WRITTEN[SYSTEM]
_SOURCE = "IMPORTED"
_AMOUNTS = (
    *("open", "high", "low", "close", "change_amount"),
    *("volume", "trading_value", "shares_outstanding", "market_cap"),
)
PRICE_COLUMNS = ("date", "ticker", *_AMOUNTS, "change_rate")
STOCK_COLUMNS = ("ticker", "market")

_TOO_FEW = "종목이 많이 빠진 날의 행 (거래소에서 받습니다)"
_OTHER_MARKET = "이 플랫폼이 다루지 않는 시장의 행"
_CLOSED = "거래일이 아닌 날의 행"

# pyarrow's overloads say too little of a column's values for a strict check.
_pc: Any = pyarrow.compute
_Column = Any

_READ = pa.unify_schemas([PRICE_SCHEMA, pa.schema([("file", pa.int16()), ("line", pa.int32())])])


class PriceImport:
    """Brings old prices in; see `import_book.Importer`.

    Args:
        files: Exports, told apart by their columns: of prices, of stocks; others are refused.
        db: The platform's database.
        settings: The stocks' settings.
        clock: The time.
        wanted: Tells whether a day is wanted.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        db: PlatformDb,
        settings: Settings,
        clock: Clock,
        wanted: Callable[[date], bool] = lambda _: True,
    ) -> None:
        self._db = db
        self._settings = settings
        self._clock = clock
        self._wanted = wanted
        self._files = files
        self._prices: list[Path] = []
        self._days: dict[date, pa.Table] = {}

    def plan(self, progress: ProgressReport = unheard) -> ImportPlan:
        """Read everything; days that are closed or lack many stocks are left out.

        Raises:
            NoDataError: No file has prices, or none says which market a stock is of.
            PermanentError: A file is of no table that is known, or days are before the first one.
        """
        self._prices, markets = _sorted_files(self._files)
        plan = ImportPlan()
        tables = [_READ.empty_table(), *self._tables(self._prices, markets, plan, progress)]
        read = _in_order(pa.concat_tables(tables))
        self._require_first_day(read)
        self._days = dict(self._by_day(read, plan))
        here = MarketStore(self._db).price_days(date.min, date.max)
        for day, table in self._days.items():
            is_here = bool(day in here and here[day].row_count)
            rows = table.num_rows
            plan.partitions.append(
                PlannedPartition(day.isoformat(), 0 if is_here else rows, rows if is_here else 0, 0)
            )
        return plan

    def write(self, partition: str, import_id: int, holder: str) -> Sequence[ImportedPartition]:
        """Write a day, with the corporate actions that it shows."""
        day = date.fromisoformat(partition)
        table = self._days[day].select(PRICE_SCHEMA.names)
        rows = _rows_by_market(table)
        written = [ImportedPartition(ASSET, partition, table.num_rows)]
        with self._db.hold(ASSET, partition, holder=holder):
            store = MarketStore(self._db)
            write_days(
                [PriceDay(day, rows, _SOURCE)],
                [table],
                db=self._db,
                calendar=store.calendar(),
                options=WritingOptions(holder, self._settings.is_made_up, import_id=import_id),
                also=lambda transaction: note_imported(transaction.connection, import_id, written),
            )
        return written

    def _tables(
        self,
        files: Sequence[Path],
        markets: Mapping[str, str],
        plan: ImportPlan,
        progress: ProgressReport,
    ) -> Iterator[pa.Table]:
        done = 0
        for number, path in enumerate(files):
            reader = _Reader(path, number, markets, plan, self._wanted)
            for batch in column_texts(path, [*PRICE_COLUMNS]):
                done += batch.rows.num_rows
                progress(done, None, path.name)
                yield reader.table(batch)

    def _by_day(self, read: pa.Table, plan: ImportPlan) -> Iterator[tuple[date, pa.Table]]:
        calendar = MarketStore(self._db).calendar()
        current = today(self._clock, self._settings.platform.zone)
        before: Mapping[Market, int] = {}
        for day, table in _slices(read):
            if day >= current or not calendar.is_open(day):
                _count(plan, _CLOSED, table.num_rows)
                continue
            repeated = _first_repeated(table)
            if repeated is not None:
                problem = f"{repeated['ticker']}이(가) 그날 두 번 있습니다"
                plan.bad_rows.append(BadRow(self._place(repeated), problem, day.isoformat()))
                continue
            rows = _rows_by_market(table)
            if implausible_count(rows, before) and sum(rows.values()) < sum(before.values()):
                _count(plan, _TOO_FEW, table.num_rows)
                continue
            before = rows
            yield day, table

    def _place(self, row: Mapping[str, Any]) -> str:
        number: int = row["file"]
        return f"{self._prices[number].name}:{row['line']}"

    def _require_first_day(self, read: pa.Table) -> None:
        first = self._settings.stocks.first_day
        earliest: date | None = _pc.min(read["date"]).as_py()
        if earliest is not None and earliest < first:
            raise PermanentError(
                f"The export begins on {earliest}, before the stocks' first day, {first}",
                f"Set STOCKS_FIRST_DAY={earliest}, or take later days alone with -s",
            )


class _Reader:
    """Reads a file's texts as prices; rows that cannot be right are told with their line."""

    def __init__(
        self,
        path: Path,
        number: int,
        markets: Mapping[str, str],
        plan: ImportPlan,
        wanted: Callable[[date], bool],
    ) -> None:
        self._path = path
        self._number = number
        self._tickers = pa.array(list(markets), pa.string())
        self._markets = pa.array(list(markets.values()), pa.string())
        self._plan = plan
        self._wanted = wanted

    def table(self, batch: TextBatch) -> pa.Table:
        """A batch's good rows in the shape of `_READ`."""
        for line, problem in batch.broken:
            self._plan.bad_rows.append(BadRow(f"{self._path.name}:{line}", problem))
        texts: dict[str, _Column] = {
            name: _pc.utf8_trim_whitespace(batch.rows.column(name)) for name in PRICE_COLUMNS
        }
        lines = pa.array(batch.lines, pa.int32())
        days, is_day = _days(texts["date"])
        bad = _Bad(self._path, lines, days, is_day, self._plan)
        bad.tell(_pc.invert(is_day), "date가 날짜가 아닙니다")
        # Short codes lost their zeros in Excel; nothing else has less than six characters.
        tickers = _pc.utf8_lpad(texts["ticker"], 6, "0")
        bad.tell(
            _pc.invert(_pc.match_substring_regex(tickers, "^[0-9A-Z]{6}$")),
            "ticker가 여섯 자리 종목코드가 아닙니다",
        )
        columns: dict[str, _Column] = {"date": days, "ticker": tickers}
        for name in _AMOUNTS:
            columns[name] = bad.numbers(texts[name], name, r"^-?\d+(\.0+)?$", pa.int64())
        columns["change_rate"] = bad.numbers(
            texts["change_rate"], "change_rate", r"^-?\d+(\.\d+)?$", pa.float64()
        )
        for name in ("open", "high", "low", "volume", "trading_value"):
            bad.tell(_pc.less(columns[name], 0), f"{name}이(가) 0보다 작습니다")
        for name in ("close", "shares_outstanding", "market_cap"):
            bad.tell(_pc.less_equal(columns[name], 0), f"{name}이(가) 0 이하입니다")
        bad.tell(
            _pc.less_equal(columns["close"], columns["change_amount"]),
            "종가와 전일 대비가 맞지 않습니다",
        )
        market = _pc.take(self._markets, _pc.index_in(tickers, value_set=self._tickers))
        bad.tell(_pc.is_null(market), "종목표(stocks)에 없는 종목입니다")
        is_ours = _pc.is_in(market, pa.array(MARKETS))
        other = _pc.and_(_pc.is_valid(market), _pc.invert(is_ours))
        _count(self._plan, _OTHER_MARKET, _pc.sum(other).as_py() or 0)
        for name in ("open", "high", "low"):
            columns[name] = _pc.if_else(_pc.equal(columns[name], 0), None, columns[name])
        columns |= {
            "market": market,
            "is_suspended": _pc.equal(columns["volume"], 0),
            "source": pa.array([_SOURCE] * len(lines)),
            "file": pa.array([self._number] * len(lines), pa.int16()),
            "line": lines,
        }
        table: pa.Table = pa.table([columns[name] for name in _READ.names], schema=_READ)
        good = _pc.and_(_pc.invert(bad.any), is_ours)
        table = table.filter(_pc.fill_null(good, False))
        unwanted = [day for day in _pc.unique(table["date"]).to_pylist() if not self._wanted(day)]
        return table.filter(_pc.invert(_pc.is_in(table["date"], pa.array(unwanted, pa.date32()))))


class _Bad:
    """Which rows of a batch are bad; each is told once, with its first problem."""

    def __init__(
        self, path: Path, lines: _Column, days: _Column, is_day: _Column, plan: ImportPlan
    ) -> None:
        self._path = path
        self._lines = lines
        self._days = days
        self._is_day = is_day
        self._plan = plan
        self.any: _Column = pa.array([False] * len(lines))

    def tell(self, mask: _Column, problem: str) -> None:
        """Note the rows of a mask."""
        new = _pc.and_(_pc.fill_null(mask, False), _pc.invert(self.any))
        if not _pc.any(new).as_py():
            return
        self.any = _pc.or_(self.any, new)
        told = zip(
            _pc.filter(self._lines, new).to_pylist(),
            _pc.filter(self._days, new).to_pylist(),
            strict=True,
        )
        self._plan.bad_rows += [
            BadRow(f"{self._path.name}:{line}", problem, day.isoformat() if day else None)
            for line, day in told
        ]

    def numbers(self, texts: _Column, name: str, shape: str, kind: pa.DataType) -> _Column:
        """Texts as numbers, null where they are none; those rows are told."""
        plain = _pc.replace_substring(texts, ",", "")
        fits = _pc.match_substring_regex(plain, shape)
        self.tell(_pc.invert(fits), f"{name}이(가) 숫자가 아니거나 비어 있습니다")
        plain = _pc.if_else(fits, plain, None)
        if pa.types.is_integer(kind):
            plain = _pc.replace_substring_regex(plain, r"\.0+$", "")
        return _pc.cast(plain, kind)


def _sorted_files(files: Sequence[Path]) -> tuple[list[Path], Mapping[str, str]]:
    """The files of prices, and which market each stock is of."""
    prices: list[Path] = []
    markets: dict[str, str] = {}
    for path in files:
        columns = header_of(path)
        if set(PRICE_COLUMNS) <= set(columns):
            prices.append(path)
        elif set(STOCK_COLUMNS) <= set(columns):
            for row in read_rows(path):
                ticker = as_text(row.values.get("ticker")).strip().zfill(6)
                markets[ticker] = as_text(row.values.get("market")).strip().upper()
        else:
            raise PermanentError(
                f"{path.name} is no export of daily_prices or stocks: it has the columns"
                f" {', '.join(columns[:12])}",
                f"Prices have {', '.join(PRICE_COLUMNS)}; stocks have ticker and market",
            )
    if not prices or not markets:
        lacking = "daily_prices" if not prices else "stocks (which market a stock is of)"
        raise NoDataError(
            f"None of the files is an export of {lacking}", "Give both tables' CSV files"
        )
    return prices, markets


def _days(texts: _Column) -> tuple[_Column, _Column]:
    """Texts as days, with or without a time behind, and whether each is one."""
    plain = _pc.replace_substring_regex(texts, r"^(\d{4})-?(\d{2})-?(\d{2})([ T].*)?$", r"\1-\2-\3")
    times = _pc.strptime(plain, format="%Y-%m-%d", unit="s", error_is_null=True)
    # strptime takes 30 February for a day: only what is written the same again is one.
    again = _pc.strftime(times, format="%Y-%m-%d")
    is_day = _pc.fill_null(_pc.equal(again, plain), False)
    return _pc.cast(_pc.if_else(is_day, times, None), pa.date32()), is_day


def _slices(read: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """The days of a table that is in their order."""
    counted = _pc.value_counts(read["date"].combine_chunks())
    at = 0
    for item in counted.to_pylist():
        yield item["values"], read.slice(at, item["counts"])
        at += item["counts"]


def _in_order(read: pa.Table) -> pa.Table:
    keys = [("date", "ascending"), ("ticker", "ascending")]
    return read.take(_pc.sort_indices(read, sort_keys=keys))


def _first_repeated(table: pa.Table) -> Mapping[str, Any] | None:
    tickers = table["ticker"].to_pylist()
    for index in range(1, len(tickers)):
        if tickers[index] == tickers[index - 1]:
            return table.slice(index, 1).to_pylist()[0]
    return None


def _rows_by_market(table: pa.Table) -> Mapping[Market, int]:
    counted = _pc.value_counts(table["market"]).to_pylist()
    return {item["values"]: item["counts"] for item in counted}


def _count(plan: ImportPlan, reason: str, rows: int) -> None:
    if rows:
        plan.undone[reason] = plan.undone.get(reason, 0) + rows
