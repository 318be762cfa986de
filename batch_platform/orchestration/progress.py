"""How long work tells that it goes on: an event in Dagster now and then, a bar in a terminal.

Workflows call a `core.progress.ProgressReport`; who listens is decided here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg

from batch_platform.core.progress import ProgressReport

_SECONDS_BETWEEN_EVENTS = 15.0


@dataclass(frozen=True)
class ProgressListener:
    """A resource: who hears about progress. By default only Dagster's event log.

    Args:
        bar: Shows one step's progress in a terminal, given the step's name; None without one.
    """

    bar: Callable[[str], ProgressReport] | None = None

    def for_step(self, context: dg.AssetExecutionContext) -> ProgressReport:
        """The report of one asset's step: throttled events, and the bar if there is one."""
        to_log = _to_event_log(context)
        to_bar = self.bar(context.asset_key.to_user_string()) if self.bar else None

        def report(done: int, total: int | None, note: str = "") -> None:
            to_log(done, total, note)
            if to_bar is not None:
                to_bar(done, total, note)

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
