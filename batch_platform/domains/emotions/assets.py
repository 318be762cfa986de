"""The emotions domain's assets: thin shells around the workflow."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Any

import dagster as dg

from batch_platform.core.days import Clock, today
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.collection import collect_results
from batch_platform.domains.emotions.logic import mode_of
from batch_platform.domains.emotions.models import EMOTION_FIELDS, EMOTIONS
from batch_platform.domains.emotions.partitions import emotions_batches, post_days
from batch_platform.domains.emotions.reporting import batch_metadata, observation, status_preview
from batch_platform.domains.emotions.selection import choose_posts, register_named, spec_of
from batch_platform.domains.emotions.source import PostSource
from batch_platform.domains.emotions.store import EmotionStore
from batch_platform.domains.emotions.submission import send_batch
from batch_platform.domains.emotions.workflow import (
    enter_history,
    read_posts,
    shown_unreadable,
    status_of,
    write_analyses,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.partitions import partition_days
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.results import (
    MadePartition,
    markdown_table,
    materialized,
    materialized_partitions,
    stopwatch,
    table_metadata,
)
from batch_platform.orchestration.steps import holding, trying_again_later, working_on_partition
from batch_platform.resources.roles import EmotionModels

_OWNERS = ["team:emotions"]
_PREFIX = "emotions"
_PERSONAL = {"personal_data": "yes"}
_BACKFILL = dg.BackfillPolicy.multi_run()
_POST = {
    "post_key": ("text", "post_id, an underscore, and comment_id or 0"),
    "post_id": ("text", "The post's key in the source"),
    "comment_id": ("text", "The comment's key; NULL for a post"),
    "post_date": ("date", "The day that the post is from"),
    "kind": ("text", "post, comment, or what the source says"),
}
_MADE_UP = {"is_made_up": ("boolean", "Whether the sandbox made it up")}


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=post_days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    owners=_OWNERS,
    kinds={"postgres", "csv"},
    tags=_PERSONAL,
    metadata=table_metadata(
        "emotions.posts",
        {
            **_POST,
            "title": ("text", "Title; empty when there is none"),
            "content": ("text", "Text, as it was written"),
            "depth": ("integer", "How deep a comment stands"),
            "views": ("bigint", "How often it was seen"),
            "likes": ("bigint", "How often it was liked"),
            **_MADE_UP,
        },
    ),
)
def posts(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per post or comment of the source, on the day that it is from.

    A range of days is read in one go; every row of the source is accounted for.
    """
    days, seconds, zone = partition_days(context), stopwatch(), settings.platform.zone
    name = f"{days[0]}..{days[-1]}"
    with trying_again_later(context), holding(context, platform_db)([name]):
        read = read_posts(
            days,
            source=PostSource(settings.emotions, zone),
            db=platform_db,
            settings=settings,
            today=today(clock, zone),
            progress=progress.for_step(context),
        )
    details = {
        "source_rows": read.rows,
        "rows_of_other_days": read.other_days,
        "repeated_rows": read.repeated,
        "unreadable_rows": sum(read.unreadable.values()),
        "why_unreadable": shown_unreadable(read),
    }
    made = {
        day.isoformat(): MadePartition(count, seconds(), details=details)
        for day, count in read.by_day.items()
    }
    return materialized_partitions(context, made, is_made_up=settings.is_made_up)


@dg.asset(
    key_prefix=_PREFIX,
    deps=[dg.AssetDep(posts, partition_mapping=dg.AllPartitionMapping())],
    partitions_def=emotions_batches,
    backfill_policy=_BACKFILL,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    tags=_PERSONAL,
    metadata=table_metadata(
        "emotions.batch_requests",
        {
            "batch_key": ("text", "The batch"),
            **_POST,
            "custom_id": ("text", "Names the post at the provider"),
            "asked_as": ("text", "The post with the same text that is sent for all that share it"),
            "model": ("text", "Which model is asked"),
            "state": ("text", "left_out, waiting, sent, answered, quarantined or cancelled"),
            "reason": ("text", "Why it is left out, asked again or set aside"),
            "text": ("text", "As it is sent: personal data masked"),
            "ledger_key": ("bytea", "Where its answer is in llm.calls"),
            "run_key": ("text", "The job that it is in"),
            "raw_line": ("text", "What the provider answered, for what is set aside"),
            **_MADE_UP,
        },
    ),
)
def batch_requests(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    emotion_models: dg.ResourceParam[EmotionModels],
    clock: dg.ResourceParam[Clock],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per post of a batch: chosen and claimed, or left out for a reason.

    Posts of a batch that was sent stay as they are.
    """
    key, seconds = context.partition_key, stopwatch()
    provider, model = emotion_models.chosen
    with working_on_partition(context, platform_db):
        spec = spec_of(mode_of(key), settings, provider=provider, model=model)
        register_named(key, spec, db=platform_db, settings=settings, clock=clock)
        selection = choose_posts(
            key,
            db=platform_db,
            open_llm=emotion_models.llm,
            settings=settings,
            clock=clock,
            progress=progress.for_step(context),
        )
    return materialized(
        rows=sum(selection.counts.states.values()),
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={
            "posts_read": selection.posts_read,
            "posts_that_could_be_chosen": selection.population,
            "posts_chosen": selection.counts.chosen,
            "size_with_finite_population_correction": selection.corrected_size or "no sample",
            "lines_to_send": selection.estimate.lines,
            "estimated_cost_krw": round(selection.estimate.batch_krw, 2),
            "estimated_direct_cost_krw": round(selection.estimate.direct_krw, 2),
            **{f"left_out_{why}": count for why, count in selection.counts.left_out.items()},
        },
    )


@dg.asset(
    key_prefix=_PREFIX,
    deps=[batch_requests],
    partitions_def=emotions_batches,
    backfill_policy=_BACKFILL,
    owners=_OWNERS,
    kinds={"postgres", "openai", "gemini"},
    metadata=table_metadata(
        "emotions.batch_jobs",
        {
            "run_key": ("text", "Our name of the job, which it carries at the provider"),
            "batch_key": ("text", "The batch"),
            "round": ("integer", "Which time of asking"),
            "chunk": ("integer", "Which file of the round"),
            "state": ("text", "PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED or EXPIRED"),
            "requests": ("bigint", "Lines in its file"),
            "requests_completed": ("bigint", "Lines answered, as the provider says"),
            "requests_failed": ("bigint", "Lines failed, as the provider says"),
            "job_name": ("text", "The provider's name of the job"),
            "error": ("text", "Why it failed as a whole"),
            "cost_krw": ("double precision", "Won, when its lines are stored"),
            **_MADE_UP,
        },
    ),
)
def batch_jobs(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    emotion_models: dg.ResourceParam[EmotionModels],
    clock: dg.ResourceParam[Clock],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per job at the provider, written before anything is sent; a sensor asks after them.

    The step ends when all is sent and does not wait; later states are observations of this asset.
    """
    key, seconds = context.partition_key, stopwatch()
    with working_on_partition(context, platform_db):
        jobs = send_batch(
            key,
            db=platform_db,
            open_client=emotion_models.client,
            settings=settings,
            clock=clock,
            progress=progress.for_step(context),
        )
    status = status_of(key, db=platform_db, settings=settings)
    return materialized(
        rows=len(jobs),
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=status_preview(status),
        details=batch_metadata(status, settings),
    )


@dg.asset(
    key_prefix=_PREFIX,
    deps=[batch_jobs],
    partitions_def=emotions_batches,
    backfill_policy=_BACKFILL,
    owners=_OWNERS,
    kinds={"postgres", "csv", "parquet"},
    tags=_PERSONAL,
    metadata=table_metadata(
        "emotions.analyses",
        {
            "batch_key": ("text", "The batch"),
            **_POST,
            "text": ("text", "What was analysed: personal data masked"),
            "dominant_emotion": ("text", "The strongest of the eight"),
            "complex_emotion": ("text", "The mixed emotion that the model named"),
            **{
                column: ("double precision", f"{name}, 0 to 1")
                for column, name in zip(EMOTION_FIELDS, EMOTIONS, strict=True)
            },
            "pleasure": ("double precision", "Displeasure -1 to pleasure 1"),
            "arousal": ("double precision", "Calm -1 to arousal 1"),
            "dominance": ("double precision", "Submission -1 to dominance 1"),
            "emotion_scores_reason": ("text", "Why these scores"),
            "pad_reason": ("text", "Why these coordinates"),
            "complex_emotion_reason": ("text", "Why this mixed emotion"),
            "model_used": ("text", "The model"),
            "prompt_version": ("text", "Version of the question"),
            "analysed_at": ("timestamptz", "When it was stored"),
            **_MADE_UP,
        },
    ),
)
def analyses(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    emotion_models: dg.ResourceParam[EmotionModels],
    clock: dg.ResourceParam[Clock],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per post of the batch with an answer that is valid; the rest is set aside or waits.

    Lines that failed or expired wait to be asked again; a CSV and a Parquet file stand beside.
    """
    key, seconds = context.partition_key, stopwatch()
    with working_on_partition(context, platform_db):
        collected = collect_results(
            key,
            db=platform_db,
            open_client=emotion_models.client,
            open_llm=emotion_models.llm,
            settings=settings,
            clock=clock,
            progress=progress.for_step(context),
        )
        rows, files = write_analyses(
            key, db=platform_db, open_llm=emotion_models.llm, settings=settings, clock=clock
        )
    status = status_of(key, db=platform_db, settings=settings)
    preview = markdown_table(["글", "주 감정", "복합 감정"], EmotionStore(platform_db).preview(key))
    return materialized(
        rows=rows,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=preview,
        details={
            **batch_metadata(status, settings),
            "lines_taken": collected.lines,
            "model_calls": collected.model_calls,
            "cost_krw": round(collected.cost_krw, 2),
            "path": dg.MetadataValue.path(str(files.csv)),
            "parquet": dg.MetadataValue.path(str(files.parquet)),
        },
    )


@dg.asset(
    key_prefix=_PREFIX,
    deps=[analyses],
    partitions_def=emotions_batches,
    backfill_policy=_BACKFILL,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "emotions.history",
        {
            "batch_key": ("text", "The batch"),
            "id": ("text", "post_id, an underscore, and comment_id or 0"),
            "post_id": ("text", "The post's key in the source"),
            "comment_id": ("text", "The comment's key; NULL for a post"),
            "analysis_date": ("timestamptz", "When it was analysed"),
            "analysis_type": ("text", "code_check, pilot, sampling or full"),
            "model_used": ("text", "The model"),
            "dominant_emotion": ("text", "The strongest of the eight"),
            "analysis_file": ("text", "The CSV with the whole analysis"),
            **_MADE_UP,
        },
    ),
)
def history(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One row per analysis of a post: by it a post is left out that was analysed lately.

    The batch ends here when nothing of it is open any more.
    """
    key, seconds = context.partition_key, stopwatch()
    with working_on_partition(context, platform_db):
        rows = enter_history(key, db=platform_db, settings=settings, clock=clock)
    status = status_of(key, db=platform_db, settings=settings)
    context.log_event(observation(status, settings))
    return materialized(
        rows=rows,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details=batch_metadata(status, settings),
    )
