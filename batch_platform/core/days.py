"""Calendar days and the clock. Pure: the current time always comes in as a `Clock`.

Trading days and other calendars of one market do not belong here.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batch_platform.core.errors import PermanentError

Clock = Callable[[], datetime]
"""Returns the current time, zone-aware, in UTC."""


_MACHINES_OWN = {"localtime", "posixrules"}


def utc_now() -> datetime:
    """The real clock, handed in at the outermost layer only."""
    return datetime.now(UTC)


def named_zone(name: str) -> ZoneInfo:
    """The zone of a name like Asia/Seoul.

    Raises:
        ValueError: There is none, or its name means another zone (`localtime`) or other seconds
            (`right/…` counts leap seconds) on another machine; says so in one sentence.
    """
    if name.lower() in _MACHINES_OWN or name.lower().startswith(("posix/", "right/")):
        raise ValueError(f"{name!r} is not a time zone everywhere; use a name like Asia/Seoul")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; use a name like Asia/Seoul") from None


def today(clock: Clock, zone: ZoneInfo) -> date:
    """The calendar day that it is now in `zone`."""
    return clock().astimezone(zone).date()


def day_window(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The half-open window [start, end) of a calendar day in `zone`, as UTC times."""
    start = datetime.combine(day, time.min, tzinfo=zone)
    end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)


def days_between(start: date, end: date) -> Iterator[date]:
    """Yield each day from `start` to `end`, both included.

    Raises:
        PermanentError: `end` is before `start`.
    """
    if end < start:
        raise PermanentError(f"The range {start} … {end} ends before it starts", "Swap the dates")
    for offset in range((end - start).days + 1):
        yield start + timedelta(days=offset)


def past_day(text: str, clock: Clock, zone: ZoneInfo) -> date:
    """Read a day that is over: `2026-11-19`, `20261119` or `yesterday`.

    Raises:
        PermanentError: The text is no date, or the day is not over yet in `zone`.
    """
    if text.strip().lower() in {"yesterday", "어제"}:
        return today(clock, zone) - timedelta(days=1)
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise PermanentError(
            f"{text!r} is not a date", "Write it like 2026-11-19, or yesterday"
        ) from None
    if day >= today(clock, zone):
        raise PermanentError(
            f"{day} is not over yet in {zone.key}",
            f"The last day with complete data is {today(clock, zone) - timedelta(days=1)}",
        )
    return day


def previous_weekday(day: date) -> date:
    """The last Monday-to-Friday day before `day`; public holidays are not known here."""
    before = day - timedelta(days=1)
    while before.weekday() >= 5:
        before -= timedelta(days=1)
    return before


def week_before(day: date) -> date:
    """The Monday of the last week, Monday to Sunday, that is over on a day."""
    return day - timedelta(days=day.weekday() + 7)


def month_before(day: date) -> date:
    """The first day of the last month that is over on a day."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)
