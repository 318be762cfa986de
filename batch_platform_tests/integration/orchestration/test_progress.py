"""How far a step is can be read in its log and, for forecasts, in a table; neither is flooded."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.progress import ProgressReport
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.step_progress import StepProgress, progress_since
from batch_platform.orchestration.progress import ProgressListener

START = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
DAYS = dg.DailyPartitionsDefinition("2026-11-01")


class Time:
    """A clock that somebody moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def listener(self, **options: Any) -> ProgressListener:
        return ProgressListener(clock=self.now, monotonic=lambda: self.seconds, **options)


def run_step(listener: ProgressListener, work: Any) -> Sequence[str]:
    """Run an asset whose work reports; return what its log says."""

    @dg.asset(partitions_def=DAYS)
    def answers(context: dg.AssetExecutionContext) -> None:
        work(listener.for_step(context))

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([answers], partition_key="2026-11-20", instance=instance)
        logs = instance.all_logs(result.run_id)
    return [entry.user_message for entry in logs if " done" in entry.user_message]


def test_a_step_tells_its_log_the_table_and_the_bar(platform_db: PlatformDb) -> None:
    time, shown = Time(), []

    def bar(step: str) -> ProgressReport:
        return lambda done, total, note="": shown.append((step, done, total, note))

    def work(report: ProgressReport) -> None:
        # A rerun: 40 of 100 were there already.
        for done, seconds in ((40, 0), (50, 10), (60, 20), (70, 30), (90, 40)):
            time.seconds = seconds
            report(done, 100, "(3 set aside)")

    said = run_step(time.listener(bar=bar, db=platform_db), work)
    assert said == ["60 of 100 done (3 set aside)", "90 of 100 done (3 set aside)"]
    (step,) = progress_since(platform_db, START)
    assert step == StepProgress(
        step.run_id, "answers", "2026-11-20", 50, 60, START, START + timedelta(seconds=40)
    )
    assert step.ends_at == START + timedelta(seconds=48)
    assert shown == [("answers", done, 100, "(3 set aside)") for done in (40, 50, 60, 70, 90)]


def test_while_nobody_knows_how_much_there_is_nothing_is_forecast(platform_db: PlatformDb) -> None:
    time = Time()

    def work(report: ProgressReport) -> None:
        for time.seconds in (0, 20, 40):
            report(7, None)

    assert run_step(time.listener(db=platform_db), work) == ["7 done", "7 done"]
    assert progress_since(platform_db, START) == []


def test_a_database_that_does_not_answer_stops_no_step() -> None:
    time = Time()
    gone = PlatformDb("postgresql://nobody:none@127.0.0.1:1/none")

    def work(report: ProgressReport) -> None:
        for time.seconds in (0, 20):
            report(7, 10)

    assert run_step(time.listener(db=gone), work) == ["7 of 10 done"]


@given(st.lists(st.integers(0, 60), max_size=50))
def test_a_log_hears_at_most_every_fifteen_seconds(pauses: list[int]) -> None:
    time = Time()
    told = [0.0]
    context: Any = SimpleNamespace(
        log=SimpleNamespace(info=lambda _text: told.append(time.seconds)),
        has_partition_key=False,
        asset_key=dg.AssetKey(["chats", "report"]),
    )
    report = time.listener().for_step(context)
    for number, pause in enumerate(pauses):
        time.seconds += pause
        last, count = told[-1], len(told)
        report(number, None)
        assert len(told) - count == (time.seconds - last >= 15)
