"""How long work tells that it goes on: an event in Dagster now and then, a bar in a terminal.

Workflows call a `core.progress.ProgressReport`; who listens is decided here.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from batch_platform.core.days import utc_now
from batch_platform.core.errors import PlatformError
from batch_platform.core.progress import ProgressReport
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.step_progress import StepProgress, tell_progress

_SECONDS_BETWEEN_EVENTS = 15.0


@dataclass(frozen=True)
class ProgressListener:
    """A resource: who hears about progress. By default only Dagster's event log.

    Args:
        bar: Shows one step's progress in a terminal, given the step's name; None without one.
        db: Where it is written down, for whoever forecasts when a step ends; None: nowhere.
    """

    bar: Callable[[str], ProgressReport] | None = None
    db: PlatformDb | None = None

    def for_step(self, context: dg.AssetExecutionContext) -> ProgressReport:
        """The report of one asset's step: throttled events, and the bar if there is one."""
        to_log = _to_event_log(context)
        to_table = _to_table(context, self.db) if self.db else None
        to_bar = self.bar(context.asset_key.to_user_string()) if self.bar else None

        def report(done: int, total: int | None, note: str = "") -> None:
            to_log(done, total, note)
            if to_table is not None:
                to_table(done, total, note)
            if to_bar is not None:
                to_bar(done, total, note)

        return report


def _to_table(context: dg.AssetExecutionContext, db: PlatformDb) -> ProgressReport:
    run_id, asset = context.run.run_id, context.asset_key.to_user_string()
    partition = context.partition_key if context.has_partition_key else ""
    first: tuple[int, datetime] | None = None
    last = time.monotonic()

    def report(done: int, total: int | None, note: str = "") -> None:
        nonlocal first, last
        del note
        # What an earlier run has done already says nothing of the rate.
        first = first or (done, utc_now())
        if total is None or time.monotonic() - last < _SECONDS_BETWEEN_EVENTS:
            return
        last = time.monotonic()
        done_before, began_at = first
        progress = StepProgress(
            run_id, asset, partition, done - done_before, total - done_before, began_at, utc_now()
        )
        with suppress(PlatformError):  # a forecast is not worth a night
            tell_progress(db, progress)

    return report


def _to_event_log(context: dg.AssetExecutionContext) -> ProgressReport:
    last = time.monotonic()

    def report(done: int, total: int | None, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last < _SECONDS_BETWEEN_EVENTS:
            return
        last = time.monotonic()
        of_total = f" of {total:,}" if total is not None else ""
        context.log.info(f"{done:,}{of_total} done {note}".rstrip())

    return report
