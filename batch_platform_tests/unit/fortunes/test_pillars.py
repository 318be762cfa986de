"""Pillars against an astronomical calculation that shares nothing with ours."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import astronomy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.domains.fortunes.models import Birth, Pillar
from batch_platform.domains.fortunes.pillars import (
    SEOUL,
    day_pillar,
    hour_pillar,
    is_term_day,
    luck_pillar,
    month_pillar,
    natal_chart,
    year_pillar,
)

# Korean summer time: https://data.iana.org/time-zones, Asia/Seoul
SUMMERS = (*range(1948, 1952), *range(1955, 1961), 1987, 1988)
MARGIN = timedelta(minutes=2)
"""The two calculations of a term differ by less than a minute from 1900 to 2030."""


def longitude(moment: datetime) -> float:
    """Apparent longitude of the sun, in degrees."""
    utc = moment.astimezone(UTC)
    at = astronomy.Time.Make(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second)
    return astronomy.SunPosition(at).elon


def term(year: int, number: int) -> datetime:
    """When the sun reaches the longitude of a year's 절: 0 is 소한, 1 is 입춘."""
    near = astronomy.Time.Make(year, number + 1, 1, 0, 0, 0)
    found = astronomy.SearchSunLongitude((285 + 30 * number) % 360, near, 20)
    return found.Utc().replace(tzinfo=UTC)


def expected_year_and_month(moment: datetime) -> tuple[int, int]:
    """Index of the year's pillar, and branch of the month's, from the sun alone."""
    degrees = longitude(moment)
    local = moment.astimezone(SEOUL)
    # Before 입춘 (315°) in the first months, the year is still the last one.
    is_last_year = local.month <= 2 and 180 < degrees < 315
    month = int((degrees - 315) % 360 // 30)
    return (local.year - is_last_year - 4) % 60, (month + 2) % 12


def moments_around_terms() -> Iterator[datetime]:
    for year in (1900, 1911, 1924, 1949, 1954, 1961, 1984, 1988, 2000, 2026):
        for number in range(12):
            for offset in (-timedelta(days=1), -MARGIN, MARGIN, timedelta(days=1)):
                yield term(year, number) + offset


def moments_of_summers() -> Iterator[datetime]:
    chance = random.Random(1)
    for year in SUMMERS:
        for _ in range(8):
            day = date(year, 5, 1) + timedelta(days=chance.randrange(150))
            yield datetime.combine(day, time(chance.randrange(24), 31), SEOUL)


def late_moments() -> Iterator[datetime]:
    chance = random.Random(2)
    for _ in range(60):
        day = date(1930, 1, 1) + timedelta(days=chance.randrange(35_000))
        yield datetime.combine(day, time(23, 30), SEOUL)


FIXED_LIST = [*moments_around_terms(), *moments_of_summers(), *late_moments()]


def test_year_and_month_agree_with_the_sun_on_the_fixed_list() -> None:
    assert len(FIXED_LIST) >= 600
    wrong = [
        moment.isoformat()
        for moment in FIXED_LIST
        if (year_pillar(moment).index, month_pillar(moment).branch)
        != expected_year_and_month(moment)
    ]
    assert wrong == []


def test_charts_agree_with_the_sun_by_what_the_clock_showed() -> None:
    wrong = []
    for moment in FIXED_LIST:
        local = moment.astimezone(SEOUL).replace(second=0, microsecond=0)
        chart = natal_chart(Birth(local.date(), local.time()))
        year, month_branch = expected_year_and_month(local.astimezone(UTC))
        standard = local.replace(tzinfo=None) - (local.dst() or timedelta())
        # From 23:00 to 00:59 it is 자시, two hours each from there.
        hour_branch = (standard.hour * 60 + standard.minute + 60) // 120 % 12
        assert chart.hour is not None
        found = (chart.year.index, chart.month.branch, chart.hour.branch, chart.day.index)
        julian_day = round(
            astronomy.Time.Make(standard.year, standard.month, standard.day, 12, 0, 0.0).ut
            + 2451545
        )
        if found != (year, month_branch, hour_branch, (julian_day + 49) % 60):
            wrong.append(local.isoformat())
    assert wrong == []


@pytest.mark.parametrize(
    ("day", "name"),
    [
        # Of almanacs: the day of the lunar new year 1900, the founding day that is a 갑자 day, …
        (date(1900, 1, 31), "갑진"),
        (date(1949, 10, 1), "갑자"),
        (date(2000, 1, 7), "갑자"),
        (date(2026, 11, 21), "기해"),
    ],
)
def test_days_have_the_pillars_of_the_almanac(day: date, name: str) -> None:
    assert day_pillar(day).name == name


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_days_follow_each_other_without_a_break(day: date) -> None:
    assert (day_pillar(day + timedelta(days=1)).index - day_pillar(day).index) % 60 == 1


@given(st.dates(date(1901, 1, 1), date(2099, 1, 1)), st.times())
def test_the_months_stem_follows_from_the_years(day: date, clock: time) -> None:
    moment = datetime.combine(day, clock, UTC)
    # 오호둔: 갑 and 기 years begin with 병인, 을 and 경 years with 무인, and so on.
    year, month = year_pillar(moment), month_pillar(moment)
    first_stem = (year.stem % 5 * 2 + 2) % 10
    assert month.stem == (first_stem + (month.branch - 2) % 12) % 10


def test_the_day_does_not_turn_at_eleven_at_night_but_its_hour_is_the_next_days() -> None:
    day = date(2026, 11, 21)
    chart = natal_chart(Birth(day, time(23, 30)))
    assert chart.day == day_pillar(day)
    assert chart.hour == hour_pillar(day + timedelta(days=1), 0)


def test_summer_time_is_taken_from_the_hour() -> None:
    # 00:30 in the summer of 1988 was 23:30 of the day before by standard time.
    summer = natal_chart(Birth(date(1988, 7, 1), time(0, 30)))
    assert summer.day == day_pillar(date(1988, 6, 30))
    assert summer.hour == hour_pillar(date(1988, 6, 30), 23)
    assert natal_chart(Birth(date(1989, 7, 1), time(0, 30))).day == day_pillar(date(1989, 7, 1))


def test_an_unknown_hour_leaves_the_hour_out_and_a_term_day_is_flagged() -> None:
    chart = natal_chart(Birth(date(1984, 2, 5)))
    assert chart.hour is None
    assert len(chart.pillars) == 3
    assert chart.is_term_day  # 입춘 was at 00:19 in Seoul
    assert not is_term_day(date(1984, 2, 4))


@pytest.mark.parametrize(("is_male", "direction"), [(True, 1), (False, -1), (None, None)])
def test_ten_year_pillars_go_by_gender_and_the_years_polarity(
    is_male: bool | None, direction: int | None
) -> None:
    # 1984 is a yang year (갑자).
    birth = Birth(date(1984, 6, 1), time(12), is_male)
    chart = natal_chart(birth)
    if direction is None:
        assert chart.luck is None
        assert luck_pillar(chart, birth.day, date(2026, 11, 22)) is None
        return
    assert chart.luck is not None
    assert chart.luck.direction == direction
    assert 0 <= chart.luck.start_years <= 11
    first_day = birth.day + timedelta(days=int((chart.luck.start_years + 1) * 365.25))
    expected = Pillar((chart.month.index + direction) % 60)
    assert luck_pillar(chart, birth.day, first_day) == expected
    assert luck_pillar(chart, birth.day, birth.day) == chart.month
