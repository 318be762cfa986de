"""Calendar days in a zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.days import day_window, days_between, past_day, previous_weekday, today
from batch_platform.core.errors import PermanentError

SEOUL = ZoneInfo("Asia/Seoul")
JUST_AFTER_MIDNIGHT = lambda: datetime(2026, 11, 19, 15, 30, tzinfo=UTC)  # noqa: E731 - 00:30 in Seoul


def test_a_day_in_seoul_begins_nine_hours_before_utc() -> None:
    start, end = day_window(date(2026, 11, 19), SEOUL)
    assert start == datetime(2026, 11, 18, 15, tzinfo=UTC)
    assert end == datetime(2026, 11, 19, 15, tzinfo=UTC)


@given(
    st.dates(date(1950, 1, 1), date(2090, 1, 1)), st.sampled_from(["Asia/Seoul", "Europe/Berlin"])
)
def test_days_follow_one_another_without_gap_or_overlap(day: date, zone: str) -> None:
    assert (
        day_window(day, ZoneInfo(zone))[1] == day_window(day + timedelta(days=1), ZoneInfo(zone))[0]
    )


def test_today_is_the_zone_s_day() -> None:
    assert today(JUST_AFTER_MIDNIGHT, SEOUL) == date(2026, 11, 20)
    assert today(JUST_AFTER_MIDNIGHT, ZoneInfo("UTC")) == date(2026, 11, 19)


@pytest.mark.parametrize("text", ["yesterday", "어제", "2026-11-19", "20261119", " 2026-11-19 "])
def test_a_past_day_can_be_written_in_several_ways(text: str) -> None:
    assert past_day(text, JUST_AFTER_MIDNIGHT, SEOUL) == date(2026, 11, 19)


@pytest.mark.parametrize(
    ("text", "words"),
    [("2026-11-20", "not over yet"), ("2027-01-01", "not over yet"), ("19.11.", "not a date")],
)
def test_a_day_that_is_not_over_or_no_day_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        past_day(text, JUST_AFTER_MIDNIGHT, SEOUL)


def test_a_range_has_both_ends_and_is_refused_backwards() -> None:
    assert len(list(days_between(date(2026, 11, 1), date(2026, 11, 7)))) == 7
    with pytest.raises(PermanentError, match="ends before it starts"):
        list(days_between(date(2026, 11, 7), date(2026, 11, 1)))


def test_the_weekday_before_monday_is_friday() -> None:
    assert previous_weekday(date(2026, 11, 23)) == date(2026, 11, 20)
