"""What the services of the Korean market answer, as typed rows: one shape, whoever was asked.

Both clients (`krx`, `public_data`) give texts; the rules by which a text is a price, a suspended
stock or a broken answer are here, so that the two cannot differ. Columns are named after the
platform's tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute

from batch_platform.core.errors import PermanentError

Market = Literal["KOSPI", "KOSDAQ"]
Source = Literal["KRX", "PUBLIC_DATA", "IMPORTED"]
MARKETS: tuple[Market, ...] = ("KOSPI", "KOSDAQ")

# pyarrow's overloads say too little of a column's values for a strict check: here it is `Any`.
_Column = Any
pc: Any = pyarrow.compute
_chunked: Any = pa.chunked_array
_repeat: Any = pa.repeat

PRICE_SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("ticker", pa.string()),
        ("market", pa.string()),
        ("open", pa.int64()),
        ("high", pa.int64()),
        ("low", pa.int64()),
        ("close", pa.int64()),
        ("change_amount", pa.int64()),
        ("change_rate", pa.float64()),
        ("volume", pa.int64()),
        ("trading_value", pa.int64()),
        ("shares_outstanding", pa.int64()),
        ("market_cap", pa.int64()),
        ("is_suspended", pa.bool_()),
        ("source", pa.string()),
    ]
)
"""Open, high and low are null where a stock did not trade. Won; `change_rate` in per cent."""

LISTING_SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("isin", pa.string()),
        ("name", pa.string()),
        ("name_en", pa.string()),
        ("market", pa.string()),
        ("section", pa.string()),
        ("listing_date", pa.date32()),
        ("security_group", pa.string()),
        ("certificate_kind", pa.string()),
        ("par_value_krw", pa.int64()),
        ("shares_outstanding", pa.int64()),
        ("source", pa.string()),
    ]
)
"""What a source does not tell is null."""

_TEXTS = ("ticker",)
_INTEGERS = (
    *("open", "high", "low", "close", "change_amount"),
    *("volume", "trading_value", "shares_outstanding", "market_cap"),
)


@dataclass(frozen=True, slots=True)
class AnswerOf:
    """Whose answer it is, for the words of an error.

    Attributes:
        service: In an error's sentence.
        source: In the rows.
    """

    service: str
    source: Source
    day: date
    market: Market


def price_rows(texts: Mapping[str, _Column], answer: AnswerOf) -> pa.Table:
    """Read a market's day.

    Args:
        texts: Column of `PRICE_SCHEMA` → texts as received; `date` as YYYYMMDD.
        answer: Whose it is.

    Raises:
        PermanentError: A value cannot be right: another day's row, a price of zero or below, no
            number where one must be, a stock twice. Nothing of such an answer may be used.
    """
    other = _count(pc.not_equal(texts["date"], f"{answer.day:%Y%m%d}"))
    if other:
        raise _broken(answer, f"{other:,} rows are of another day or of none")
    columns: dict[str, _Column] = {
        "ticker": pc.utf8_trim_whitespace(texts["ticker"]),
        **{name: _numbers(texts[name], pa.int64(), name, answer) for name in _INTEGERS},
        "change_rate": _numbers(texts["change_rate"], pa.float64(), "change_rate", answer),
    }
    _require_tickers(columns["ticker"], answer)
    for name in ("open", "high", "low", "volume", "trading_value"):
        if below := _count(pc.less(columns[name], 0)):
            raise _broken(answer, f"{name} is below zero in {below:,} rows")
    for name in ("close", "shares_outstanding", "market_cap"):
        if zeros := _count(pc.less_equal(columns[name], 0)):
            raise _broken(answer, f"{name} is zero or below in {zeros:,} rows")
    if baseless := _count(pc.less_equal(columns["close"], columns["change_amount"])):
        raise _broken(answer, f"the base price is zero or below in {baseless:,} rows")
    for name in ("open", "high", "low"):
        columns[name] = pc.if_else(pc.equal(columns[name], 0), None, columns[name])
    rows = len(columns["ticker"])
    columns |= {
        "date": _chunked([_repeat(pa.scalar(answer.day, pa.date32()), rows)]),
        "market": _chunked([_repeat(answer.market, rows)]),
        "is_suspended": pc.equal(columns["volume"], 0),
        "source": _chunked([_repeat(answer.source, rows)]),
    }
    return pa.table([columns[name] for name in PRICE_SCHEMA.names], schema=PRICE_SCHEMA)


def listing_rows(texts: Mapping[str, _Column], answer: AnswerOf) -> pa.Table:
    """Read a market's list of stocks.

    Args:
        texts: Column of `LISTING_SCHEMA` → texts as received, dates as YYYYMMDD; what the source
            does not tell is left out.
        answer: Whose it is.

    Raises:
        PermanentError: As `price_rows`.
    """
    rows = len(texts["ticker"])
    columns: dict[str, _Column] = {"ticker": pc.utf8_trim_whitespace(texts["ticker"])}
    _require_tickers(columns["ticker"], answer)
    for name in ("isin", "name", "name_en", "section", "security_group", "certificate_kind"):
        if name in texts:
            columns[name] = _blank_as_null(texts[name])
    for name in ("isin", "name"):
        if missing := columns[name].null_count:
            raise _broken(answer, f"{name} is missing in {missing:,} rows")
    columns["shares_outstanding"] = _numbers(
        texts["shares_outstanding"], pa.int64(), "shares_outstanding", answer
    )
    if "par_value_krw" in texts:  # some stocks have none, and say so in words
        par = _without_commas(texts["par_value_krw"])
        digits = pc.match_substring_regex(par, "^[0-9]+$")
        columns["par_value_krw"] = pc.cast(pc.if_else(digits, par, None), pa.int64())
    if "listing_date" in texts:
        columns["listing_date"] = _dates(texts["listing_date"], answer)
    columns |= {
        "market": _chunked([_repeat(answer.market, rows)]),
        "source": _chunked([_repeat(answer.source, rows)]),
    }
    schema: Any = LISTING_SCHEMA
    told = [columns.get(field.name, _chunked([pa.nulls(rows, field.type)])) for field in schema]
    return pa.table(told, schema=LISTING_SCHEMA)


def rows_by_market(table: pa.Table) -> dict[Market, int]:
    """Count a table's rows of each market that it has."""
    markets: Any = table["market"]
    counts: dict[Market, int] = {market: _count(pc.equal(markets, market)) for market in MARKETS}
    return {market: count for market, count in counts.items() if count}


def _require_tickers(tickers: _Column, answer: AnswerOf) -> None:
    wrong = len(tickers) - _count(pc.match_substring_regex(tickers, "^[0-9A-Z]{6}$"))
    if wrong:
        raise _broken(answer, f"{wrong:,} rows have no six-character code")
    twice = len(tickers) - len(tickers.unique())
    if twice:
        raise _broken(answer, f"{twice:,} stocks stand in it twice")


def _numbers(texts: _Column, kind: pa.DataType, name: str, answer: AnswerOf) -> _Column:
    try:
        numbers = pc.cast(texts, kind)
    except pa.ArrowInvalid:
        try:
            numbers = pc.cast(_without_commas(texts), kind)
        except pa.ArrowInvalid:
            raise _broken(answer, f"{name} is not a number everywhere") from None
    if numbers.null_count:
        raise _broken(answer, f"{name} is missing in {numbers.null_count:,} rows")
    return numbers


def _without_commas(texts: _Column) -> _Column:
    return pc.replace_substring(pc.utf8_trim_whitespace(texts), ",", "")


def _blank_as_null(texts: _Column) -> _Column:
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.is_in(trimmed, pa.array(["", "-"])), None, trimmed)


def _dates(texts: _Column, answer: AnswerOf) -> _Column:
    dashed = pc.replace_substring_regex(
        _blank_as_null(texts), r"^(\d{4})[/-]?(\d{2})[/-]?(\d{2})$", r"\1-\2-\3"
    )
    try:
        return pc.cast(dashed, pa.date32())
    except pa.ArrowInvalid:
        raise _broken(answer, "listing_date is not a date everywhere") from None


def _count(flags: _Column) -> int:
    """Rows that are true, or that have no value to judge."""
    return (pc.sum(flags).as_py() or 0) + flags.null_count


def _broken(answer: AnswerOf, what: str) -> PermanentError:
    return PermanentError(
        f"{answer.service} gave a broken {answer.market} of {answer.day}: {what}",
        "Nothing of it was used; ask again later, and tell the service if it stays",
    )
