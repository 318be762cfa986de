"""Made-up financial statements of the made-up market's companies; every figure fits the others.

Assets are liabilities and equity, quarters add up to the year, the cash flow ends at the balance
sheet's cash, equity grows by what was earned less what was paid out. The same company's quarter is
the same for ever, but for corrections, which come later under a number of their own. How the
disclosure office words them is `opendart_server`'s business.
"""

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from batch_platform.sandbox.made_up_market import MadeUpStock, market_day, trading_days

FIRST_YEAR = 2015
"""The first year whose reports can be asked for, as at the office."""

_FISCAL_YEAR_ENDS = {12: 0.94, 3: 0.04, 6: 0.02}
_SEPARATE_ONLY = 0.22
_NEVER_FILES = 0.012
_LOSS_MAKER = 0.14
_NEGATIVE_EQUITY = 0.008
_CORRECTED = 0.03
_SEASONS = (0.93, 1.0, 0.97, 1.1)
_MARKET_CAP_OF_A_NEW_LISTING = 1.6e11
_FINANCE = ("증권", "캐피탈")
_DEADLINE_DAYS = {1: 45, 2: 45, 3: 45, 4: 90}
"""Days after a quarter's end by which its report is due."""


@dataclass(frozen=True, slots=True)
class Company:
    """A made-up company and what its statements are made from.

    Attributes:
        equity: At the beginning of the first fiscal year, won; below zero for a company in ruins.
        fiscal_year_end: Month in which its fiscal year ends.
        has_consolidated: Whether it has subsidiaries, and so a consolidated statement.
        is_finance: Whether its balance sheet knows no current and non-current items.
    """

    stock: MadeUpStock
    corp_code: str
    equity: float
    fiscal_year_end: int
    has_consolidated: bool
    files: bool
    is_finance: bool
    margin: float
    turnover: float
    leverage: float
    growth: float

    def period_end(self, year: int, quarter: int) -> date:
        """The last day of a fiscal quarter."""
        # A fiscal year is named after the calendar year in which it begins.
        months = (self.fiscal_year_end % 12) + 3 * quarter
        first_after = date(year + months // 12, months % 12 + 1, 1)
        return first_after - timedelta(days=1)

    def year_start(self, year: int) -> date:
        """The first day of a fiscal year."""
        return self.period_end(year - 1, 4) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """A company's quarter on one basis, in won: flows of three months, items at its end."""

    revenue: int
    operating_income: int
    pretax_income: int
    net_income: int
    owners_net_income: int
    comprehensive_income: int
    depreciation: int
    operating_cash_flow: int
    investing_cash_flow: int
    financing_cash_flow: int
    paid_out: int
    cash_at_start: int
    cash: int
    current_assets: int
    non_current_assets: int
    current_liabilities: int
    non_current_liabilities: int
    capital: int
    retained_earnings: int
    equity: int
    owners_equity: int

    @property
    def assets(self) -> int:
        """All assets."""
        return self.current_assets + self.non_current_assets

    @property
    def liabilities(self) -> int:
        """All liabilities."""
        return self.current_liabilities + self.non_current_liabilities


@dataclass(frozen=True, slots=True)
class Filing:
    """A report as received: the first one, or a correction."""

    receipt_no: str
    received_date: date
    is_correction: bool


def companies(day: date) -> Sequence[Company]:
    """The companies whose common stock was listed on a day, or on the last trading day before."""
    return _companies(_last_trading_day(day))


def filings(company: Company, year: int, quarter: int) -> Sequence[Filing]:
    """A quarter's report and, of some, its correction; empty when the company files none."""
    end = company.period_end(year, quarter)
    if not company.files or end < company.stock.listing_date or year < FIRST_YEAR:
        return []
    draw = _draws(company.corp_code, year, quarter)
    due = _DEADLINE_DAYS[quarter]
    # Most come on the last days.
    received = end + timedelta(days=due - int(draw[0] ** 3 * due * 0.6))
    first = _filing(received, company, year, quarter, is_correction=False)
    if draw[1] >= _CORRECTED:
        return [first]
    later = received + timedelta(days=12 + int(draw[2] * 60))
    return [first, _filing(later, company, year, quarter, is_correction=True)]


def figures(
    company: Company, year: int, quarter: int, *, is_consolidated: bool, is_corrected: bool
) -> Figures:
    """What a quarter's report says.

    Args:
        company: Whose.
        year: Fiscal year.
        quarter: 1 to 4.
        is_consolidated: With the subsidiaries, or without.
        is_corrected: As its correction has it: the subsidiaries' profit was taken too high.
    """
    scale = 1.0 if is_consolidated or not company.has_consolidated else 0.7
    draw = _draws(company.corp_code, year, quarter)
    start = _equity(company, year, quarter - 1, scale)
    equity = _equity(company, year, quarter, scale)
    size = abs(company.equity) * scale * math.exp(company.growth * (year - FIRST_YEAR))
    revenue = round(size * company.turnover / 4 * _SEASONS[quarter - 1] * (0.92 + 0.16 * draw[3]))
    margin = company.margin + 0.03 * (draw[4] - 0.5) - (0.01 if is_corrected else 0.0)
    operating_income = round(revenue * margin)
    pretax = operating_income + round(revenue * 0.01 * (draw[5] - 0.4))
    net_income = pretax - max(0, round(pretax * 0.22))
    owners_share = 0.93 if is_consolidated and company.has_consolidated else 1.0
    comprehensive = net_income + round(revenue * 0.004 * (draw[6] - 0.5))
    liabilities = round(abs(equity) * company.leverage * (0.95 + 0.1 * draw[7]))
    if equity < 0:
        liabilities += 2 * abs(equity)
    assets = liabilities + equity
    current_liabilities = round(liabilities * 0.6)
    cash = _cash(company, year, quarter, scale)
    cash_at_start = _cash(company, year, quarter - 1, scale)
    current_assets = max(cash, round(assets * (0.4 + 0.15 * draw[8])))
    depreciation = round(revenue * 0.045)
    operating_cash_flow = net_income + depreciation + round(revenue * 0.03 * (draw[9] - 0.5))
    investing_cash_flow = -round(depreciation * (0.7 + 0.6 * draw[10]))
    capital = round(size * 0.1)
    return Figures(
        revenue=revenue,
        operating_income=operating_income,
        pretax_income=pretax,
        net_income=net_income,
        owners_net_income=round(net_income * owners_share),
        comprehensive_income=comprehensive,
        depreciation=depreciation,
        operating_cash_flow=operating_cash_flow,
        investing_cash_flow=investing_cash_flow,
        financing_cash_flow=cash - cash_at_start - operating_cash_flow - investing_cash_flow,
        paid_out=start + comprehensive - equity,
        cash_at_start=cash_at_start,
        cash=cash,
        current_assets=current_assets,
        non_current_assets=assets - current_assets,
        current_liabilities=current_liabilities,
        non_current_liabilities=liabilities - current_liabilities,
        capital=capital,
        retained_earnings=equity - capital,
        equity=equity,
        owners_equity=round(equity * owners_share) if equity > 0 else equity,
    )


def _equity(company: Company, year: int, quarter: int, scale: float) -> int:
    """Equity at a quarter's end; quarter 0 is the year before's last."""
    years = year - FIRST_YEAR + quarter / 4
    return round(company.equity * scale * math.exp(company.growth * years))


def _cash(company: Company, year: int, quarter: int, scale: float) -> int:
    """Cash at a quarter's end; quarter 0 is the year before's last."""
    if quarter == 0:
        year, quarter = year - 1, 4
    share = 0.12 + 0.06 * _draws(company.corp_code, year, quarter)[11]
    return round(abs(_equity(company, year, quarter, scale)) * share)


def _last_trading_day(day: date) -> date:
    return max(trading_days(day - timedelta(days=20), day))


@lru_cache(maxsize=8)
def _companies(day: date) -> Sequence[Company]:
    found = market_day(day)
    if found is None:
        return []
    return [_company(stock) for stock in found.stocks if not stock.is_preferred]


@lru_cache(maxsize=8_192)
def _company(stock: MadeUpStock) -> Company:
    digest = hashlib.blake2b(stock.ticker.encode(), digest_size=8).digest()
    draw = _draws(stock.ticker, 0, 0)
    is_loss_maker, is_ruined = draw[0] < _LOSS_MAKER, draw[1] < _NEGATIVE_EQUITY
    size = _market_cap(stock) / math.exp(1.4 * (draw[2] + draw[3] - 0.8))
    chosen, month = draw[5], 12
    for end, share in _FISCAL_YEAR_ENDS.items():
        if chosen < share:
            month = end
            break
        chosen -= share
    return Company(
        stock=stock,
        # A range that the office has not given out.
        corp_code=f"9{int.from_bytes(digest) % 10**7:07d}",
        equity=-0.3 * size if is_ruined else size,
        fiscal_year_end=month,
        has_consolidated=draw[6] >= _SEPARATE_ONLY,
        files=draw[7] >= _NEVER_FILES,
        is_finance=stock.name.endswith(_FINANCE),
        margin=-0.06 + 0.02 * draw[8] if is_loss_maker else 0.03 + 0.12 * draw[8],
        turnover=0.5 + draw[9],
        leverage=0.3 + 1.4 * draw[10],
        growth=0.02 * draw[11],
    )


def _market_cap(stock: MadeUpStock) -> float:
    """About what the market pays for the company, which keeps to it over the years."""
    return _first_market_caps().get(stock.ticker, _MARKET_CAP_OF_A_NEW_LISTING)


@lru_cache(maxsize=1)
def _first_market_caps() -> Mapping[str, int]:
    found = market_day(next(trading_days(date(FIRST_YEAR, 1, 1), date(FIRST_YEAR, 1, 31))))
    if found is None:
        return {}
    caps: list[int] = found.market_cap.tolist()
    return {stock.ticker: cap for stock, cap in zip(found.stocks, caps, strict=True)}


def _filing(
    received: date, company: Company, year: int, quarter: int, *, is_correction: bool
) -> Filing:
    digest = hashlib.blake2b(
        f"{company.corp_code}:{year}:{quarter}:{is_correction}".encode(), digest_size=4
    ).digest()
    return Filing(f"{received:%Y%m%d}{int.from_bytes(digest) % 10**6:06d}", received, is_correction)


@lru_cache(maxsize=65_536)
def _draws(name: str, year: int, quarter: int) -> Sequence[float]:
    """Twelve numbers from 0 to 1 that belong to a company's quarter."""
    digest = hashlib.blake2b(f"{name}:{year}:{quarter}".encode(), digest_size=48).digest()
    return [number / 2**32 for number in struct.unpack(">12I", digest)]
