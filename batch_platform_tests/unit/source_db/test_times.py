"""Local times of a day become the instants that Python's own zone rules give."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.gateways.source_db.times import LocalDay

# Korea had summer time in 1988; New York's day has 25 hours in November, Lord Howe's change is half
# an hour.
DAYS = [
    ("Asia/Seoul", date(2026, 11, 19)),
    ("Asia/Seoul", date(1988, 5, 8)),
    ("Asia/Seoul", date(1988, 10, 9)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
]


@given(
    st.sampled_from(DAYS),
    st.lists(st.times().map(lambda moment: moment.replace(fold=0)), max_size=20),
    st.sampled_from([" ", "T"]),
)
def test_every_time_of_a_day_is_taken_as_python_takes_it(
    day_and_zone: tuple[str, date], times: list[time], separator: str
) -> None:
    zone, day = ZoneInfo(day_and_zone[0]), day_and_zone[1]
    local = [datetime.combine(day, moment) for moment in times]
    texts = pa.array([moment.isoformat(sep=separator) for moment in local], pa.string())
    instants = LocalDay(day, zone).to_utc(texts)
    assert instants.type == pa.timestamp("us", tz="UTC")
    assert instants.to_pylist() == [moment.replace(tzinfo=zone).astimezone(UTC) for moment in local]


@pytest.mark.parametrize(("zone", "day"), DAYS)
def test_the_seconds_around_a_change_of_the_clock_are_right(zone: str, day: date) -> None:
    seconds = [
        datetime.combine(day, time.min) + timedelta(seconds=900 * n - 1) for n in range(1, 97)
    ]
    seconds += [moment + timedelta(seconds=1) for moment in seconds[:-1]]
    texts = pa.array([str(moment) for moment in seconds], pa.string())
    assert LocalDay(day, ZoneInfo(zone)).to_utc(texts).to_pylist() == [
        moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for moment in seconds
    ]


def test_a_missing_time_stays_missing() -> None:
    texts = pa.array([None, "2026-11-19 00:00:00"], pa.string())
    assert LocalDay(date(2026, 11, 19), ZoneInfo("Asia/Seoul")).to_utc(texts).null_count == 1
