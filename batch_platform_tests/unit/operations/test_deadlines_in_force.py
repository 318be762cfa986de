"""Which deadlines count: of domains that are on, and after schedules where people put them."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from batch_platform.core.deadlines import Deadline, DeadlineAfterSchedule
from batch_platform.operations.deadlines_in_force import deadlines_in_force
from batch_platform.operations.nights import PartitionState, last_nights
from batch_platform.operations.schedules import (
    Frequency,
    PartitionRule,
    Schedule,
    ScheduleSpec,
)
from batch_platform_tests.given_settings import settings_of

FOLLOWING = DeadlineAfterSchedule(
    "interventions/published_records", "interventions_job", timedelta(minutes=30)
)
REPORT = Deadline("chats/report", time(7))
ON = settings_of(INTERVENTIONS_DATABASE_URL="sqlite://")
CHANGED = datetime(2026, 11, 20, 3, tzinfo=UTC)
"""Noon of 20 November in Seoul."""


def schedule(**changes: object) -> Schedule:
    usual: dict[str, object] = {
        "name": "daily",
        "job": "interventions_job",
        "hour": 9,
        "partition_rule": PartitionRule.DAY_BEFORE,
    }
    return Schedule(
        schedule_id=1,
        version=1,
        spec=ScheduleSpec(**{**usual, **changes}),  # type: ignore[arg-type]
        next_due_at=None,
        created_at=CHANGED,
        updated_at=CHANGED,
        deleted_at=None,
    )


def in_force(*schedules: Schedule) -> list[Deadline]:
    return deadlines_in_force([FOLLOWING], schedules, ON)


def test_it_follows_the_schedule_half_an_hour_later() -> None:
    (deadline,) = in_force(schedule())
    assert deadline == Deadline(
        "interventions/published_records", time(9, 30), 1, date(2026, 11, 20), "interventions_job"
    )
    (deadline,) = in_force(schedule(hour=14, minute=45))
    # At noon it was not due yet on that day.
    assert (deadline.at, deadline.first_day) == (time(15, 15), date(2026, 11, 19))


def test_it_can_fall_into_the_next_day() -> None:
    (deadline,) = in_force(schedule(hour=23, minute=50))
    assert (deadline.at, deadline.days_after) == (time(0, 20), 2)


def test_without_an_active_daily_schedule_nothing_is_due() -> None:
    assert not in_force()
    assert not in_force(schedule(is_active=False))
    assert not in_force(schedule(frequency=Frequency.WEEKLY))
    assert not in_force(schedule(job="other_job"))
    assert not in_force(replace(schedule(), deleted_at=CHANGED))


def test_the_earliest_of_several_schedules_makes_the_day() -> None:
    (deadline,) = in_force(schedule(hour=14), schedule(hour=13))
    assert deadline.at == time(13, 30)


def test_a_domain_that_is_switched_off_owes_nothing() -> None:
    off = settings_of()
    assert not deadlines_in_force([FOLLOWING, REPORT], [schedule()], off)


def test_no_day_before_the_schedule_was_made_is_late() -> None:
    zone = ZoneInfo("Asia/Seoul")
    (deadline,) = in_force(schedule())

    def states(now: datetime) -> list[PartitionState]:
        nights = last_nights([deadline], lambda _asset: set(), now=now, zone=zone, count=3)
        return [night.states[deadline.asset] for night in nights]

    before, late = PartitionState.BEFORE_START, PartitionState.LATE
    assert states(datetime(2026, 11, 20, 14, tzinfo=zone)) == [before] * 3
    assert states(datetime(2026, 11, 21, 9, 10, tzinfo=zone))[0] is PartitionState.WAITING
    assert states(datetime(2026, 11, 22, 14, tzinfo=zone)) == [late, late, before]
