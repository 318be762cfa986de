"""A made-up stock market: 2,763 places on it, twelve years and on, every figure fits the others.

Nothing here is real: the codes are of a range that no stock of the Korea Exchange uses, the names
are put together from syllables. The same day is the same for ever. How the exchange words a day
is the servers' business (`krx_server`, `public_data_server`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_platform.core.trading_days import TradingCalendar

KOSPI_PLACES = 942
KOSDAQ_PLACES = 1_821
PLACES = KOSPI_PLACES + KOSDAQ_PLACES
FIRST_YEAR = 2015
SPLIT_DAY = date(2018, 5, 4)
"""On this day the stock in the market's first place is split 50:1."""

SPLIT_PLACE = 0
HUGE_VOLUME_PLACE = 7
"""A penny stock of six billion shares: its volume often passes 2³¹."""

LETTER_PLACE = 40
"""A preferred stock whose code ends in a letter (like 00104K), of the company one place before."""

_SEED = 20_261_121
_PREFERRED_SHARE = 0.06
_REPLACED_A_YEAR = 55
_SPLITS_A_YEAR = 22
_RIGHTS_A_YEAR = 30
_NEW_SHARES_DELAY_DAYS = 15
_SUSPENSION_BEFORE_SPLIT_DAYS = 3
_SUSPENDED_SHARE = 0.029
_SUSPENSION_DAYS = 24
_SUSPENSION_STARTS = _SUSPENDED_SHARE / _SUSPENSION_DAYS
_PRICE_LIMIT = 0.3
_SECTIONS = ("우량기업부", "벤처기업부", "중견기업부", "기술성장기업부")
_SYLLABLES = [
    "가람",
    "누솔",
    "다온",
    "라빈",
    "마루",
    "바론",
    "사해",
    "아린",
    "자훈",
    "차온",
    "카빈",
    "타온",
    "파란",
    "하울",
    "거림",
    "너울",
    "더온",
    "러빈",
    "머루",
    "버들",
    "서린",
    "어진",
    "저온",
    "처음",
    "커넬",
    "터울",
    "퍼즐",
    "허브",
    "고은",
    "노을",
    "도담",
    "로빈",
    "모란",
    "보담",
    "소율",
    "오름",
    "조은",
    "초롱",
    "코빈",
    "토담",
    "포근",
    "호연",
    "구름",
    "누리",
    "두빛",
    "루빈",
    "무진",
    "부림",
    "수온",
    "우람",
    "주온",
    "추담",
    "쿠온",
    "투빈",
    "푸름",
    "후담",
    "그린",
    "느루",
    "드온",
    "르빈",
]
_TRADES = {
    "전자": "Electronics",
    "화학": "Chemical",
    "바이오": "Bio",
    "제약": "Pharm",
    "건설": "Construction",
    "물산": "Trading",
    "금속": "Metal",
    "기계": "Machinery",
    "식품": "Foods",
    "반도체": "Semiconductor",
    "소프트": "Soft",
    "네트웍스": "Networks",
    "로보틱스": "Robotics",
    "에너지": "Energy",
    "해운": "Shipping",
    "통신": "Telecom",
    "디스플레이": "Display",
    "게임즈": "Games",
    "엔터": "Entertainment",
    "모빌리티": "Mobility",
    "머티리얼즈": "Materials",
    "시스템": "Systems",
    "테크": "Tech",
    "홀딩스": "Holdings",
    "헬스케어": "Healthcare",
    "증권": "Securities",
    "캐피탈": "Capital",
    "유통": "Retail",
    "항공": "Aviation",
    "환경": "Environment",
}
_INITIALS = [
    "G",
    "KK",
    "N",
    "D",
    "TT",
    "R",
    "M",
    "B",
    "PP",
    "S",
    "SS",
    ".",
    "J",
    "JJ",
    "CH",
    "K",
    "T",
    "P",
    "H",
]
_MEDIALS = [
    "A",
    "AE",
    "YA",
    "YAE",
    "EO",
    "E",
    "YEO",
    "YE",
    "O",
    "WA",
    "WAE",
    "OE",
    "YO",
    "U",
    "WO",
    "WE",
    "WI",
    "YU",
    "EU",
    "UI",
    "I",
]
_FINALS = [
    ".",
    "K",
    "K",
    "K",
    "N",
    "N",
    "N",
    "T",
    "L",
    "K",
    "M",
    "L",
    "L",
    "L",
    "P",
    "L",
    "M",
    "P",
    "P",
    "T",
    "T",
    "NG",
    "T",
    "T",
    "K",
    "T",
    "P",
    "T",
]

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MadeUpStock:
    """A made-up stock.

    Attributes:
        ticker: Six characters.
        market: `KOSPI` or `KOSDAQ`.
        section: Section of KOSDAQ; empty on KOSPI.
        listing_date: Its first day; one before the sample's first year when it began with it.
        common_ticker: Of a preferred stock, the company's common one; its own otherwise.
    """

    ticker: str
    isin: str
    name: str
    name_en: str
    market: str
    section: str
    listing_date: date
    common_ticker: str
    par_value_krw: int

    @property
    def is_preferred(self) -> bool:
        """Whether it is a preferred stock, which has no corporation code of its own."""
        return self.ticker != self.common_ticker


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A trading day of the whole market: arrays with one element a place, KOSPI first.

    Attributes:
        stocks: Who is in each place.
        base: Base price, won: the previous close, or what a corporate action made of it.
        open: Won; 0 where suspended, as are `high`, `low`, `volume` and `value`.
        value: Traded, won.
        shares: Listed.
    """

    date: date
    stocks: Sequence[MadeUpStock]
    base: Longs
    open: Longs
    high: Longs
    low: Longs
    close: Longs
    volume: Longs
    value: Longs
    shares: Longs
    is_suspended: Flags

    @property
    def market_cap(self) -> Longs:
        """Won."""
        return self.shares * self.close

    @property
    def change(self) -> Longs:
        """Close less base price, won."""
        return self.close - self.base

    @property
    def change_rate(self) -> npt.NDArray[np.float64]:
        """Change in per cent of the base price, two decimals."""
        return np.round(self.change * 100 / self.base, 2)


@dataclass(frozen=True)
class _State:
    """The market between two years."""

    stocks: tuple[MadeUpStock, ...]
    names_used: int
    close: Longs
    shares: Longs
    target: npt.NDArray[np.float64]
    volatility: npt.NDArray[np.float64]
    turnover: npt.NDArray[np.float64]
    suspended_days_left: Longs


@dataclass(frozen=True)
class _Year:
    """A year's days: arrays of shape (days, places)."""

    days: Sequence[date]
    stocks: Sequence[tuple[MadeUpStock, ...]]
    figures: Mapping[str, Longs]
    is_suspended: Flags
    after: _State


def trading_days(start: date, end: date) -> Iterator[date]:
    """Yield the market's days of a period."""
    return TradingCalendar().days(start, end)


def market_day(day: date) -> MarketDay | None:
    """The market on a day; None when it is closed, or before the first year.

    The first call for a year takes about a tenth of a second for each year since the first.
    """
    if day.year < FIRST_YEAR:
        return None
    year = _year(day.year)
    if day not in year.days:
        return None
    index = year.days.index(day)
    return MarketDay(
        date=day,
        stocks=year.stocks[index],
        is_suspended=year.is_suspended[index],
        **{name: figures[index] for name, figures in year.figures.items()},
    )


def market_days(start: date, end: date) -> Iterator[MarketDay]:
    """Yield every trading day of a period, in order."""
    for day in trading_days(start, end):
        if found := market_day(day):
            yield found


@lru_cache(maxsize=2)
def _year(year: int) -> _Year:
    return _made_year(year, _state_before(year))


@cache
def _state_before(year: int) -> _State:
    if year == FIRST_YEAR:
        return _first_state()
    return _made_year(year - 1, _state_before(year - 1)).after


def _first_state() -> _State:
    random = np.random.default_rng(_SEED)
    stocks: list[MadeUpStock] = []
    for place in range(PLACES):
        common = stocks[-1] if stocks and not stocks[-1].is_preferred else None
        may_be_preferred = common is not None and 20 < place < KOSPI_PLACES
        if place == LETTER_PLACE and common is not None:
            stocks.append(_preferred(common, "K"))
        elif may_be_preferred and common is not None and random.random() < _PREFERRED_SHARE:
            stocks.append(_preferred(common, "5"))
        else:
            listed = date(int(random.integers(1975, FIRST_YEAR)), int(random.integers(1, 13)), 15)
            stocks.append(_stock(place, place, listed))
    close = _tick(np.exp(random.normal(9.2, 1.1, PLACES)))
    shares = np.exp(random.normal(17.0, 0.9, PLACES)).astype(np.int64)
    shares[:KOSPI_PLACES] *= 2
    close[SPLIT_PLACE], shares[SPLIT_PLACE] = 1_900_000, 128_386_494
    close[HUGE_VOLUME_PLACE], shares[HUGE_VOLUME_PLACE] = 500, 6_012_345_678
    volatility = random.uniform(0.012, 0.04, PLACES)
    volatility[SPLIT_PLACE] = 0.012
    turnover = np.exp(random.normal(-5.2, 0.8, PLACES))
    turnover[HUGE_VOLUME_PLACE] = 0.6
    suspended = random.random(PLACES) < _SUSPENDED_SHARE
    suspended[[SPLIT_PLACE, HUGE_VOLUME_PLACE, LETTER_PLACE]] = False
    return _State(
        tuple(stocks),
        PLACES,
        close,
        shares,
        close.astype(np.float64),
        volatility,
        turnover,
        np.where(suspended, random.geometric(1 / _SUSPENSION_DAYS, PLACES), 0),
    )


def _made_year(year: int, state: _State) -> _Year:
    random = np.random.default_rng((_SEED, year))
    days = list(trading_days(date(year, 1, 1), date(year, 12, 31)))
    shape = (len(days), PLACES)
    events = _Events(random, days, state.stocks)
    move = random.standard_normal(shape, dtype=np.float32) * state.volatility
    move += (random.standard_normal(len(days)) * 0.008)[:, None]
    gap = random.standard_normal(shape, dtype=np.float32) * 0.006
    above, below = (np.abs(random.standard_normal(shape, dtype=np.float32)) * 0.009 for _ in "ab")
    activity = np.exp(random.standard_normal(shape, dtype=np.float32) * 0.5)
    stops = random.random(shape, dtype=np.float32) < _SUSPENSION_STARTS
    stop_days = random.geometric(1 / _SUSPENSION_DAYS, shape)
    stops[:, [SPLIT_PLACE, HUGE_VOLUME_PLACE, LETTER_PLACE]] = False

    names = ("base", "open", "high", "low", "close", "volume", "value", "shares")
    figures = {name: np.zeros(shape, np.int64) for name in names}
    is_suspended = np.zeros(shape, np.bool_)
    in_places: list[tuple[MadeUpStock, ...]] = []
    stocks, names_used = list(state.stocks), state.names_used
    close, shares, target = state.close.copy(), state.shares.copy(), state.target.copy()
    left = state.suspended_days_left.copy()

    for index, day in enumerate(days):
        base = close.copy()
        for place in events.replaced.get(index, ()):
            stocks[place] = _stock(place, names_used, day)
            names_used += 1
            base[place] = _tick(np.exp(random.normal(9.4, 0.6, 1)))[0]
            shares[place] = int(np.exp(random.normal(16.4, 0.5)))
            target[place], left[place] = base[place], 0
        for place, ratio in events.splits.get(index, ()):
            shares[place] = int(shares[place] * ratio)
            base[place] = _tick(np.array([close[place] / ratio]))[0]
            target[place], left[place] = target[place] / ratio, 0
        for place, factor in events.rights.get(index, ()):
            base[place] = _tick(np.array([close[place] * factor]))[0]
            left[place] = 0
        for place, factor in events.new_shares.get(index, ()):
            shares[place] = int(shares[place] / factor)
        left = np.where((left == 0) & stops[index], stop_days[index], left)
        for place in events.stopped.get(index, ()):
            left[place] = max(left[place], 1)
        for place in events.traded.get(index, ()):
            left[place] = 0
        off = left > 0
        left = np.maximum(left - 1, 0)

        back = 0.004 * np.log(target / base)
        change = np.clip(np.expm1(move[index] + back), -0.29, 0.29)
        low_limit, high_limit = _tick(base * 0.71), _tick(base * 1.29)
        closing = np.clip(_tick(base * (1 + change)), low_limit, high_limit)
        opening = np.clip(_tick(base * (1 + gap[index])), low_limit, high_limit)
        high = np.maximum.reduce([opening, closing, _tick(closing * (1 + above[index]))])
        low = np.minimum.reduce([opening, closing, _tick(closing * (1 - below[index]))])
        volume = np.maximum(1, (shares * state.turnover * activity[index]).astype(np.int64))
        value = volume * ((opening + high + low + closing) // 4)
        close = np.where(off, base, closing)

        for name, traded in (
            ("open", opening),
            ("high", high),
            ("low", low),
            ("volume", volume),
            ("value", value),
        ):
            figures[name][index] = np.where(off, 0, traded)
        figures["base"][index], figures["close"][index] = base, close
        figures["shares"][index], is_suspended[index] = shares, off
        in_places.append(tuple(stocks))

    after = replace(
        state,
        stocks=tuple(stocks),
        names_used=names_used,
        close=close,
        shares=shares,
        target=target,
        suspended_days_left=left,
    )
    return _Year(days, in_places, figures, is_suspended, after)


class _Events:
    """What happens to whom in a year: day's index → places, some with a ratio."""

    def __init__(
        self,
        random: np.random.Generator,
        days: Sequence[date],
        stocks: Sequence[MadeUpStock],
    ) -> None:
        self.replaced: dict[int, list[int]] = {}
        self.splits: dict[int, list[tuple[int, float]]] = {}
        self.rights: dict[int, list[tuple[int, float]]] = {}
        self.new_shares: dict[int, list[tuple[int, float]]] = {}
        self.stopped: dict[int, list[int]] = {}
        self.traded: dict[int, list[int]] = {}
        related = {stock.common_ticker for stock in stocks if stock.is_preferred}
        plain = [
            place
            for place, stock in enumerate(stocks)
            if place > LETTER_PLACE and stock.ticker not in related and not stock.is_preferred
        ]
        count = _REPLACED_A_YEAR + _SPLITS_A_YEAR + _RIGHTS_A_YEAR
        chosen: list[Any] = random.choice(plain, count, replace=False).tolist()
        # Away from the year's ends, so that what takes some days stays in one year.
        first, last = _SUSPENSION_BEFORE_SPLIT_DAYS, len(days) - _NEW_SHARES_DELAY_DAYS
        at: list[Any] = random.integers(first, last, count).tolist()
        for place, index in zip(chosen[:_REPLACED_A_YEAR], at[:_REPLACED_A_YEAR], strict=True):
            self.replaced.setdefault(index, []).append(place)
            self.traded.setdefault(index, []).append(place)
        rest = list(zip(chosen, at, strict=True))[_REPLACED_A_YEAR:]
        for place, index in rest[:_SPLITS_A_YEAR]:
            self._split(index, place, float(random.choice([2, 5, 10, 0.1])))
        if SPLIT_DAY in days:
            self._split(days.index(SPLIT_DAY), SPLIT_PLACE, 50.0)
        for place, index in rest[_SPLITS_A_YEAR:]:
            factor = float(random.uniform(0.78, 0.96))
            self.rights.setdefault(index, []).append((place, factor))
            self.traded.setdefault(index, []).append(place)
            listed = index + _NEW_SHARES_DELAY_DAYS - 1
            self.new_shares.setdefault(listed, []).append((place, factor))

    def _split(self, index: int, place: int, ratio: float) -> None:
        self.splits.setdefault(index, []).append((place, ratio))
        self.traded.setdefault(index, []).append(place)
        for before in range(index - _SUSPENSION_BEFORE_SPLIT_DAYS, index):
            self.stopped.setdefault(before, []).append(place)


def _stock(place: int, number: int, listed: date) -> MadeUpStock:
    """The stock with a running number; those listed from 2025 on have a letter in their code."""
    ticker = f"{60_000 + number * 7}0"
    if listed.year >= 2025:
        ticker = f"{6_000 + number % 3_000}{'ABCDFGHJKLMN'[number % 12]}0"
    syllables, trades = len(_SYLLABLES), list(_TRADES)
    first = _SYLLABLES[number % syllables]
    trade = trades[number // syllables % len(trades)]
    second = _SYLLABLES[number // (syllables * len(trades)) * 17 % syllables]
    name = first + (second if number >= syllables * len(trades) else "") + trade
    is_kospi = place < KOSPI_PLACES
    return MadeUpStock(
        ticker=ticker,
        isin=_isin(ticker),
        name=name,
        name_en=f"{_romanized(name.removesuffix(trade))} {_TRADES[trade]} (made up)",
        market="KOSPI" if is_kospi else "KOSDAQ",
        section="" if is_kospi else _SECTIONS[number % len(_SECTIONS)],
        listing_date=listed,
        common_ticker=ticker,
        par_value_krw=(100, 200, 500, 1_000, 5_000)[number % 5],
    )


def _preferred(common: MadeUpStock, last: str) -> MadeUpStock:
    ticker = common.ticker[:5] + last
    return replace(
        common,
        ticker=ticker,
        isin=_isin(ticker),
        name=f"{common.name}우",
        name_en=f"{common.name_en} pref.",
    )


def _isin(ticker: str) -> str:
    """ISO 6166: the country, nine characters, and a check digit over the letters as numbers."""
    body = f"KR7{ticker}00"
    digits = [int(digit) for character in body for digit in str(int(character, 36))]
    total = 0
    for index, digit in enumerate(reversed(digits)):
        total += sum(divmod(digit * 2, 10)) if index % 2 == 0 else digit
    return f"{body}{-total % 10}"


def _romanized(text: str) -> str:
    """Hangul syllables in Latin letters, taken apart as Unicode (3.12) orders them."""
    parts: list[str] = []
    for character in text:
        number = ord(character) - 0xAC00
        initial, rest = divmod(number, 588)
        medial, final = divmod(rest, 28)
        parts += [_INITIALS[initial], _MEDIALS[medial], _FINALS[final]]
    return "".join(part for part in parts if part != ".").capitalize()


def _tick(prices: npt.NDArray[Any]) -> Longs:
    """Round prices to the exchange's tick sizes (KRX, since January 2023); at least 100 won."""
    prices = np.maximum(prices, 100)
    edges = np.array([2_000, 5_000, 20_000, 50_000, 200_000, 500_000])
    sizes = np.array([1, 5, 10, 50, 100, 500, 1_000])[np.searchsorted(edges, prices, "right")]
    return (np.round(prices / sizes) * sizes).astype(np.int64)
