"""When a schedule is due: every zone, the days on which clocks change, the ends of months."""

import calendar
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.errors import PermanentError
from batch_platform.operations.schedules import (
    Frequency,
    Job,
    MissedPolicy,
    PartitionRule,
    ScheduleSpec,
)
from batch_platform.operations.schedules.rules import (
    completed,
    due_times,
    is_missed,
    partition_for,
    passed_over,
)

DAILY_JOB = Job("day_job", "", "daily", "Asia/Seoul")
CHANGING = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns",
            "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Antarctica/Troll"]  # fmt: skip
zones = st.sampled_from(CHANGING) | st.sampled_from(sorted(available_timezones() - {"localtime"}))
# From 2012: the days that zones left out altogether have a test of their own.
moments = st.integers(
    int(datetime(2012, 1, 2, tzinfo=UTC).timestamp()),
    int(datetime(2035, 1, 1, tzinfo=UTC).timestamp()),
).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
hours, minutes = st.integers(0, 23), st.integers(0, 59)


def spec_of(**values: object) -> ScheduleSpec:
    return ScheduleSpec(**({"name": "n", "job": "day_job", "timezone": "Asia/Seoul"} | values))  # type: ignore[arg-type]


def first(spec: ScheduleSpec, after: datetime, count: int) -> list[datetime]:
    return list(islice(due_times(spec, after), count))


def local(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@given(zones, moments, hours, minutes)
def test_a_daily_schedule_is_due_once_on_each_day_that_there_is(
    zone: str, after: datetime, hour: int, minute: int
) -> None:
    times = first(spec_of(timezone=zone, hour=hour, minute=minute), after, 400)
    assert times[0] > after
    assert all(earlier < later for earlier, later in pairwise(times))
    for earlier, later in pairwise(times):
        # Casey, in Antarctica, moved its clocks by three hours.
        assert timedelta(hours=21) <= later - earlier <= timedelta(hours=27)
    for moment in times:
        shown = local(moment, zone)
        if shown.time() != time(hour, minute):
            # The clocks left the time out: it is the first moment after the gap.
            before = local(moment - timedelta(seconds=1), zone)
            wanted = datetime.combine(shown.date(), time(hour, minute))
            if wanted > shown:
                wanted -= timedelta(days=1)
            assert before < wanted < shown


@given(zones, moments, hours, minutes)
def test_a_time_that_comes_twice_is_due_the_first_time(
    zone: str, after: datetime, hour: int, minute: int
) -> None:
    for moment in first(spec_of(timezone=zone, hour=hour, minute=minute), after, 400):
        assert moment.astimezone(ZoneInfo(zone)).fold == 0


@given(zones, moments, hours, minutes)
def test_cron_and_daily_agree(zone: str, after: datetime, hour: int, minute: int) -> None:
    daily = spec_of(timezone=zone, hour=hour, minute=minute)
    cron = replace(daily, frequency=Frequency.CRON, cron=f"{minute} {hour} * * *")
    for by_cron, by_day in zip(first(cron, after, 200), first(daily, after, 200), strict=True):
        # cronsim looks for the end of a gap by the minute.
        assert abs(by_cron - by_day) < timedelta(minutes=1)


@given(zones, moments, st.sampled_from(["*/5 * * * *", "0 * * * *", "30 */6 * * *", "15 2,3 * * *",
                                        "0 9 * * 1-5", "0 0 L * *"]))  # fmt: skip
def test_cron_times_come_in_order(zone: str, after: datetime, cron: str) -> None:
    times = first(spec_of(timezone=zone, frequency=Frequency.CRON, cron=cron), after, 100)
    assert times[0] > after
    assert all(earlier < later for earlier, later in pairwise(times))


@given(zones, moments, hours, minutes, st.integers(1, 7))
def test_a_weekly_schedule_is_due_on_its_weekday(
    zone: str, after: datetime, hour: int, minute: int, weekday: int
) -> None:
    spec = spec_of(
        timezone=zone, frequency=Frequency.WEEKLY, hour=hour, minute=minute, weekday=weekday
    )
    days = [local(moment, zone).date() for moment in first(spec, after, 60)]
    in_gap = [day for day in days if day.isoweekday() != weekday]
    assert len(in_gap) <= 1  # a gap over midnight
    assert all(later - earlier >= timedelta(days=6) for earlier, later in pairwise(days))


@given(moments, st.integers(1, 31))
def test_a_monthly_schedule_is_due_on_its_day_or_the_months_last(after: datetime, day: int) -> None:
    spec = spec_of(frequency=Frequency.MONTHLY, day=day)
    days = [local(moment, "Asia/Seoul").date() for moment in first(spec, after, 50)]
    for each in days:
        assert each.day == min(day, calendar.monthrange(each.year, each.month)[1])
    months = [each.year * 12 + each.month for each in days]
    assert months == list(range(months[0], months[0] + 50))


def test_the_end_of_february() -> None:
    spec = spec_of(frequency=Frequency.MONTHLY, day=31, hour=0)
    days = [local(each, "Asia/Seoul").date() for each in
            first(spec, datetime(2028, 1, 31, tzinfo=UTC), 3)]  # fmt: skip
    assert days == [date(2028, 2, 29), date(2028, 3, 31), date(2028, 4, 30)]


@pytest.mark.parametrize(
    ("zone", "at", "after", "expected"),
    [
        # The clocks go from 02:00 to 03:00.
        ("America/New_York", time(2, 30), "2026-03-08T00:00", "2026-03-08T07:00"),
        # … and from 02:00 back to 01:00: 01:30 comes at 05:30 and at 06:30 UTC.
        ("America/New_York", time(1, 30), "2026-11-01T00:00", "2026-11-01T05:30"),
        # Half an hour only: from 02:00 to 02:30.
        ("Australia/Lord_Howe", time(2, 15), "2026-10-03T00:00", "2026-10-03T15:30"),
        # 30 December 2011 was left out: the next one is that of the 31st.
        ("Pacific/Apia", time(9, 30), "2011-12-29T20:00", "2011-12-30T19:30"),
    ],
)
def test_days_on_which_the_clocks_change(zone: str, at: time, after: str, expected: str) -> None:
    spec = spec_of(timezone=zone, hour=at.hour, minute=at.minute)
    (found,) = first(spec, datetime.fromisoformat(f"{after}Z"), 1)
    assert found == datetime.fromisoformat(f"{expected}Z")


@pytest.mark.parametrize(
    ("rule", "partition"),
    [
        (PartitionRule.DAY_BEFORE, "2026-02-28"),
        (PartitionRule.SAME_DAY, "2026-03-01"),
        (PartitionRule.DAY_AFTER, "2026-03-02"),
        (PartitionRule.MONTH_BEFORE, "2026-02-01"),
        (PartitionRule.NONE, ""),
    ],
)
def test_the_day_is_that_of_the_partitions_zone(rule: PartitionRule, partition: str) -> None:
    due_at = datetime(2026, 2, 28, 16, tzinfo=UTC)  # 01:00 on 1 March in Seoul
    assert partition_for(rule, due_at, ZoneInfo("Asia/Seoul")) == partition


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds_since_due", "seconds_since_last_look", "expected"),
    [(40, 15, False), (100, 110, False), (100, 1000, True), (5, 1000, False), (100, None, True)],
)
def test_missed_is_what_was_due_while_the_platform_was_down(
    seconds_since_due: int, seconds_since_last_look: int | None, expected: bool
) -> None:
    due_at = NOW - timedelta(seconds=seconds_since_due)
    looked_at = (
        None
        if seconds_since_last_look is None
        else NOW - timedelta(seconds=seconds_since_last_look)
    )
    assert is_missed(due_at, NOW, looked_at) is expected


@pytest.mark.parametrize(
    ("policy", "made_up_for"),
    [(MissedPolicy.ALL, {0, 1, 2}), (MissedPolicy.LATEST, {2}), (MissedPolicy.SKIP, set[int]())],
)
def test_what_a_policy_makes_up_for(policy: MissedPolicy, made_up_for: set[int]) -> None:
    times = [(NOW + timedelta(days=day), True) for day in range(3)]
    passed = passed_over(times, policy)
    assert {day for day in range(3) if times[day][0] not in passed} == made_up_for
    # A time that was not missed always counts, and is later than all that were.
    on_time = NOW + timedelta(days=3)
    passed = passed_over([*times, (on_time, False)], policy)
    assert on_time not in passed
    if policy is MissedPolicy.LATEST:
        assert len(passed) == 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": " "}, "name"),
        ({"hour": 24}, "hour"),
        ({"minute": -1}, "minute"),
        ({"weekday": 0}, "weekday"),
        ({"day": 32}, "day"),
        ({"timezone": "Asia/Soul"}, "Asia/Soul"),
        ({"timezone": "../etc"}, "time zone"),
        ({"timezone": "localtime"}, "time zone everywhere"),
        ({"timezone": "right/UTC"}, "time zone everywhere"),
        ({"timezone": "posix/Asia/Seoul"}, "time zone everywhere"),
        ({"frequency": Frequency.CRON}, "cron"),
        ({"cron": "0 9 * * *"}, "cron"),
        ({"frequency": Frequency.CRON, "cron": "0 9 30 2 *"}, "ever due"),
        ({"frequency": Frequency.CRON, "cron": "*/10 0 9 * * *"}, "ever due"),
        ({"partition_rule": PartitionRule.NONE}, "does not suit"),
    ],
)
def test_what_makes_no_sense_is_one_clear_sentence(values: dict[str, object], said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        completed(spec_of(**values), DAILY_JOB)


@pytest.mark.parametrize(
    ("partitions", "rule"),
    [
        ("daily", PartitionRule.DAY_BEFORE),
        ("monthly", PartitionRule.MONTH_BEFORE),
        ("none", PartitionRule.NONE),
    ],
)
def test_the_partition_is_that_of_the_day_or_month_before(
    partitions: str, rule: PartitionRule
) -> None:
    job = replace(DAILY_JOB, partitions=partitions)
    assert completed(spec_of(), job).partition_rule is rule


def test_partitions_that_are_no_times_have_no_schedule() -> None:
    with pytest.raises(PermanentError, match="no time stands for one"):
        completed(spec_of(), replace(DAILY_JOB, partitions="other"))
