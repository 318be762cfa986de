"""Runs of commands whose process died without a word, so that none stays "in progress".

The daemon finds them too (`run_launcher`), but commands are used without one as well.
"""

import dagster as dg

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.run_locks import living_runs
from batch_platform.orchestration.steps import COMMAND_TAG

_MESSAGE = "The command's process ended without a word: it was killed, or the machine went down."
_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def fail_abandoned_runs(db: PlatformDb, instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs of commands whose process is gone as failed.

    Returns:
        Their ids.
    """
    unfinished = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    runs = [run for run in unfinished if COMMAND_TAG in run.tags]
    living = living_runs(db, [run.run_id for run in runs]) if runs else set[str]()
    gone = [run for run in runs if run.run_id not in living]
    for run in gone:
        instance.report_run_failed(run, _MESSAGE)
    return [run.run_id for run in gone]
