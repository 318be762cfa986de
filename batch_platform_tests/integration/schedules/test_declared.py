"""Schedules that code declares: each time runs once, gaps are filled, all is in the table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)

from batch_platform.core.errors import ConflictError
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.operations.incidents.watch import report_missed, tell_caught_up
from batch_platform.operations.schedules import MissedPolicy
from batch_platform.operations.schedules.declared import launched_by_the_dispatcher
from batch_platform.orchestration.schedules import MAKE_UP_FOR_ALL, MAKE_UP_FOR_LATEST, MISSED_TAG
from batch_platform_tests.given_settings import settings_of
from batch_platform_tests.integration.schedules.conftest import World
from batch_platform_tests.integration.schedules.small_platform import DECLARED, JOBS, defs

Asks = Callable[[dg.ScheduleEvaluationContext], dg.RunRequest | dg.SkipReason]
SKIPPED = {MISSED_TAG: "skip"}


def seoul(hour: int, minute: int = 0, day: int = 20) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour - 9, minutes=minute)


def day_before(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    due = context.scheduled_execution_time
    config = {"ops": {"day": {"config": {"gubun": "sleep"}}}}
    return dg.RunRequest(
        partition_key=(due.date() - timedelta(days=1)).isoformat(),
        run_config=config,
        tags={"due_at": due.isoformat()},
    )


@pytest.fixture
def declare() -> Iterator[Callable[..., dg.ScheduleDefinition]]:
    def add(
        cron: str | list[str],
        tags: Mapping[str, str] = MAKE_UP_FOR_ALL,
        asks: Asks = day_before,
        name: str = "night_schedule",
    ) -> dg.ScheduleDefinition:
        schedule = dg.ScheduleDefinition(
            name=name,
            job=JOBS[0],
            cron_schedule=cron,
            execution_timezone="Asia/Seoul",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags=tags,
            execution_fn=asks,
        )
        DECLARED[:] = [*(each for each in DECLARED if each.name != name), schedule]
        return schedule

    yield add
    DECLARED.clear()


def switch(world: World, name: str, status: InstigatorStatus) -> None:
    """Switch a schedule as the webserver does."""
    (location,) = world.workspace.create_request_context().code_locations
    (repository,) = location.get_repositories().values()
    origin = RemoteInstigatorOrigin(repository.get_remote_origin(), name)
    data = ScheduleInstigatorData("* * * * *", start_timestamp=0.0)
    state = InstigatorState(origin, InstigatorType.SCHEDULE, status, data)
    if world.instance.get_instigator_state(origin.get_id(), state.selector_id):
        world.instance.update_instigator_state(state)
    else:
        world.instance.add_instigator_state(state)


def test_a_declared_time_runs_once_as_its_definition_asks(
    world: World, declare: Callable[..., dg.ScheduleDefinition]
) -> None:
    declare("1 9 * * *")
    world.look(3)
    assert world.runs() == []
    world.look(3)
    (run,) = world.runs()
    assert run.run_config == {"ops": {"day": {"config": {"gubun": "sleep"}}}}
    for tag, value in {
        "dagster/partition": "2026-11-19",
        "dagster/schedule_name": "night_schedule",
        "batch_platform/schedule": "night_schedule",
        "due_at": "2026-11-20T09:01:00+09:00",
    }.items():
        assert run.tags[tag] == value
    (occurrence,) = world.history()
    assert (occurrence.status, occurrence.run_id) == ("launched", run.run_id)
    assert world.errors() == []
    (schedule,) = world.book.list()
    assert world.book.preview(schedule.schedule_id, 2) == [seoul(9, 1, 21), seoul(9, 1, 22)]


@pytest.mark.parametrize(
    ("tags", "partitions"),
    [
        (MAKE_UP_FOR_ALL, ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"]),
        (MAKE_UP_FOR_LATEST, ["2026-11-22"]),
        (SKIPPED, []),
    ],
)
def test_after_downtime_each_day_is_made_up_for_once_and_one_message_tells(
    world: World,
    declare: Callable[..., dg.ScheduleDefinition],
    tags: Mapping[str, str],
    partitions: list[str],
) -> None:
    # Three tries a day: a day is made up for by the last of them.
    declare(["1 9 * * *", "30 9 * * *", "0 10 * * *"], tags)
    world.look()
    world.look_at(seoul(12, day=23))
    book, settings = IncidentBook(world.db), settings_of()
    for _ in range(6):
        for run in world.runs():
            world.end_run(run.run_id)
        world.look()
        assert tell_caught_up(book, settings, world.now()) in {0, 1}
    assert world.run_partitions() == partitions
    assert {each.due_at.hour for each in world.history() if each.run_id} <= {1}  # 10:00
    ((causes,),) = world.db.fetch_all("SELECT causes FROM operations.incidents")
    assert "2026-11-20 09:00" in causes[0]
    made = f"{len(partitions)}개 완료" if partitions else "건너뜀"
    assert causes[1].startswith("night_schedule: ")
    assert made in causes[1]
    ((messages,),) = world.db.fetch_all("SELECT count(*) FROM operations.incident_messages")
    assert messages == 1


def test_tonight_does_not_wait_behind_the_nights_that_were_missed(
    world: World, declare: Callable[..., dg.ScheduleDefinition]
) -> None:
    declare("1 9 * * *")
    world.look()
    world.look_at(seoul(9, 1, day=25) + timedelta(seconds=9))
    assert world.run_partitions() == ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-24"]
    priorities = [run.tags.get("dagster/priority") for run in world.runs()]
    assert priorities == ["-1", "-1", "-1", None]


def test_what_is_switched_off_in_the_webserver_is_never_due(
    world: World, declare: Callable[..., dg.ScheduleDefinition]
) -> None:
    declare("1 9 * * *")
    world.look()
    switch(world, "night_schedule", InstigatorStatus.STOPPED)
    world.look(6)
    assert (world.runs(), world.history()) == ([], [])
    switch(world, "night_schedule", InstigatorStatus.RUNNING)
    world.look(2)
    assert world.runs() == []
    world.look_at(seoul(9, 1, day=21) + timedelta(seconds=9))
    assert world.run_partitions() == ["2026-11-20"]
    assert [change.action for change in world.book.changes(world.book.list()[0].schedule_id)] == [
        "resumed", "paused", "added",
    ]  # fmt: skip


def test_code_that_changes_or_goes_is_followed(
    world: World, declare: Callable[..., dg.ScheduleDefinition]
) -> None:
    declare("1 9 * * *")
    world.look()
    declare("30 9 * * *")
    world.look()
    world.look_at(seoul(9, 5))
    assert world.runs() == []
    world.look_at(seoul(9, 30) + timedelta(seconds=9))
    assert world.run_partitions() == ["2026-11-19"]
    DECLARED.clear()
    world.look()
    assert world.book.list() == []
    assert [each.due_at for each in world.history()] == [seoul(9, 30)]


def test_people_may_change_its_policy_and_nothing_else(
    world: World, declare: Callable[..., dg.ScheduleDefinition]
) -> None:
    declare("1 9 * * *")
    world.look()
    (row,) = world.book.list()
    number = row.schedule_id
    lenient = replace(row.spec, missed=MissedPolicy.SKIP)
    world.book.edit(number, lenient, version=row.version, edited_by="t")
    for refused in (
        lambda: world.book.edit(
            number, replace(lenient, cron="2 9 * * *"), version=None, edited_by="t"
        ),
        lambda: world.book.pause(number, paused_by="t"),
        lambda: world.book.delete(number, deleted_by="t"),
    ):
        with pytest.raises(ConflictError, match="declared in code"):
            refused()
    world.look_at(seoul(12, day=23))
    assert world.runs() == []
    assert {each.status for each in world.history()} == {"skipped"}


def test_a_definition_that_says_no_or_breaks_is_told_and_the_latter_is_an_incident(
    world: World, declare: Callable[..., dg.ScheduleDefinition]
) -> None:
    def off(_context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason("ENGINE is not set")

    def broken(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        raise LookupError("no such thing")

    declare("1 9 * * *", asks=off, name="off_schedule")
    declare("1 9 * * *", asks=broken, name="broken_schedule")
    world.look(6)
    told = {each.schedule_name: (each.status, each.reason) for each in world.history()}
    assert told["off_schedule"] == ("skipped", "ENGINE is not set")
    status, reason = told["broken_schedule"]
    assert status == "failed"
    assert "LookupError: no such thing" in reason

    book = IncidentBook(world.db)
    assert report_missed(book, settings_of(), world.now()) == 1
    assert report_missed(book, settings_of(), world.now()) == 0
    (incident,) = book.open_incidents()
    assert (incident.trouble.kind, incident.trouble.job) == ("missed", "day_job")
    assert "broken_schedule" in incident.trouble.causes[0]
    assert book.recover(incident.incident_id, world.now())
    assert report_missed(book, settings_of(), world.now()) == 0


def test_its_tick_in_the_webserver_says_what_is_due_and_launches_nothing(
    declare: Callable[..., dg.ScheduleDefinition],
) -> None:
    shown = launched_by_the_dispatcher(declare("1 9 * * *"))
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=seoul(9, 1),
            repository_def=defs.get_repository_def(),
        )
        data = shown.evaluate_tick(context)
    assert not data.run_requests
    assert "day_job 2026-11-19" in (data.skip_message or "")
