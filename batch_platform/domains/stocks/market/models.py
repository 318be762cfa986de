"""What the market's workflows hand to one another. No rules and no SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from batch_platform.gateways.market_rows import Market
from batch_platform.gateways.platform_db import RowChanges


@dataclass(frozen=True, slots=True)
class PriceDay:
    """A day that is there, or will be when it is written.

    Attributes:
        rows: Market → stocks with a price; empty when the exchange was closed.
        source: `KRX`, `PUBLIC_DATA` or `IMPORTED`; None when it was closed.
        reason: Why there are no prices; None when there are.
    """

    date: date
    rows: Mapping[Market, int]
    source: str | None = None
    reason: str | None = None

    @property
    def row_count(self) -> int:
        """Stocks with a price."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trading day whose data nobody has published yet.

    Attributes:
        reason: Who was asked and what was said, in one sentence without a full stop.
    """

    date: date
    reason: str


@dataclass(slots=True)
class PricesOutcome:
    """What became of one or more days of prices.

    Attributes:
        imported: Days among them that an old system had collected: nobody was asked for them.
    """

    days: list[PriceDay] = field(default_factory=list[PriceDay])
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    changes: RowChanges = field(default_factory=RowChanges)
    actions: int = 0
    imported: int = 0
    warnings: list[str] = field(default_factory=list[str])

    @property
    def rows(self) -> int:
        """Rows of the days that are there."""
        return sum(day.row_count for day in self.days)


@dataclass(slots=True)
class ListingsOutcome:
    """What became of one or more days' lists of stocks."""

    days: list[PriceDay] = field(default_factory=list[PriceDay])
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    changes: RowChanges = field(default_factory=RowChanges)
    warnings: list[str] = field(default_factory=list[str])

    @property
    def rows(self) -> int:
        """Stocks listed, of all days."""
        return sum(day.row_count for day in self.days)


@dataclass(frozen=True, slots=True)
class BaseDifference:
    """A stock whose base price is not its previous close: both in won."""

    date: date
    ticker: str
    previous_close: int
    base_price: int
    shares_before: int
    shares_after: int


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A difference and what it suggests.

    Attributes:
        kind: `split`, `consolidation`, `rights` or `other`.
        factor: What prices before the day are multiplied with to compare with later ones.
    """

    difference: BaseDifference
    kind: str
    factor: float


@dataclass(frozen=True, slots=True)
class MonthCoverage:
    """How much of a month is there.

    Attributes:
        month: Its first day.
        trading_days: Days on which the exchange was open, as far as the month is over.
        stored_days: Of these, days with prices here.
        missing: The others.
        least_rows: Fewest stocks of a stored day.
        most_rows: Most stocks of a stored day.
        fallback_days: Stored days that came from data.go.kr.
        suspended_rows: Prices of stocks that did not trade.
    """

    month: date
    trading_days: int
    stored_days: int
    missing: tuple[date, ...]
    least_rows: int
    most_rows: int
    fallback_days: int
    suspended_rows: int
