"""The dispatcher under Dagster's own sensor daemon, in this process, with a clock that the test
moves: everything is real but the time and the jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.schedules import (
    Occurrence,
    OccurrenceBook,
    Schedule,
    ScheduleBook,
    ScheduleSpec,
    store,
)
from batch_platform.operations.schedules.dagster_runs import OCCURRENCE_TAG, jobs_of
from batch_platform_tests.integration.schedules.small_platform import (
    WORKSPACE,
    Given,
    Now,
    defs,
    look,
)

LOOK = timedelta(seconds=16)
"""From one look of the sensor to the next."""


QUEUE = {
    "module": "batch_platform.operations.schedules.run_coordinator",
    "class": "PlatformRunCoordinator",
}


@dataclass
class World:
    """A platform whose daemon looks when the test says so."""

    db: PlatformDb
    now: Now
    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    book: ScheduleBook = field(init=False)
    occurrences: OccurrenceBook = field(init=False)

    def __post_init__(self) -> None:
        self.book = ScheduleBook(self.db, self.now)
        self.occurrences = OccurrenceBook(self.db, self.now)

    def look(self, times: int = 1) -> None:
        """Let the daemon evaluate the sensor, a quarter of a minute after the time before."""
        for _ in range(times):
            self.now.value += LOOK
            self.daemon_turn()

    def daemon_turn(self) -> None:
        look(self.workspace)

    def look_at(self, moment: datetime) -> None:
        """Let the daemon look first at that moment, as if it had been down until then."""
        self.now.value = moment - LOOK
        self.look()

    def add(self, **spec: Any) -> Schedule:
        return self.book.add(ScheduleSpec(**{"name": "밤", "job": "day_job"} | spec), added_by="t")

    def runs(self) -> list[dg.DagsterRun]:
        """The runs in the queue or beyond, the oldest first; not those refused at its door."""
        refused = {dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.CANCELED}
        runs = self.instance.get_runs()
        return [run for run in reversed(runs) if run.status not in refused]

    def run_partitions(self) -> list[str]:
        return [run.tags.get("dagster/partition", "") for run in self.runs()]

    def executed(self) -> list[str]:
        """The occurrences for which a run is or was in the queue, one entry a run."""
        return [run.tags[OCCURRENCE_TAG] for run in self.runs()]

    def end_run(self, run_id: str, *, is_success: bool = True) -> None:
        kind = dg.DagsterEventType.RUN_SUCCESS if is_success else dg.DagsterEventType.RUN_FAILURE
        event = dg.DagsterEvent(kind.value, "job")
        self.instance.run_storage.handle_run_event(run_id, event)

    def another_run(self, like: dg.DagsterRun, *, is_reexecution: bool) -> str:
        """Put a second run with a run's tags into the queue, as the webserver or a daemon does."""
        parent = like.run_id if is_reexecution else None
        run = self.instance.create_run_for_job(
            defs.resolve_job_def("whole_job"),
            tags=dict(like.tags),
            parent_run_id=parent,
            root_run_id=parent,
            remote_job_origin=like.remote_job_origin,
            job_code_origin=like.job_code_origin,
        )
        self.instance.submit_run(run.run_id, self.workspace.create_request_context())
        return run.run_id

    def history(self) -> list[Occurrence]:
        """All occurrences, the oldest first."""
        return self.occurrences.history(limit=1000)[::-1]

    def statuses(self) -> list[str]:
        return [str(occurrence.status) for occurrence in self.history()]

    def errors(self) -> list[str]:
        """What failed looks said."""
        (state,) = self.instance.all_instigator_state()
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return [tick.error.to_string() for tick in ticks if tick.error is not None]


@pytest.fixture(scope="session")
def workspace() -> Iterator[WorkspaceProcessContext]:
    """Dagster over the small platform; a second to make, so all tests share it."""
    with (
        dg.instance_for_test({"run_coordinator": QUEUE}) as instance,
        WorkspaceProcessContext(instance, WORKSPACE) as workspace,
    ):
        yield workspace


@pytest.fixture
def world(
    platform_db: PlatformDb, workspace: WorkspaceProcessContext, monkeypatch: pytest.MonkeyPatch
) -> World:
    return world_in(workspace, platform_db, defs, monkeypatch)


def world_in(
    workspace: WorkspaceProcessContext,
    platform_db: PlatformDb,
    definitions: dg.Definitions,
    monkeypatch: pytest.MonkeyPatch,
    made: Sequence[tuple[str, str]] = (),
) -> World:
    """A platform of these definitions that stands at the first moment, as if it had never run.

    Args:
        workspace: Dagster over the definitions.
        platform_db: The platform's database.
        definitions: What there is.
        monkeypatch: Sets Dagster's clock.
        made: Asset and partition of what is there before the daemon looks first.
    """
    now = Now()
    Given.db, Given.clock = platform_db, now
    monkeypatch.setattr("dagster._time._mockable_get_current_datetime", now)
    monkeypatch.setattr("dagster._time._mockable_get_current_timestamp", lambda: now().timestamp())
    instance = workspace.instance
    # Each look would open one of its own, in the time of ten looks.
    monkeypatch.setattr(dg.SensorEvaluationContext, "instance", instance)
    instance.wipe()
    assert instance.schedule_storage is not None
    instance.schedule_storage.wipe()
    monkeypatch.setitem(instance.run_coordinator.__dict__, "_db", platform_db)
    with platform_db.connect("test") as connection, connection.transaction():
        store.note_jobs(connection, jobs_of(definitions.get_repository_def()))
    for asset, partition in made:
        event = dg.AssetMaterialization(dg.AssetKey(asset.split("/")), partition=partition)
        instance.report_runless_asset_event(event)
    world = World(platform_db, now, instance, workspace)
    world.daemon_turn()  # from now on it was never down
    return world
