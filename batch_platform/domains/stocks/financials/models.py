"""The financials' rows and values. No behaviour beyond what a value knows of itself.

Tables are in `migrations/versions/0006_financials.py`. Amounts are whole won.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Self

from batch_platform.gateways.opendart import Basis, ReportCode, Row

_REPORTS = (
    ReportCode.FIRST_QUARTER,
    ReportCode.HALF_YEAR,
    ReportCode.THIRD_QUARTER,
    ReportCode.ANNUAL,
)
_MONTHS = 3


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """A fiscal quarter, and the periodic report that is due for it.

    Most companies' fiscal year is the calendar's. Another company's first quarter is reported, and
    kept here, as the first quarter too, though it ends later.

    Attributes:
        year: Fiscal year.
        number: 1 to 4.
    """

    year: int
    number: int

    @classmethod
    def starting(cls, first_day: date) -> Self:
        """The quarter of a calendar year that a day lies in."""
        return cls(first_day.year, (first_day.month - 1) // _MONTHS + 1)

    @classmethod
    def last_due(cls, day: date) -> Self:
        """The newest quarter whose deadline lies before a day."""
        quarter = cls.starting(day)
        while quarter.deadline >= day:
            quarter = cls(*astuple(quarter.plus(-1)))
        return quarter

    @property
    def first_day(self) -> date:
        """First day, in a fiscal year that is the calendar's: the partition's key."""
        return date(self.year, _MONTHS * (self.number - 1) + 1, 1)

    @property
    def report(self) -> ReportCode:
        """The report that is due for it."""
        return _REPORTS[self.number - 1]

    @property
    def is_annual(self) -> bool:
        """Whether its report is the annual one, whose flows are the whole year's."""
        return self.report is ReportCode.ANNUAL

    @property
    def deadline(self) -> date:
        """By when its report is due (Capital Markets Act, articles 159 and 160), at the earliest.

        45 days after the quarter, 90 after the year; a holiday moves it to the next working day.
        """
        end = self.plus(1).first_day - timedelta(days=1)
        return end + timedelta(days=90 if self.is_annual else 45)

    def plus(self, quarters: int) -> "Quarter":
        """The quarter so many later, or earlier."""
        year, index = divmod(self.year * 4 + self.number - 1 + quarters, 4)
        return Quarter(year, index + 1)

    def __str__(self) -> str:
        return f"{self.year}-Q{self.number}"


class Ratio(StrEnum):
    """The ratios that are kept, by their column."""

    ROE = "roe"
    ROA = "roa"
    DEBT_RATIO = "debt_ratio"
    CURRENT_RATIO = "current_ratio"
    OPERATING_MARGIN = "operating_margin"
    EPS = "eps_krw"
    BPS = "bps_krw"


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow of a report (revenue, say), in won; None where the report does not give it.

    Attributes:
        three_months: Of the quarter alone; None in an annual report.
        year_to_date: From the fiscal year's first day.
        prior_year_to_date: The same a year before, as this report compares it.
    """

    three_months: int | None = None
    year_to_date: int | None = None
    prior_year_to_date: int | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What one filing says of one company's quarter.

    Attributes:
        receipt_no: The office's number of the filing, 14 digits, the first eight its date. A
            correction has a new one.
        received_date: When the office received it: from then on it is public.
        basis: Consolidated, or separate where there is no consolidated statement.
        period_end: The balance sheet's day.
        owners_equity: Of the parent's owners; None where only the whole is known.
        owners_net_income: As `owners_equity`.
        rows: Lines as received, by table column (`balance_sheet`, …).
    """

    quarter: Quarter
    corp_code: str
    ticker: str
    receipt_no: str
    received_date: date
    basis: Basis
    period_end: date
    total_assets: int | None = None
    total_liabilities: int | None = None
    total_equity: int | None = None
    owners_equity: int | None = None
    current_assets: int | None = None
    current_liabilities: int | None = None
    revenue: Flow = Flow()
    operating_income: Flow = Flow()
    net_income: Flow = Flow()
    owners_net_income: Flow = Flow()
    operating_cash_flow: int | None = None
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict[str, Sequence[Row]])
    has_all_accounts: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A company whose lines are no statement that can be used, and why."""

    corp_code: str
    reason: str


@dataclass(frozen=True, slots=True)
class ListedShares:
    """How many common shares a company had listed, on the trading day nearest to what was asked."""

    count: int
    date: date


@dataclass(frozen=True, slots=True)
class Ratios:
    """A company's ratios of a quarter, as they could be known from a day on.

    Attributes:
        known_from: When the last filing that they rest on was received.
        receipt_numbers: Every filing that was known that day of those that the ratios rest on.
        trailing: Trailing four quarters of `revenue`, `operating_income`, `net_income` and
            `owners_net_income`.
        three_months: The quarter alone, of the same.
        earnings: What EPS is made of.
        book_value: What BPS is made of.
        has_owners_figures: Whether these two are of the parent's owners, not of the whole.
        values: The ratios; a fraction, 0.12 for 12 %, or won.
        reasons: Why a ratio is missing, by its column.
    """

    statement: Statement
    known_from: date
    receipt_numbers: tuple[str, ...]
    trailing: Mapping[str, int | None]
    three_months: Mapping[str, int | None]
    earnings: int | None
    book_value: int | None
    has_owners_figures: bool
    shares: ListedShares | None
    values: Mapping[Ratio, float | None]
    reasons: Mapping[Ratio, str]

    @property
    def content(self) -> tuple[Any, ...]:
        """All but the day: equal when nothing was learned."""
        return (
            self.receipt_numbers,
            dict(self.trailing),
            dict(self.three_months),
            dict(self.values),
            dict(self.reasons),
        )
