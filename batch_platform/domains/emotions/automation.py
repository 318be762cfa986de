"""The emotions domain's jobs, and the sensor that asks after what is at the provider.

There is no schedule in code: batches are asked for, and posts are read when one is.
"""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.assets import (
    analyses,
    batch_jobs,
    batch_requests,
    history,
    posts,
)
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.logic import needs_run
from batch_platform.domains.emotions.models import Batch, BatchStage
from batch_platform.domains.emotions.partitions import emotions_batches
from batch_platform.domains.emotions.polling import poll_jobs
from batch_platform.domains.emotions.reporting import observation
from batch_platform.domains.emotions.workflow import BatchStatus, status_of
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.resources.roles import EmotionModels

BATCH_JOB = "emotions_batch_job"
POSTS_JOB = "emotions_posts_job"
SECONDS_BETWEEN_LOOKS = 60

_FIRST_WAIT = timedelta(minutes=5)
_MOST_DOUBLINGS = 4
_CHOOSING, _SENDING, _TAKING = ("batch_requests",), ("batch_jobs",), ("analyses", "history")
_STEPS: Mapping[BatchStage, Sequence[str]] = {
    BatchStage.REGISTERED: (*_CHOOSING, *_SENDING),
    BatchStage.TO_SEND: _SENDING,
    BatchStage.TO_COLLECT: _TAKING,
}

emotions_posts_job = dg.define_asset_job(
    POSTS_JOB,
    selection=dg.AssetSelection.assets(posts),
    description="Posts of some days, read from their source.",
    tags={"domain": "emotions"},
)

emotions_batch_job = dg.define_asset_job(
    BATCH_JOB,
    selection=dg.AssetSelection.assets(batch_requests, batch_jobs, analyses, history),
    description="A batch: posts chosen, sent, and taken when the provider is done with them.",
    tags={"domain": "emotions"},
)


def steps_for(status: BatchStatus) -> list[str]:
    """The assets (`group/name`) that a batch needs made next; none while the provider works."""
    steps = _STEPS.get(status.stage, ())
    if status.batch.spec.is_direct and status.stage is BatchStage.REGISTERED:
        steps = (*_CHOOSING, *_SENDING, *_TAKING)
    return [f"emotions/{name}" for name in steps]


def is_due(batch: Batch, now: datetime) -> bool:
    """Whether another run may be launched: a batch whose runs fail is tried less and less often."""
    if batch.work_requested_at is None:
        return True
    wait = _FIRST_WAIT * 2 ** min(max(batch.work_requests - 1, 0), _MOST_DOUBLINGS)
    return now - batch.work_requested_at >= wait


@dg.sensor(
    name="emotions_batches_sensor",
    job=emotions_batch_job,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    description="Asks after the jobs at the provider and launches what a batch needs next.",
)
def emotions_batches_sensor(
    context: dg.SensorEvaluationContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    emotion_models: dg.ResourceParam[EmotionModels],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult | dg.SkipReason:
    """Poll, observe, launch; a batch that is being worked on is left alone."""
    seen = poll_jobs(
        db=platform_db, open_client=emotion_models.client, settings=settings, clock=clock
    )
    jobs, instance = JobStore(platform_db), context.instance
    statuses = [
        status_of(batch.key, db=platform_db, settings=settings) for batch in jobs.open_batches()
    ]
    if not statuses:
        return dg.SkipReason("No batch is open")
    changed = {each.batch_key for each in seen if each.has_changed}
    requests: list[dg.RunRequest] = []
    for status in statuses:
        batch = status.batch
        if not needs_run(status.stage) or not is_due(batch, clock()):
            continue
        if _is_being_worked_on(instance, batch.key):
            continue
        instance.add_dynamic_partitions(emotions_batches.name or "", [batch.key])
        jobs.note_work_requested(batch.key, clock())
        requests.append(
            dg.RunRequest(
                partition_key=batch.key,
                asset_selection=[dg.AssetKey(name.split("/")) for name in steps_for(status)],
            )
        )
    observed = [observation(status, settings) for status in statuses if status.batch.key in changed]
    return dg.SensorResult(run_requests=requests, asset_events=observed)


def _is_being_worked_on(instance: dg.DagsterInstance, key: str) -> bool:
    working = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    found = dg.RunsFilter(job_name=BATCH_JOB, tags={PARTITION_NAME_TAG: key}, statuses=working)
    return bool(instance.get_run_records(found, limit=1))
