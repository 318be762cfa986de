"""On which days the exchange trades: the calendar of three years, and a person's corrections."""

from datetime import date

import pytest

from batch_platform.core.errors import PermanentError
from batch_platform.core.trading_days import TradingCalendar, TradingDayOverride

# Closings on weekdays, from the exchange's own notices.
CLOSED = {
    2024: "01-01 02-09 02-12 03-01 04-10 05-01 05-06 05-15 06-06 08-15 09-16 09-17 09-18 10-01"
    " 10-03 10-09 12-25 12-31",
    2025: "01-01 01-27 01-28 01-29 01-30 03-03 05-01 05-05 05-06 06-03 06-06 08-15 10-03 10-06"
    " 10-07 10-08 10-09 12-25 12-31",
    2026: "01-01 02-16 02-17 02-18 03-02 05-01 05-05 05-25 06-03 07-17 08-17 09-24 09-25 10-05"
    " 10-09 12-25 12-31",
}
CLOSED_DAYS = [
    date.fromisoformat(f"{y}-{day}") for y, days in CLOSED.items() for day in days.split()
]


@pytest.mark.parametrize("year", CLOSED)
def test_exactly_these_weekdays_are_closed(year: int) -> None:
    calendar = TradingCalendar()
    first, last = date(year, 1, 1), date(year, 12, 31)
    weekdays = {
        day
        for ordinal in range(first.toordinal(), last.toordinal() + 1)
        if (day := date.fromordinal(ordinal)).weekday() < 5
    }
    assert weekdays - set(calendar.days(first, last)) == {d for d in CLOSED_DAYS if d.year == year}


def test_a_closed_day_says_why() -> None:
    calendar = TradingCalendar()
    assert calendar.closing_reason(date(2026, 11, 21)) == "Weekend"
    assert calendar.closing_reason(date(2025, 12, 31)) == "End of Year Holiday"
    assert calendar.closing_reason(date(2026, 11, 20)) is None


def test_a_persons_word_goes_before_the_calendars() -> None:
    closed, opened = date(2026, 11, 20), date(2026, 11, 21)
    calendar = TradingCalendar(
        {
            closed: TradingDayOverride(False, "임시 휴장"),
            opened: TradingDayOverride(True, "특별 개장"),
        }
    )
    assert calendar.closing_reason(closed) == "임시 휴장"
    assert list(calendar.days(date(2026, 11, 19), date(2026, 11, 22))) == [
        date(2026, 11, 19),
        opened,
    ]
    assert calendar.previous(opened) == date(2026, 11, 19)
    assert calendar.next(date(2026, 11, 19)) == opened


def test_the_days_around_a_long_closing() -> None:
    calendar = TradingCalendar()
    assert calendar.next(date(2025, 10, 2)) == date(2025, 10, 10)
    assert calendar.previous(date(2025, 10, 10)) == date(2025, 10, 2)


def test_a_calendar_that_is_closed_for_ever_says_so() -> None:
    days = [date.fromordinal(date(2026, 11, 20).toordinal() + n) for n in range(40)]
    calendar = TradingCalendar({day: TradingDayOverride(False, "war") for day in days})
    with pytest.raises(PermanentError, match="stocks holidays list"):
        calendar.next(days[0])
