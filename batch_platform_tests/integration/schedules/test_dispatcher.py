"""What whoever keeps a schedule in the table relies on: each time runs once, an edit works at once,
times without the platform are made up for as the schedule says."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier

import pytest

from batch_platform.core.errors import ConflictError
from batch_platform.operations.schedules import MissedPolicy
from batch_platform.operations.schedules.dispatcher import MOST_AT_ONCE
from batch_platform_tests.integration.schedules.conftest import World
from batch_platform_tests.integration.schedules.small_platform import FIRST_MOMENT


def seoul(hour: int, minute: int = 0, day: int = 20) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour - 9, minutes=minute)


def test_a_time_runs_once_within_a_look_and_its_end_is_noted(world: World) -> None:
    world.add(hour=9, minute=1, run_config={"ops": {"day": {"config": {"gubun": "sleep"}}}})
    world.look(3)
    assert world.runs() == []
    world.look()
    assert world.now.value - seoul(9, 1) < timedelta(seconds=16)
    (run,) = world.runs()
    assert run.tags["dagster/partition"] == "2026-11-19"
    assert run.tags["batch_platform/schedule"] == "밤"
    assert run.run_config == {"ops": {"day": {"config": {"gubun": "sleep"}}}}
    (occurrence,) = world.history()
    assert (occurrence.status, occurrence.run_id) == ("launched", run.run_id)

    world.look(5)
    assert len(world.runs()) == 1
    world.end_run(run.run_id)
    world.look()
    assert world.statuses() == ["succeeded"]
    assert world.errors() == []


@pytest.mark.parametrize(
    ("policy", "partitions"),
    [
        (MissedPolicy.ALL, ["2026-11-20", "2026-11-21", "2026-11-22"]),
        (MissedPolicy.LATEST, ["2026-11-22"]),
        (MissedPolicy.SKIP, []),
    ],
)
def test_a_platform_that_was_down_over_three_times_makes_up_for_them_as_the_schedule_says(
    world: World, policy: MissedPolicy, partitions: list[str]
) -> None:
    world.add(hour=9, missed=policy)
    world.look_at(seoul(12, day=23))
    world.look(3)
    assert world.run_partitions() == partitions
    history = world.history()
    assert [each.partition for each in history] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert all(each.is_missed for each in history)
    skipped = [each for each in history if each.status == "skipped"]
    assert len(skipped) == 3 - len(partitions)
    assert all("The platform was down" in each.reason for each in skipped)


def test_after_downtime_the_oldest_run_first_and_a_few_at_a_time(world: World) -> None:
    world.add(hour=9, missed=MissedPolicy.ALL)
    world.look_at(seoul(12, day=30))
    world.look(2)
    first = ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert len(first) == MOST_AT_ONCE
    assert world.run_partitions() == first
    world.end_run(world.runs()[1].run_id)
    world.look(2)
    assert world.run_partitions() == [*first, "2026-11-23"]


def test_a_restart_of_a_minute_is_no_downtime(world: World) -> None:
    world.add(hour=9, minute=1, missed=MissedPolicy.SKIP)
    world.look_at(seoul(9, 1) + timedelta(seconds=50))
    assert world.run_partitions() == ["2026-11-19"]


def test_an_edit_to_an_earlier_time_today_does_not_fire_for_the_past(world: World) -> None:
    added = world.add(hour=10)
    world.look()
    world.book.edit(
        added.schedule_id, replace(added.spec, hour=8), version=added.version, edited_by="t"
    )
    world.look(3)
    world.look_at(seoul(10, 5))
    assert world.runs() == []
    world.look_at(seoul(8, 0, day=21) + timedelta(seconds=9))
    assert world.run_partitions() == ["2026-11-20"]


def test_an_edit_of_what_has_fired_does_not_fire_the_same_time_again(world: World) -> None:
    added = world.add(hour=9, minute=1)
    world.look(5)
    assert len(world.runs()) == 1
    # Back and forth, so that the time that has fired is the schedule's again.
    for hour in (7, 9):
        world.book.edit(
            added.schedule_id, replace(added.spec, hour=hour), version=None, edited_by="t"
        )
        world.look(2)
    assert len(world.runs()) == 1


def test_a_time_that_had_come_before_an_edit_is_not_lost(world: World) -> None:
    added = world.add(hour=9, minute=1)
    world.now.value = seoul(9, 1) + timedelta(seconds=2)  # no dispatcher has looked since
    world.book.edit(added.schedule_id, replace(added.spec, hour=8), version=None, edited_by="t")
    world.look(2)
    assert world.run_partitions() == ["2026-11-19"]


def test_what_is_paused_or_deleted_stops_with_what_waits(world: World) -> None:
    paused = world.add(name="paused", hour=9, minute=1)
    deleted = world.add(name="deleted", hour=9, minute=1)
    world.now.value = seoul(9, 1) + timedelta(seconds=2)
    world.book.pause(paused.schedule_id, paused_by="t")
    world.book.delete(deleted.schedule_id, deleted_by="t")
    world.look(3)
    assert world.runs() == []
    world.now.value = seoul(9, 3)
    world.book.resume(paused.schedule_id, resumed_by="t")
    world.look(3)
    assert world.runs() == []
    assert [each.reason for each in world.history()] == ["The schedule was paused"]
    world.look_at(seoul(9, 1, day=21) + timedelta(seconds=9))
    assert world.run_partitions() == ["2026-11-20"]


def test_what_cannot_run_fails_in_a_sentence_and_holds_up_nothing_else(world: World) -> None:
    config = {"ops": {"day": {"config": {"gubum": "sleep"}}}}
    world.add(name="misspelt", hour=9, minute=1, run_config=config)
    world.occurrences.request_run("day_job", ["2031-01-01"], {}, key="a", requested_by="t")
    world.add(name="fine", hour=9, minute=1)
    world.look(5)
    assert world.run_partitions() == ["2026-11-19"]
    reasons = [each.reason for each in world.history() if each.status == "failed"]
    assert any("gubum" in reason for reason in reasons)
    assert any("no partition '2031-01-01'" in reason for reason in reasons)
    assert len(reasons) == 2
    assert world.errors() == []


def test_what_is_asked_for_runs_once_however_often_it_is_asked_for(world: World) -> None:
    days = ["2026-11-01", "2026-11-02"]
    for _ in range(2):
        asked = world.occurrences.request_run("day_job", days, {}, key="k", requested_by="me")
        world.look()
    assert world.run_partitions() == days
    world.occurrences.request_run("whole_job", [], {}, key="w", requested_by="me")
    world.look()
    assert world.run_partitions() == [*days, ""]
    assert [each.requested_by for each in asked] == ["me", "me"]


def test_one_key_is_one_request_even_when_different_days_are_asked_for_at_once(
    world: World,
) -> None:
    days = [f"2026-11-{day:02}" for day in range(1, 9)]

    def ask(key: str, day: str, barrier: Barrier) -> bool:
        barrier.wait(10)
        try:
            world.occurrences.request_run("day_job", [day], {}, key=key, requested_by="me")
        except ConflictError:
            return False
        return True

    for turn in range(10):
        key, barrier = f"k{turn}", Barrier(len(days))
        with ThreadPoolExecutor(len(days)) as pool:
            accepted = list(pool.map(partial(ask, key, barrier=barrier), days))
        assert (accepted.count(True), len(world.occurrences.requested(key))) == (1, 1)


def test_a_month_is_that_before(world: World) -> None:
    world.add(job="month_job", frequency="monthly", day=31, hour=23, missed=MissedPolicy.ALL)
    world.look_at(seoul(23, 30, day=30))  # 30 November
    world.look_at(seoul(23, 30, day=30) + timedelta(days=31))
    assert world.run_partitions() == ["2026-10-01", "2026-11-01"]


def test_how_runs_end_is_noted_and_who_runs_one_again_is_followed(world: World) -> None:
    days = ["2026-11-01", "2026-11-02", "2026-11-03"]
    world.occurrences.request_run("day_job", days, {}, key="k", requested_by="me")
    world.look()
    failed, canceled, deleted = world.runs()
    world.end_run(failed.run_id, is_success=False)
    world.instance.report_run_canceled(canceled)
    world.instance.delete_run(deleted.run_id)
    world.look(3)
    assert world.statuses() == ["failed", "failed", "failed"]
    assert [each.reason for each in world.history()] == [
        "The run failed", "The run was canceled", "Its run was deleted",
    ]  # fmt: skip
    assert len(world.runs()) == 1  # nothing is launched again by itself

    again = world.another_run(failed, is_reexecution=True)
    world.look()
    assert world.statuses()[0] == "launched"
    world.end_run(again)
    world.look()
    assert (world.statuses()[0], world.history()[0].run_id) == ("succeeded", again)


def test_jobs_are_noted_for_those_who_know_no_dagster(world: World) -> None:
    with world.db.connect("test") as connection:
        connection.execute("DELETE FROM operations.jobs")
    world.look()
    assert {(job.name, job.partitions, job.timezone) for job in world.book.jobs()} == {
        ("day_job", "daily", "Asia/Seoul"),
        ("month_job", "monthly", "Asia/Seoul"),
        ("whole_job", "none", ""),
    }


def test_thousands_of_missed_minutes_do_not_keep_others_waiting(world: World) -> None:
    world.add(name="minutes", frequency="cron", cron="* * * * *", missed=MissedPolicy.LATEST)
    world.add(name="fine", hour=11, missed=MissedPolicy.ALL)
    world.look_at(FIRST_MOMENT + timedelta(hours=25, seconds=40))  # 1,500 minutes
    assert world.run_partitions() == ["2026-11-19"]
    world.look(2)
    ran = [each for each in world.history() if each.run_id and each.schedule_name == "minutes"]
    assert [each.due_at for each in ran] == [FIRST_MOMENT + timedelta(hours=25, minutes=at)
                                             for at in range(2)]  # fmt: skip
