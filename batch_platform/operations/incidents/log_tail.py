"""The end of a run's log, for a mail: redacted, as it leaves the machine."""

import logging
from datetime import datetime

import dagster as dg

from batch_platform.core.redaction import redactor
from batch_platform.core.settings import Settings
from batch_platform.operations.failed_steps import failed_step
from batch_platform.operations.incidents.outbox import LogTail

_MOST_LINES = 25
_LONGEST_LINE = 400


def log_tail_of(instance: dg.DagsterInstance, settings: Settings) -> LogTail:
    """The look-up in Dagster's event log."""
    redact = redactor(settings)

    def tail(run_id: str) -> list[str]:
        found = instance.get_records_for_run(run_id, limit=_MOST_LINES, ascending=False)
        entries = [record.event_log_entry for record in reversed(found.records)]
        zone = settings.platform.zone
        times = [datetime.fromtimestamp(entry.timestamp, zone) for entry in entries]
        return [
            # Redacted before it is cut: half a number is still somebody's.
            f"{at:%H:%M:%S} {redact(_said(entry))}"[:_LONGEST_LINE]
            for at, entry in zip(times, entries, strict=True)
        ]

    return tail


def _said(entry: dg.EventLogEntry) -> str:
    event = entry.dagster_event
    level = logging.getLevelName(entry.level)
    said = entry.user_message or (event.message if event else "") or ""
    if event is not None and event.is_step_failure:
        failed = failed_step(event)
        said += f": {failed.error_type}: {failed.sentence}"
    step = f"{entry.step_key.replace('__', '/')}: " if entry.step_key else ""
    return f"{level} {step}{' '.join(said.split())}"
