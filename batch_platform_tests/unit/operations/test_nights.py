"""Each due partition is done, still waiting, or late; what is made ahead is due the day before."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from batch_platform.core.deadlines import Deadline
from batch_platform.operations.nights import PartitionState, last_nights

SEOUL = ZoneInfo("Asia/Seoul")
REPORT = Deadline("chats/report", time(7))
AHEAD = Deadline("fortunes/published_fortunes", time(23, 50), days_after=-1)
MADE = {
    "chats/report": {"2026-11-16", "2026-11-18"},
    "fortunes/published_fortunes": {"2026-11-21"},
}


def test_what_was_made_is_done_and_what_was_not_is_late_only_after_its_time() -> None:
    now = datetime(2026, 11, 20, 6, 59, tzinfo=SEOUL)
    nights = last_nights([REPORT, AHEAD], MADE.__getitem__, now=now, zone=SEOUL, count=3)
    assert [night.due_date for night in nights] == [
        date(2026, 11, 20),
        date(2026, 11, 19),
        date(2026, 11, 18),
    ]
    assert [tuple(night.states.values()) for night in nights] == [
        # The 19th's report is due at seven; the 21st's fortunes are there already.
        (PartitionState.WAITING, PartitionState.DONE),
        (PartitionState.DONE, PartitionState.BEFORE_START),
        (PartitionState.LATE, PartitionState.BEFORE_START),
    ]


def test_a_minute_after_its_time_it_is_late() -> None:
    now = datetime(2026, 11, 20, 7, 1, tzinfo=SEOUL)
    (night,) = last_nights([REPORT], MADE.__getitem__, now=now, zone=SEOUL, count=1)
    assert night.states == {"chats/report": PartitionState.LATE}


def test_a_platform_that_never_made_anything_misses_only_today() -> None:
    now = datetime(2026, 11, 20, 7, 1, tzinfo=SEOUL)
    nights = last_nights([REPORT], lambda _: set(), now=now, zone=SEOUL, count=2)
    assert [night.states["chats/report"] for night in nights] == [
        PartitionState.LATE,
        PartitionState.BEFORE_START,
    ]
