"""The four pillars of a moment (사주) by the solar calendar of terms. Pure calendar, no fortune.

Rules, named `RULESET`: the year turns at 입춘 and the month at each of the twelve terms called 절,
at the term's instant; the day turns at midnight, also for those born at 23:00 or later (야자시);
hours are two clock hours each, by standard time, so without the hour of summer time. Instants of
the terms come of `lunar_python`, whose times are UTC+8; what Korean clocks showed comes of the zone
data of Asia/Seoul. A test compares with an astronomical calculation.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from lunar_python import Solar  # pyright: ignore[reportMissingTypeStubs]

from batch_platform.domains.fortunes.models import Birth, Luck, NatalChart, Pillar

RULESET = "solar-terms-kst/1"
FIRST_BIRTH = date(1900, 1, 1)
"""Before it neither the zone data nor the terms were checked."""

SEOUL = ZoneInfo("Asia/Seoul")
_TERMS_ZONE = timezone(timedelta(hours=8))
_NOON = time(12)
_DAYS_A_YEAR_OF_LUCK = 3
"""Three days to the next term are a year before the first ten-year pillar."""

# The twelve 절 of a calendar year in order, as `lunar_python` calls them; the second is 입춘.
_TERM_NAMES = (
    *("小寒", "立春", "惊蛰", "清明", "立夏", "芒种"),
    *("小暑", "立秋", "白露", "寒露", "立冬", "大雪"),
)
_TERMS_BEFORE_FIRST_MONTH = 2


def day_pillar(day: date) -> Pillar:
    """The pillar of a calendar day; 2026-11-21 is 기해.

    Source of the formula: the sexagenary cycle of days has no breaks, so the Julian day number
    (`toordinal() + 1721425`) tells it.
    """
    return Pillar((day.toordinal() + 1721425 + 49) % 60)


def year_pillar(moment: datetime) -> Pillar:
    """The pillar of the year of terms that an instant is in."""
    year, _ = _year_and_month(moment)
    return Pillar((year - 4) % 60)


def month_pillar(moment: datetime) -> Pillar:
    """The pillar of the month of terms that an instant is in."""
    year, month = _year_and_month(moment)
    return _pillar((year - 4) * 2 + 2 + month, 2 + month)


def hour_pillar(day: date, hour: int) -> Pillar:
    """The pillar of an hour (0 to 23, standard time) of a calendar day."""
    # From 23:00 it is the next day's first hour, though the day's own pillar stays.
    following = day + timedelta(days=1) if hour == 23 else day
    branch = (hour + 1) // 2 % 12
    return _pillar(day_pillar(following).stem * 2 + branch, branch)


def is_term_day(day: date) -> bool:
    """Tell whether a term that turns the month falls on a calendar day in Korea."""
    start = datetime.combine(day, time.min, SEOUL)
    end = datetime.combine(day + timedelta(days=1), time.min, SEOUL)
    return any(start <= term < end for term in _terms(day.year))


def natal_chart(birth: Birth) -> NatalChart:
    """A person's chart. Without an hour, year and month are those of noon."""
    local = datetime.combine(birth.day, birth.clock or _NOON, SEOUL)
    standard = local.replace(tzinfo=None) - (local.dst() or timedelta())
    moment = local.astimezone(UTC)
    year = year_pillar(moment)
    is_hour_known = birth.clock is not None
    day = standard.date() if is_hour_known else birth.day
    return NatalChart(
        year=year,
        month=month_pillar(moment),
        day=day_pillar(day),
        hour=hour_pillar(day, standard.hour) if is_hour_known else None,
        is_term_day=is_term_day(birth.day),
        luck=None if birth.is_male is None else _luck(moment, year, birth.is_male),
        ruleset=RULESET,
    )


def luck_pillar(chart: NatalChart, birth_day: date, day: date) -> Pillar | None:
    """The ten-year pillar (대운) that a person is in on a day; None when the gender is unknown.

    Before the first one begins, it is the month's.
    """
    if chart.luck is None:
        return None
    years = (day - birth_day).days / 365.2425
    passed = int((years - chart.luck.start_years) // 10) + 1
    return Pillar((chart.month.index + chart.luck.direction * max(passed, 0)) % 60)


def _luck(moment: datetime, year: Pillar, is_male: bool) -> Luck:
    """Onwards for men of a year whose stem is yang and women of a yin one, else backwards."""
    direction = 1 if (year.stem % 2 == 0) == is_male else -1
    terms = [term for at in (-1, 0, 1) for term in _terms(moment.year + at)]
    following = bisect_right(terms, moment)
    distance = terms[following] - moment if direction == 1 else moment - terms[following - 1]
    return Luck(direction, round(distance / timedelta(days=_DAYS_A_YEAR_OF_LUCK), 2))


def _year_and_month(moment: datetime) -> tuple[int, int]:
    """Year of terms, and month in it from 0 (인월)."""
    year = moment.astimezone(_TERMS_ZONE).year
    passed = bisect_right(_terms(year), moment)
    if passed < _TERMS_BEFORE_FIRST_MONTH:
        return year - 1, 10 + passed
    return year, passed - _TERMS_BEFORE_FIRST_MONTH


@lru_cache(maxsize=256)
def _terms(year: int) -> tuple[datetime, ...]:
    """Instants of a calendar year's twelve 절, in order."""
    # In the middle of the year the lunar year's table is certainly the calendar year's.
    table: dict[str, Any] = Solar.fromYmd(year, 6, 15).getLunar().getJieQiTable()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    found = (table[name] for name in _TERM_NAMES)
    return tuple(
        datetime(
            term.getYear(),
            term.getMonth(),
            term.getDay(),
            term.getHour(),
            term.getMinute(),
            term.getSecond(),
            tzinfo=_TERMS_ZONE,
        )
        for term in found
    )


def _pillar(stem: int, branch: int) -> Pillar:
    """The pillar of a stem and a branch, which are both even or both odd."""
    return Pillar((6 * (stem % 10) - 5 * (branch % 12)) % 60)
