"""Asking the provider how its jobs are, and giving up those that take too long."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_platform.core.days import Clock
from batch_platform.core.errors import NotFoundError, PermanentError, RetryableError
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.logic import is_overdue, poll_after
from batch_platform.domains.emotions.models import Job
from batch_platform.domains.emotions.submission import OpenClient
from batch_platform.gateways.llm_batch.models import BatchJob, BatchState
from batch_platform.gateways.platform_db import PlatformDb

_CANCEL_AGAIN_AFTER = timedelta(minutes=30)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one job now.

    Attributes:
        has_changed: Whether its state is another one than before.
    """

    batch_key: str
    run_key: str
    job: BatchJob
    has_changed: bool


def poll_jobs(
    *, db: PlatformDb, open_client: OpenClient, settings: Settings, clock: Clock
) -> list[Seen]:
    """Ask after every job that is due; cancel what has had its time.

    A job that has ended meanwhile is never cancelled, however late it is asked after: switched off
    for days, the platform takes what was finished.

    Raises:
        PermanentError: A job is in a state that nobody knows; the others were seen.
    """
    jobs, seen, problems = JobStore(db), list[Seen](), list[PermanentError]()
    for job in jobs.jobs_in_flight(clock()):
        try:
            seen.append(_poll(job, jobs, open_client, settings, clock))
        except RetryableError as error:
            _log.warning("%s could not be asked after: %s", job.run_key, error)
        except PermanentError as error:
            problems.append(error)
    if problems:
        raise problems[0]
    return seen


def cancel_jobs(
    key: str, *, db: PlatformDb, open_client: OpenClient, clock: Clock
) -> Sequence[Job]:
    """Note that a person wants no more of a batch, and ask the provider to end its jobs.

    What was finished is taken; nothing is asked again.

    Returns:
        The jobs that the provider was asked to end.
    """
    jobs = JobStore(db)
    batch = jobs.batch(key)
    jobs.note_cancelled(key, clock())
    running = [job for job in jobs.jobs(key) if job.is_running]
    if running:
        client = open_client(batch.spec.provider, batch.spec.model)
        for job in running:
            with suppress(NotFoundError):  # it is gone, as the next look will tell
                client.cancel(_name(job))
            jobs.note_cancel_requested(job.run_key, clock())
    return running


def _poll(
    job: Job, jobs: JobStore, open_client: OpenClient, settings: Settings, clock: Clock
) -> Seen:
    client = open_client(job.provider, job.model)
    try:
        found = client.job(_name(job))
    except NotFoundError as error:
        # Nobody will ever hear of it again: its texts are asked again.
        found = BatchJob(_name(job), BatchState.FAILED, job.run_key, error=error.problem)
    now = clock()
    due = poll_after(job, now, settings.emotions.poll_interval_seconds)
    jobs.note_seen(job.run_key, found, now, due)
    is_late = is_overdue(job, now, settings.emotions.max_wait_hours)
    if not found.state.is_final and is_late and _is_to_be_cancelled(job, now):
        client.cancel(_name(job))
        jobs.note_cancel_requested(job.run_key, now)
    return Seen(job.batch_key, job.run_key, found, found.state is not job.state)


def _is_to_be_cancelled(job: Job, now: datetime) -> bool:
    asked = job.cancel_requested_at
    return asked is None or now - asked >= _CANCEL_AGAIN_AFTER


def _name(job: Job) -> str:
    if job.job_name is None:
        raise ValueError(f"{job.run_key} is not at the provider")
    return job.job_name
