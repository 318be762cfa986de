"""Trading days of the Korea Exchange: the calendar's closings and a person's corrections. Pure.

The calendar comes from `holidays`; what it cannot know yet (a closing announced last week) is
handed in as overrides, which a table of the stocks domain keeps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache

import holidays

from batch_platform.core.days import days_between
from batch_platform.core.errors import PermanentError

_MARKET = "XKRX"
_SATURDAY = 5
_LONGEST_CLOSING_DAYS = 30


@dataclass(frozen=True, slots=True)
class TradingDayOverride:
    """What a person said about a day.

    Attributes:
        is_open: Whether the exchange trades on it, whatever the calendar says.
        reason: Why, in a few words.
    """

    is_open: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TradingCalendar:
    """Says of any day whether the exchange trades on it.

    Args:
        overrides: Days on which the calendar is wrong.
    """

    overrides: Mapping[date, TradingDayOverride] = field(
        default_factory=dict[date, TradingDayOverride]
    )

    def closing_reason(self, day: date) -> str | None:
        """Why the exchange is closed on a day; None when it is open."""
        override = self.overrides.get(day)
        if override is not None:
            return None if override.is_open else override.reason
        if day.weekday() >= _SATURDAY:
            return "Weekend"
        return _closings(day.year).get(day)

    def is_open(self, day: date) -> bool:
        """Whether the exchange trades on a day."""
        return self.closing_reason(day) is None

    def days(self, start: date, end: date) -> Iterator[date]:
        """Yield each trading day from `start` to `end`, both included.

        Raises:
            PermanentError: `end` is before `start`.
        """
        return (day for day in days_between(start, end) if self.is_open(day))

    def previous(self, day: date) -> date:
        """The last trading day before `day`.

        Raises:
            PermanentError: There is none within a month: the overrides close everything.
        """
        return self._nearest(day, -1)

    def next(self, day: date) -> date:
        """The first trading day after `day`.

        Raises:
            PermanentError: There is none within a month: the overrides close everything.
        """
        return self._nearest(day, 1)

    def _nearest(self, day: date, step: int) -> date:
        for distance in range(1, _LONGEST_CLOSING_DAYS + 1):
            other = day + timedelta(days=step * distance)
            if self.is_open(other):
                return other
        raise PermanentError(
            f"There is no trading day within {_LONGEST_CLOSING_DAYS} days of {day}",
            "Look through the overrides: batch-platform stocks holidays list",
        )


@cache
def _closings(year: int) -> Mapping[date, str]:
    return dict(holidays.financial_holidays(_MARKET, years=year))
