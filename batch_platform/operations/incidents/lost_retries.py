"""Runs that failed, were to be launched again, and were not: nothing else would tell of them.

Dagster launches a run whose process is gone once more, and tries that a single time: while the
code server is away it gives up, after whoever reports failures may have been told to wait.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from batch_platform.core.settings import Settings
from batch_platform.operations.failed_steps import failed_step
from batch_platform.operations.incidents.messages import advice_on, causes_of, kind_of
from batch_platform.operations.incidents.models import FailedStep, Trouble
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.operations.incidents.watch import History

DOMAIN_TAG = "domain"
"""The tag of a job that names its domain."""

PARTITION_TAG = "dagster/partition"

_LOOKED_BACK = timedelta(hours=1)
_LONG_ENOUGH = timedelta(minutes=2)
"""Dagster looks for runs to launch again every five seconds."""

_GIVEN_UP = "Failed to retry run"
"""What Dagster writes into a run's log when it could not launch it again."""

_NOT_AGAIN = "자동으로 다시 시작하지 못했습니다: 그때 코드 서버가 답하지 않았습니다"


def report_lost_retries(
    instance: dg.DagsterInstance,
    book: IncidentBook,
    history: History,
    settings: Settings,
    now: datetime,
) -> int:
    """Open an incident for each run of the last hour that nobody launches again any more.

    Returns:
        How many are new.
    """
    opened = 0
    for run, ended_at in _failed_runs(instance, now):
        partition = run.tags.get(PARTITION_TAG, "")
        if history.has_succeeded_since(run.job_name, partition, ended_at):
            continue
        events = [
            entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event
        ]
        # One that Dagster never came to still bears the tag that it will.
        if run.tags[WILL_RETRY_TAG] == "true" or any(e.message == _GIVEN_UP for e in events):
            steps = [failed_step(event) for event in events if event.is_step_failure]
            why = next((e.message or "" for e in events if e.is_run_failure), "")
            trouble = trouble_of(run, steps, why, settings, more_causes=[_NOT_AGAIN])
            opened += book.report(trouble, now)
    return opened


def trouble_of(
    run: dg.DagsterRun,
    steps: Sequence[FailedStep],
    message: str,
    settings: Settings,
    *,
    more_causes: Sequence[str] = (),
) -> Trouble:
    """What a failed run is told as.

    Args:
        run: The run.
        steps: Those of its steps that failed.
        message: What ended it, if no step did.
        settings: Whether things are made up.
        more_causes: Further sentences.
    """
    first = next((step.step for step in steps if step.step != run.job_name), "")
    return Trouble(
        kind=kind_of(steps),
        domain=run.tags.get(DOMAIN_TAG) or first.partition("/")[0],
        asset=first,
        partition=run.tags.get(PARTITION_TAG, ""),
        job=run.job_name,
        causes=[*causes_of(steps, message), *more_causes],
        advice=advice_on(steps),
        run_id=run.run_id,
        is_made_up=settings.is_made_up,
    )


def _failed_runs(
    instance: dg.DagsterInstance, now: datetime
) -> Iterator[tuple[dg.DagsterRun, datetime]]:
    """Those that ended a while ago and were not launched again, with their ends."""
    recent = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - _LOOKED_BACK)
    for record in instance.get_run_records(recent):
        run = record.dagster_run
        ended_at = datetime.fromtimestamp(
            record.end_time or record.create_timestamp.timestamp(), UTC
        )
        is_old_enough = now - ended_at >= _LONG_ENOUGH
        is_known = WILL_RETRY_TAG in run.tags and AUTO_RETRY_RUN_ID_TAG not in run.tags
        if is_old_enough and is_known:
            yield run, ended_at
