"""Dagster's run queue, at whose door an occurrence lets one run in. Named in `dagster.yaml`.

Two daemons that look at the same moment each make a run for an occurrence, and Dagster's own
`run_key` does not see it. Whoever enqueues a run passes here, and a row can be claimed once.
"""

from functools import cached_property

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.tags import RUN_KEY_TAG

from batch_platform.core.days import utc_now
from batch_platform.core.errors import RetryableError
from batch_platform.core.settings import load_settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.operations.schedules import store
from batch_platform.operations.schedules.dagster_runs import OCCURRENCE_TAG

_NOT_THE_ONE = (
    "Occurrence {} does not wait for this run: another one executes it, or it was skipped."
    " Nothing was done twice."
)


class PlatformRunCoordinator(QueuedRunCoordinator):
    """The queue; a run for an occurrence is let in only if it is that occurrence's one run."""

    @cached_property
    def _db(self) -> PlatformDb:
        return open_platform_db(load_settings())

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Enqueue a run, or cancel it when its occurrence has another."""
        run = context.dagster_run
        occurrence = run.tags.get(OCCURRENCE_TAG)
        if occurrence is None or run.status is not dg.DagsterRunStatus.NOT_STARTED:
            return super().submit_run(context)
        if run.parent_run_id is not None:
            # A person, or a retry policy, executes it again: from now on this run counts.
            with self._db.connect(f"enqueue run {run.run_id}") as connection:
                store.take_over(connection, int(occurrence), run.run_id, utc_now())
        elif run.tags.get(RUN_KEY_TAG) == occurrence:
            try:
                is_the_one = self._claim(int(occurrence), run.run_id)
            except RetryableError:
                # An error here would make Dagster fail the run. As it is, the dispatcher asks for
                # it again in a minute.
                self._logger.warning("Run %s waits for the database", run.run_id, exc_info=True)
                return run
            if not is_the_one:
                self._instance.report_run_canceled(run, message=_NOT_THE_ONE.format(occurrence))
                return self._instance.get_run_by_id(run.run_id) or run
        return super().submit_run(context)

    def _claim(self, occurrence: int, run_id: str) -> bool:
        with self._db.connect(f"enqueue run {run_id}") as connection:
            return store.claim(connection, occurrence, run_id, utc_now())
