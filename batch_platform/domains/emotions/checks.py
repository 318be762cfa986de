"""Checks of the emotions domain: sentences that must be true of a batch."""

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.assets import analyses, batch_jobs, batch_requests, history
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.models import AGREEMENT_TOLERANCE, RequestState
from batch_platform.domains.emotions.store import EmotionStore
from batch_platform.gateways.platform_db import PlatformDb


def _batch(context: dg.AssetCheckExecutionContext, db: PlatformDb) -> str | None:
    """The run's batch, or the newest one when a check runs by itself; None without any."""
    if context.has_partition_key:
        return context.partition_key
    newest = JobStore(db).batches(limit=1)
    return newest[0].key if newest else None


@dg.asset_check(asset=batch_requests, blocking=True)
def chosen_and_left_out_posts_add_up_to_what_could_be_read(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Every post that was read could be chosen, or is left out for a reason."""
    key = _batch(context, platform_db)
    if key is None:
        return dg.AssetCheckResult(passed=True, metadata={"batches": 0})
    batch, counts = JobStore(platform_db).batch(key), EmotionStore(platform_db).counts(key)
    left_out = counts.of(RequestState.LEFT_OUT)
    return dg.AssetCheckResult(
        passed=batch.posts_read >= batch.population >= counts.chosen
        and batch.posts_read <= batch.population + left_out,
        metadata={
            "posts_read": batch.posts_read,
            "could_be_chosen": batch.population,
            "chosen": counts.chosen,
            "left_out": left_out,
        },
    )


@dg.asset_check(asset=batch_jobs)
def no_text_is_sent_in_two_jobs_of_a_round(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """The lines of a round's jobs are no more than the distinct texts of the batch."""
    key = _batch(context, platform_db)
    if key is None:
        return dg.AssetCheckResult(passed=True, metadata={"batches": 0})
    batch, jobs = JobStore(platform_db).batch(key), JobStore(platform_db).jobs(key)
    first = sum(job.requests for job in jobs if job.round == 1)
    return dg.AssetCheckResult(
        passed=first <= batch.estimate.lines,
        metadata={"lines_of_the_first_round": first, "distinct_texts": batch.estimate.lines},
    )


@dg.asset_check(asset=analyses, blocking=True)
def analyses_add_up_to_the_answered_posts(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Each answered post of the batch has one analysis."""
    key = _batch(context, platform_db)
    if key is None:
        return dg.AssetCheckResult(passed=True, metadata={"batches": 0})
    store = EmotionStore(platform_db)
    answered, made = store.counts(key).of(RequestState.ANSWERED), store.analysis_count(key)
    return dg.AssetCheckResult(
        passed=answered == made, metadata={"answered": answered, "analyses": made}
    )


@dg.asset_check(asset=analyses, blocking=True)
def every_analysis_is_within_its_bounds(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Scores are 0 to 1, coordinates -1 to 1, and the dominant emotion has the highest score."""
    key = _batch(context, platform_db)
    unfit = EmotionStore(platform_db).unfit_analyses(key, AGREEMENT_TOLERANCE) if key else 0
    return dg.AssetCheckResult(passed=unfit == 0, metadata={"unfit": unfit})


@dg.asset_check(asset=analyses)
def few_posts_are_set_aside(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
) -> dg.AssetCheckResult:
    """No more of the batch's posts are quarantined than the settings allow."""
    key = _batch(context, platform_db)
    counts = EmotionStore(platform_db).counts(key or "")
    aside, allowed = counts.of(RequestState.QUARANTINED), settings.emotions.max_quarantine_share
    return dg.AssetCheckResult(
        passed=aside <= max(1, int(counts.chosen * allowed)),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"quarantined": aside, "chosen": counts.chosen, "allowed_share": allowed},
    )


@dg.asset_check(asset=history)
def a_finished_batch_has_no_open_posts(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Of a batch that is finished, every post is answered, set aside, cancelled or left out."""
    key = _batch(context, platform_db)
    if key is None:
        return dg.AssetCheckResult(passed=True, metadata={"batches": 0})
    batch, counts = JobStore(platform_db).batch(key), EmotionStore(platform_db).counts(key)
    return dg.AssetCheckResult(
        passed=batch.finished_at is None or counts.open == 0,
        metadata={"open": counts.open, "is_finished": batch.finished_at is not None},
    )


emotion_checks = [
    chosen_and_left_out_posts_add_up_to_what_could_be_read,
    no_text_is_sent_in_two_jobs_of_a_round,
    analyses_add_up_to_the_answered_posts,
    every_analysis_is_within_its_bounds,
    few_posts_are_set_aside,
    a_finished_batch_has_no_open_posts,
]
