"""How long work tells that it goes on: an event in Dagster now and then, a bar in a terminal.

Workflows call a `core.progress.ProgressReport`; who listens is decided here.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from batch_platform.core.chunks import Chunk
from batch_platform.core.days import Clock, utc_now
from batch_platform.core.errors import PlatformError
from batch_platform.core.progress import ProgressReport
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.step_progress import StepProgress, tell_progress

_SECONDS_BETWEEN_EVENTS = 15.0
_Context = dg.AssetExecutionContext | dg.OpExecutionContext


@dataclass(frozen=True)
class ProgressListener:
    """A resource: who hears about progress. By default only Dagster's event log.

    Args:
        bar: Shows one step's progress in a terminal, given the step's name; None without one.
        db: Where it is written down, for whoever forecasts when a step ends; None: nowhere.
        clock: The time that is written down.
        monotonic: Seconds, by which reports are thinned out.
    """

    bar: Callable[[str], ProgressReport] | None = None
    db: PlatformDb | None = None
    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic

    def for_step(self, context: dg.AssetExecutionContext) -> ProgressReport:
        """The report of one asset's step: throttled events, and the bar if there is one."""
        partition = context.partition_key if context.has_partition_key else ""
        return self._report(context, partition)

    def for_chunk(self, context: dg.OpExecutionContext, chunk: Chunk) -> ProgressReport:
        """The report of a step that works on a chunk of its asset's partition."""
        return self._report(context, chunk.day.isoformat(), chunk)

    def _report(
        self, context: _Context, partition: str, chunk: Chunk | None = None
    ) -> ProgressReport:
        to_log = self._to_event_log(context)
        to_table = self._to_table(context, self.db, partition, chunk) if self.db else None
        name = context.asset_key.to_user_string()
        if chunk is not None:
            name = f"{name} {chunk.number + 1}/{chunk.count}"
        to_bar = self.bar(name) if self.bar else None

        def report(done: int, total: int | None, note: str = "") -> None:
            to_log(done, total, note)
            if to_table is not None:
                to_table(done, total, note)
            if to_bar is not None:
                to_bar(done, total, note)

        return report

    def _to_table(
        self, context: _Context, db: PlatformDb, partition: str, chunk: Chunk | None
    ) -> ProgressReport:
        run_id, asset = context.run.run_id, context.asset_key.to_user_string()
        part = chunk.key if chunk else ""
        first: tuple[int, datetime] | None = None
        is_time = self._now_and_then()

        def report(done: int, total: int | None, note: str = "") -> None:
            nonlocal first
            del note
            # What an earlier run has done already says nothing of the rate.
            first = first or (done, self.clock())
            if total is None or not is_time():
                return
            before, began_at = first
            figures = (done - before, total - before, began_at, self.clock())
            progress = StepProgress(run_id, asset, partition, *figures, part)
            with suppress(PlatformError):  # a forecast is not worth a night
                tell_progress(db, progress)

        return report

    def _to_event_log(self, context: _Context) -> ProgressReport:
        is_time = self._now_and_then()

        def report(done: int, total: int | None, note: str = "") -> None:
            if is_time():
                of_total = f" of {total:,}" if total is not None else ""
                context.log.info(f"{done:,}{of_total} done {note}".rstrip())

        return report

    def _now_and_then(self) -> Callable[[], bool]:
        """Tell at most every 15 seconds, first after 15, that it is time."""
        last = self.monotonic()

        def is_time() -> bool:
            nonlocal last
            if self.monotonic() - last < _SECONDS_BETWEEN_EVENTS:
                return False
            last = self.monotonic()
            return True

        return is_time
