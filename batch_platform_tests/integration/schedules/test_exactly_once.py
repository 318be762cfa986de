"""Two dispatchers at once, and one that is killed at every step: every due time runs exactly once.

A kill is an exception that nothing catches, after which the dead process writes no more: its
connections break, their transactions are rolled back, its locks are given back.
"""

import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator

from batch_platform.operations.schedules import MissedPolicy
from batch_platform.operations.schedules.dagster_runs import OCCURRENCE_TAG
from batch_platform_tests.integration.schedules.conftest import LOOK, World
from batch_platform_tests.integration.schedules.small_platform import look_and_be_killed

MOST_LOOKS = 8
"""Of 16 seconds each, within which whatever a kill left behind has been made good."""

STEPS_IN_DAGSTER = ["TICK_CREATED", "TICK_HELD", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED"]
"""Where Dagster itself tries what happens when its daemon dies."""


class Killed(KeyboardInterrupt):
    """The process is gone."""


class Death:
    """Kills the process once, and keeps it dead until the look is over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_dead = False
        self.statements = 0
        self.kill_at_statement: int | None = None
        self.at_step: Callable[[str], None] = lambda _step: None
        execute, executemany = psycopg.Cursor.execute, psycopg.Cursor.executemany

        def counting(original: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any, **more: Any) -> Any:
                self.statements += 1
                if self.statements == self.kill_at_statement:
                    self.kill()
                return original(*arguments, **more)

            return run

        monkeypatch.setattr(psycopg.Cursor, "execute", counting(execute))
        monkeypatch.setattr(psycopg.Cursor, "executemany", counting(executemany))
        for name in ("report_engine_event", "report_run_failed", "update_tick"):
            monkeypatch.setattr(
                dg.DagsterInstance, name, self._unless_dead(getattr(dg.DagsterInstance, name))
            )
        monkeypatch.setattr(
            "dagster._daemon.sensor.check_for_debug_crash",
            lambda _flags, step: self.at_step(step),
        )
        enqueue = QueuedRunCoordinator.submit_run

        def submit_run(*arguments: Any) -> Any:
            self.at_step("BEFORE_ENQUEUED")
            run = enqueue(*arguments)
            self.at_step("ENQUEUED")
            return run

        monkeypatch.setattr(QueuedRunCoordinator, "submit_run", submit_run)

    def kill(self) -> None:
        self.is_dead = True
        raise Killed

    def _unless_dead(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **more: Any) -> Any:
            if self.is_dead:
                raise Killed
            return original(*arguments, **more)

        return run

    @contextmanager
    def comes(self) -> Iterator[None]:
        """What happens inside may be killed; what comes after is a new process."""
        self.statements = 0
        try:
            yield
        except Killed:
            pass
        finally:
            self.is_dead = False
            self.kill_at_statement = None
            self.at_step = lambda _step: None


@pytest.fixture
def death(world: World, monkeypatch: pytest.MonkeyPatch) -> Death:
    return Death(monkeypatch)


def until_the_next_time(world: World) -> None:
    """Stop the clock so that the next look is the first after the next full ten minutes."""
    passed = timedelta(minutes=world.now.value.minute % 10, seconds=world.now.value.second)
    world.now.value += timedelta(minutes=10) - passed - timedelta(seconds=10)


def test_a_kill_before_or_after_any_statement_neither_loses_nor_doubles_a_time(
    world: World, death: Death
) -> None:
    world.add(frequency="cron", cron="*/10 * * * *", missed=MissedPolicy.ALL)
    at = 0
    is_killed = True
    while is_killed:
        at += 1
        until_the_next_time(world)
        with death.comes():
            death.kill_at_statement = at
            world.look()
            is_killed = False
        settle(world)
    assert at > 12  # a look's statements, up to the claim at the queue's door
    assert_each_time_ran_once(world, times=at)


def test_a_kill_at_any_step_of_dagster_neither_loses_nor_doubles_a_time(
    world: World, death: Death
) -> None:
    for name in ("one", "another"):
        world.add(name=name, frequency="cron", cron="*/10 * * * *", missed=MissedPolicy.ALL)
    steps = [*STEPS_IN_DAGSTER, "BEFORE_ENQUEUED", "ENQUEUED"]
    for turn, step in enumerate(steps, start=1):
        until_the_next_time(world)
        seen: list[str] = []

        def kill(at: str, step: str = step, seen: list[str] = seen) -> None:
            seen.append(at)
            if at == step:
                death.kill()

        with death.comes():
            death.at_step = kill
            world.look()
        assert seen[-1] == step
        settle(world)
        assert_each_time_ran_once(world, times=2 * turn)


@pytest.mark.parametrize("seconds", [1, 90])
def test_two_daemons_at_once_start_one_run(world: World, death: Death, seconds: int) -> None:
    """The second looks while the first is at a step, soon or after the first's lease is over."""
    world.add(frequency="cron", cron="*/10 * * * *", missed=MissedPolicy.ALL)
    for turn, step in enumerate([*STEPS_IN_DAGSTER, "BEFORE_ENQUEUED"], start=1):
        until_the_next_time(world)

        def second(at: str, step: str = step) -> None:
            if at == step:
                death.at_step = lambda _step: None
                world.now.value += timedelta(seconds=seconds)
                world.look()

        death.at_step = second
        world.look()
        settle(world)
        assert_each_time_ran_once(world, times=turn)


@pytest.mark.parametrize(
    "place",
    [
        "batch_platform.operations.schedules.dispatcher.Dispatcher.lease",
        "dagster._daemon.sensor.SubmitRunRequestResult",
    ],
    ids=["after the row", "after the launch"],
)
def test_kill_minus_9(world: World, place: str) -> None:
    world.add(frequency="cron", cron="*/10 * * * *", missed=MissedPolicy.ALL)
    until_the_next_time(world)
    world.now.value += LOOK
    victim = multiprocessing.get_context("spawn").Process(
        target=look_and_be_killed,
        args=(world.instance.get_ref(), world.db.url, world.now.value, place),
    )
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    assert len(world.history()) == 1
    settle(world)
    assert_each_time_ran_once(world, times=1)


def test_of_two_runs_for_one_time_the_queue_lets_in_one(world: World) -> None:
    """Whatever went wrong before: a run's place in the table is taken once."""
    world.add(frequency="cron", cron="*/10 * * * *", missed=MissedPolicy.ALL)
    until_the_next_time(world)
    world.look()
    (run,) = world.runs()
    second = world.another_run(run, is_reexecution=False)
    refused = world.instance.get_run_by_id(second)
    assert refused is not None
    assert refused.status is dg.DagsterRunStatus.CANCELED
    assert_each_time_ran_once(world, times=1)


def test_a_run_that_another_queue_let_in_is_found_by_its_tag(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation whose dagster.yaml names Dagster's own queue."""
    coordinator = type(world.instance.run_coordinator)
    monkeypatch.setattr(coordinator, "submit_run", QueuedRunCoordinator.submit_run)
    world.add(frequency="cron", cron="*/10 * * * *", missed=MissedPolicy.ALL)
    until_the_next_time(world)
    settle(world)
    assert_each_time_ran_once(world, times=1)


def test_the_second_of_two_dispatchers_waits_for_the_first(world: World) -> None:
    world.add(frequency="cron", cron="*/10 * * * *")
    until_the_next_time(world)
    with world.db.hold("operations/occurrences", "dispatcher", holder="another"):
        world.look()
    assert world.runs() == []
    world.look()
    assert_each_time_ran_once(world, times=1)


def settle(world: World) -> None:
    """Look until every occurrence's run is in the queue, end it, and look once more."""
    for _ in range(MOST_LOOKS):
        world.look()
        queued = {run.run_id for run in world.runs()}
        if all(each.run_id in queued for each in world.history()):
            break
    else:
        raise AssertionError(world.history())
    for run in world.runs():
        if not run.is_finished:
            world.end_run(run.run_id)  # only a few missed times run at once
    world.look()


def assert_each_time_ran_once(world: World, times: int) -> None:
    history = world.history()
    assert len(history) == times
    assert {str(each.status) for each in history} <= {"launched", "succeeded"}
    runs = Counter(run.tags[OCCURRENCE_TAG] for run in world.runs())
    assert runs == {str(each.occurrence_id): 1 for each in history}
    assert {each.run_id for each in history} == {run.run_id for run in world.runs()}
