"""Rules of the financials: which account is what, quarters from years so far, ratios. Pure.

Ratios as commonly defined for the Korean market: ROE = net income / equity, ROA = net income /
assets, debt ratio = liabilities / equity, current ratio = current assets / current liabilities,
operating margin = operating income / revenue, EPS = owners' net income / shares, BPS = equity /
shares; flows are those of the trailing four quarters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from batch_platform.domains.stocks.financials.models import (
    Flow,
    ListedShares,
    Quarter,
    Ratio,
    Ratios,
    Statement,
    Unreadable,
)
from batch_platform.gateways.opendart import Basis, Row

STATEMENT_COLUMNS: Mapping[str, str] = {
    "BS": "balance_sheet",
    "IS": "income_statement",
    "CIS": "income_statement",
    "CF": "cash_flow",
    "SCE": "equity_changes",
}
"""Kind of statement (`sj_div`) → the column that keeps its lines."""

FLOWS = ("revenue", "operating_income", "net_income", "owners_net_income")

_BALANCE = {
    "total_assets": ("자산총계",),
    "total_liabilities": ("부채총계",),
    "total_equity": ("자본총계",),
    "owners_equity": ("지배기업의소유주에게귀속되는자본", "지배기업소유주지분"),
    "current_assets": ("유동자산",),
    "current_liabilities": ("유동부채",),
}
_INCOME = {
    "revenue": ("매출액", "수익매출액", "영업수익", "매출"),
    "operating_income": ("영업이익",),
    "net_income": ("당기순이익", "분기순이익", "반기순이익"),
    "owners_net_income": (
        "지배기업의소유주에게귀속되는당기순이익",
        "지배기업소유주에게귀속되는당기순이익",
    ),
}
_OPERATING_CASH_FLOW = ("영업활동현금흐름", "영업활동으로인한현금흐름")
_LOSS_NOTE = re.compile(r"\((손실|순손실)\)")
_BETWEEN_WORDS = re.compile(r"[\s()·.,]")
_DAY = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_RECEIPT_NO = re.compile(r"\d{14}")
_NOTHING_WRITTEN = {"", "-"}
_WON = {"", "KRW"}


class _UnreadableError(ValueError):
    """A company's lines cannot be used; the message says why. Never leaves this module."""


def amount(text: str | None) -> int | None:
    """Read an amount as OpenDART writes it: `1,234`, `-1,234`, `(1,234)`; `-` and empty are None.

    Raises:
        ValueError: It is no number.
    """
    written = (text or "").strip().replace(",", "")
    if written in _NOTHING_WRITTEN:
        return None
    if written.startswith("(") and written.endswith(")"):
        return -int(written[1:-1])
    return int(written)


def statements_of(
    quarter: Quarter, rows: Iterable[Row], tickers: Mapping[str, str]
) -> tuple[list[Statement], list[Unreadable]]:
    """Put a call's lines together into one statement a company.

    A company whose lines cannot be used is set aside: it must not keep the others from being read.

    Args:
        quarter: What was asked for.
        rows: Lines of several companies.
        tickers: Corporation code → ticker.

    Returns:
        Statements in the order in which companies come, and who was set aside.
    """
    by_company: dict[str, list[Row]] = {}
    for row in rows:
        by_company.setdefault(row.get("corp_code", ""), []).append(row)
    statements: list[Statement] = []
    unreadable: list[Unreadable] = []
    for corp_code, lines in by_company.items():
        try:
            statements.append(_statement(quarter, corp_code, lines, tickers))
        except _UnreadableError as error:
            unreadable.append(Unreadable(corp_code, str(error)))
    return statements, unreadable


def with_all_accounts(statement: Statement, rows: Sequence[Row]) -> Statement:
    """Add what only a company's full list of accounts tells: owners' figures and cash flow.

    Lines of another filing than the statement's are not mixed in: it stays as it is.
    """
    if not rows or {row.get("rcept_no") for row in rows} != {statement.receipt_no}:
        return statement
    owners_equity = _find(rows, ("BS",), _BALANCE["owners_equity"])
    owners_income = _find(rows, ("IS", "CIS"), _INCOME["owners_net_income"])
    cash_flow = _find(rows, ("CF",), _OPERATING_CASH_FLOW)
    try:
        return replace(
            statement,
            owners_equity=_of(owners_equity),
            owners_net_income=_flow(owners_income, statement.quarter),
            # Interim reports give cash flows for the year so far only.
            operating_cash_flow=_of(cash_flow),
            rows={**statement.rows, **_by_column(rows, ("CF", "SCE"))},
            has_all_accounts=True,
        )
    except ValueError:
        return statement


def _statement(
    quarter: Quarter, corp_code: str, lines: Sequence[Row], tickers: Mapping[str, str]
) -> Statement:
    if corp_code not in tickers:
        raise _UnreadableError("A company that was not asked for")
    bases = {line.get("fs_div") for line in lines}
    basis = Basis.CONSOLIDATED if Basis.CONSOLIDATED.value in bases else Basis.SEPARATE
    rows = [line for line in lines if line.get("fs_div") == basis.value]
    receipt_no = _only({line.get("rcept_no", "") for line in rows})
    if any(line.get("currency", "") not in _WON for line in rows):
        raise _UnreadableError("Amounts are not in won")
    try:
        figures: dict[str, Any] = {
            name: _of(_find(rows, ("BS",), accounts)) for name, accounts in _BALANCE.items()
        } | {
            name: _flow(_find(rows, ("IS", "CIS"), accounts), quarter)
            for name, accounts in _INCOME.items()
        }
    except ValueError:
        raise _UnreadableError("An amount is no number") from None
    return Statement(
        quarter=quarter,
        corp_code=corp_code,
        ticker=tickers[corp_code],
        receipt_no=receipt_no,
        received_date=_received(receipt_no),
        basis=basis,
        period_end=_period_end(rows),
        rows=_by_column(rows, ("BS", "IS", "CIS")),
        **figures,
    )


def _only(receipt_numbers: set[str]) -> str:
    if len(receipt_numbers) != 1:
        raise _UnreadableError("Lines of several filings in one answer")
    (receipt_no,) = receipt_numbers
    if not _RECEIPT_NO.fullmatch(receipt_no):
        raise _UnreadableError("The receipt number is not of 14 digits")
    return receipt_no


def _received(receipt_no: str) -> date:
    try:
        return date.fromisoformat(receipt_no[:8])
    except ValueError:
        raise _UnreadableError("The receipt number does not begin with a date") from None


def _period_end(rows: Sequence[Row]) -> date:
    """The balance sheet's day: `2026.09.30 현재`."""
    for row in rows:
        if row.get("sj_div") == "BS":
            found = _DAY.findall(row.get("thstrm_dt", ""))
            if found:
                year, month, day = map(int, found[-1])
                return date(year, month, day)
    raise _UnreadableError("No balance sheet with a date")


def _by_column(rows: Sequence[Row], kinds: Sequence[str]) -> Mapping[str, Sequence[Row]]:
    columns: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("sj_div") in kinds:
            columns.setdefault(STATEMENT_COLUMNS[row["sj_div"]], []).append(row)
    return columns


def _find(rows: Sequence[Row], kinds: Sequence[str], accounts: Sequence[str]) -> Row | None:
    """The first line of an account, the names' order counting before the lines'."""
    named = {
        _plain(row.get("account_nm", "")): row
        for row in reversed(rows)
        if row.get("sj_div") in kinds
    }
    return next((named[name] for name in accounts if name in named), None)


def _plain(account: str) -> str:
    """An account's name without what companies write differently: `당기순이익(손실)`, blanks."""
    return _BETWEEN_WORDS.sub("", _LOSS_NOTE.sub("", account))


def _of(row: Row | None) -> int | None:
    return None if row is None else amount(row.get("thstrm_amount"))


def _flow(row: Row | None, quarter: Quarter) -> Flow:
    """A flow's figures: interim reports give three months, and the year so far beside them."""
    if row is None:
        return Flow()
    given, prior = amount(row.get("thstrm_amount")), amount(row.get("frmtrm_amount"))
    if quarter.is_annual:
        return Flow(None, given, prior)
    so_far = amount(row.get("thstrm_add_amount"))
    prior_so_far = amount(row.get("frmtrm_add_amount"))
    if quarter.number == 1:
        so_far = given if so_far is None else so_far
        prior_so_far = prior if prior_so_far is None else prior_so_far
    return Flow(given, so_far, prior_so_far)


def inputs_of(quarter: Quarter) -> frozenset[Quarter]:
    """The quarters whose filings a quarter's ratios rest on."""
    if quarter.is_annual:
        return frozenset({quarter, quarter.plus(-1)})
    return frozenset({quarter, quarter.plus(-4), Quarter(quarter.year - 1, 4)})


def days_of_news(quarter: Quarter, filings: Sequence[Statement]) -> list[date]:
    """The days on which a quarter's ratios can have changed, from its first filing on.

    Args:
        quarter: Of which quarter.
        filings: All of one company's filings of the quarter and the four before it.
    """
    first = min((each.received_date for each in filings if each.quarter == quarter), default=None)
    if first is None:
        return []
    inputs = inputs_of(quarter)
    received = {each.received_date for each in filings if each.quarter in inputs}
    return sorted(day for day in received if day >= first)


def ratio_versions(
    quarter: Quarter,
    filings: Sequence[Statement],
    shares: Sequence[ListedShares],
) -> list[Ratios]:
    """A company's ratios of a quarter, once for each day on which something new was known.

    Nothing looks ahead: a version rests on filings received on its day or before.

    Args:
        quarter: Of which quarter.
        filings: All of the company's filings of the quarter and the four before it.
        shares: How many shares were listed, by day; see `shares_on`.

    Returns:
        In the order of `known_from`; empty when the company filed nothing for the quarter.
    """
    versions: list[Ratios] = []
    for day in days_of_news(quarter, filings):
        version = _ratios(quarter, day, filings, shares_on(day, shares))
        if not versions or version.content != versions[-1].content:
            versions.append(version)
    return versions


def shares_on(day: date, shares: Sequence[ListedShares]) -> ListedShares | None:
    """What was listed on the last trading day up to `day`; without one, on the first after it.

    Shares change seldom, and the day they are of is kept beside what is made of them. Valuations do
    not use them: they take the day's own.
    """
    before = [each for each in shares if each.date <= day]
    if before:
        return max(before, key=lambda each: each.date)
    return min(shares, key=lambda each: each.date, default=None)


def _ratios(
    quarter: Quarter, day: date, filings: Sequence[Statement], shares: ListedShares | None
) -> Ratios:
    inputs = inputs_of(quarter)
    known = _known(day, [each for each in filings if each.quarter in inputs])
    own = known[quarter]
    trailing: dict[str, int | None] = {}
    why: dict[str, str] = {}
    for name in FLOWS:
        trailing[name], why[name] = _trailing(name, own, known)
    three_months = {name: _three_months(name, own, known) for name in FLOWS}
    has_owners = trailing["owners_net_income"] is not None and own.owners_equity is not None
    income = "owners_net_income" if has_owners else "net_income"
    earnings = trailing[income]
    equity = own.owners_equity if has_owners else own.total_equity
    count = None if shares is None else shares.count
    no_shares = "The number of listed shares is not known"
    quotients = {
        Ratio.ROE: _over_equity(trailing["net_income"], own.total_equity, why["net_income"]),
        Ratio.ROA: _over(
            trailing["net_income"], own.total_assets, why["net_income"], "total assets"
        ),
        Ratio.DEBT_RATIO: _over_equity(
            own.total_liabilities, own.total_equity, "The report gives no total liabilities"
        ),
        Ratio.CURRENT_RATIO: _over(
            own.current_assets,
            own.current_liabilities,
            "The report gives no current assets",
            "current liabilities",
        ),
        Ratio.OPERATING_MARGIN: _over(
            trailing["operating_income"],
            trailing["revenue"],
            why["operating_income"] or why["revenue"],
            "revenue",
        ),
        Ratio.EPS: _over(earnings, count, why[income] or no_shares, "listed shares"),
        Ratio.BPS: _over(
            equity,
            count,
            no_shares if equity is not None else "The report gives no equity",
            "listed shares",
        ),
    }
    return Ratios(
        statement=own,
        known_from=day,
        receipt_numbers=tuple(sorted(each.receipt_no for each in known.values())),
        trailing=trailing,
        three_months=three_months,
        earnings=earnings,
        book_value=equity,
        has_owners_figures=has_owners,
        shares=shares,
        values={ratio: value for ratio, (value, _) in quotients.items()},
        reasons={ratio: reason for ratio, (value, reason) in quotients.items() if value is None},
    )


def _known(day: date, filings: Sequence[Statement]) -> dict[Quarter, Statement]:
    """Each quarter's newest filing of those received up to a day."""
    known: dict[Quarter, Statement] = {}
    for filing in sorted(filings, key=lambda each: each.receipt_no):
        if filing.received_date <= day:
            known[filing.quarter] = filing
    return known


def _trailing(
    name: str, own: Statement, known: Mapping[Quarter, Statement]
) -> tuple[int | None, str]:
    """A flow over the trailing four quarters, and why there is none.

    The year so far, and of the last year what came after the same quarter: annual less year so far.
    It equals the sum of the four quarters, and needs two filings fewer.
    """
    flow: Flow = getattr(own, name)
    if flow.year_to_date is None:
        return None, f"The report gives no {_words(name)} for the year so far"
    if own.quarter.is_annual:
        return flow.year_to_date, ""
    annual = known.get(Quarter(own.quarter.year - 1, 4))
    if annual is None:
        return None, "The last annual report is not here"
    if annual.basis is not own.basis:
        return None, "The last annual report is on another basis (consolidated or separate)"
    annual_flow: Flow = getattr(annual, name)
    if annual_flow.year_to_date is None:
        return None, f"The last annual report gives no {_words(name)}"
    year_before = known.get(own.quarter.plus(-4))
    before: int | None = None
    if year_before is not None and year_before.basis is own.basis:
        before = getattr(year_before, name).year_to_date
    # The report's own comparison serves as well where the report of a year ago is not here.
    before = flow.prior_year_to_date if before is None else before
    if before is None:
        return None, f"No {_words(name)} for the same part of the last year"
    return flow.year_to_date + annual_flow.year_to_date - before, ""


def _three_months(name: str, own: Statement, known: Mapping[Quarter, Statement]) -> int | None:
    """A flow of the quarter alone; of the fourth, the annual figure less the third's so far."""
    flow: Flow = getattr(own, name)
    if not own.quarter.is_annual:
        return flow.three_months
    third = known.get(own.quarter.plus(-1))
    if third is None or third.basis is not own.basis or flow.year_to_date is None:
        return None
    so_far: int | None = getattr(third, name).year_to_date
    return None if so_far is None else flow.year_to_date - so_far


def _over(
    numerator: int | None, denominator: int | None, no_numerator: str, denominator_words: str
) -> tuple[float | None, str]:
    if denominator is None:
        return None, no_numerator or f"The report gives no {denominator_words}"
    if numerator is None:
        return None, no_numerator
    if denominator <= 0:
        return None, f"{denominator_words.capitalize()} of zero or below"
    return numerator / denominator, ""


def _over_equity(
    numerator: int | None, equity: int | None, no_numerator: str
) -> tuple[float | None, str]:
    if equity is None:
        return None, "The report gives no equity"
    if numerator is not None and equity <= 0:
        return None, "Equity of zero or below"
    return _over(numerator, equity, no_numerator, "equity")


def _words(name: str) -> str:
    return name.replace("_", " ")
