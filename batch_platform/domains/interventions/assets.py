"""The interventions domain's assets: thin shells around `workflow`."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Any

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.interventions.logic import gubun_named, mode_named
from batch_platform.domains.interventions.partitions import record_days
from batch_platform.domains.interventions.store import InterventionStore
from batch_platform.domains.interventions.workflow import (
    Choice,
    choose_users,
    publish,
    read_users,
    recommend,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.orchestration.chunks import asked_before
from batch_platform.orchestration.partitions import partition_day
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.queues import ON_LLM_WORKERS
from batch_platform.orchestration.results import (
    markdown_table,
    materialized,
    stopwatch,
    table_metadata,
)
from batch_platform.orchestration.steps import working_on_partition
from batch_platform.resources.roles import LlmOpener

_OWNERS = ["team:interventions"]
_PREFIX = "interventions"
_PERSONAL = {"personal_data": "yes"}
_BACKFILL = dg.BackfillPolicy.multi_run()


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=record_days,
    backfill_policy=_BACKFILL,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    tags=_PERSONAL,
    metadata=table_metadata(
        "interventions.user_records",
        {
            "record_date": ("date", "Day of the records, in the platform's zone"),
            "user_id": ("text", "The user's key in the source"),
            "has_profile": ("boolean", "Whether the source has a profile"),
            "allergies": ("jsonb", "What the user must not eat"),
            "food_preference": ("text", "What the user likes to eat, as the source says it"),
            "height_cm": ("double precision", "Height; NULL when unknown or impossible"),
            "weight_kg": ("double precision", "Weight; NULL when unknown or impossible"),
            "foods": ("jsonb", "What was eaten: meal, name, grams, kcal, allergens"),
            "has_exercise": ("boolean", "Whether there is an exercise record"),
            "target_steps": ("bigint", "Steps aimed at"),
            "current_steps": ("bigint", "Steps walked"),
            "sleep_minutes": ("bigint", "Minutes slept; NULL without a sleep record"),
            "problem": ("text", "Why no food can be named safely"),
            "is_made_up": ("boolean", "Whether the sandbox made it up"),
        },
    ),
)
def user_records(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    intervention_source: dg.ResourceParam[SourceDatabase],
) -> dg.MaterializeResult[Any]:
    """One row per user whom the source knows, with the profile and the day's records.

    Whoever has a profile or any record of the day is here, so that nobody is left out unnoticed.
    """
    day, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        counts = read_users(day, db=platform_db, source=intervention_source, settings=settings)
    details = {name: count for name, count in counts.items() if name != "users"}
    return materialized(
        rows=counts["users"],
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details=details,
    )


class EligibleUsersConfig(dg.Config):
    """Whom a run is about."""

    gubun: str = "all"
    """What is recommended: all, sleep or food."""
    user_id: str = ""
    """The one user whom the run is about; everyone when empty."""
    force: bool = False
    """Whether users who have a recommendation of the day and gubun get a new one."""
    needs_active_schedule: bool = True
    """Whether nobody is advised while no schedule of this job is active."""


@dg.asset(
    key_prefix=_PREFIX,
    deps=[user_records],
    partitions_def=record_days,
    backfill_policy=_BACKFILL,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    tags=_PERSONAL,
    metadata=table_metadata(
        "interventions.eligible_users",
        {
            "record_date": ("date", "Day of the records, in the platform's zone"),
            "gubun": ("text", "What is recommended: all, sleep or food"),
            "user_id": ("text", "The user's key in the source"),
            "state": ("text", "eligible, or why the user is left out"),
            "is_made_up": ("boolean", "Whether the sandbox made it up"),
        },
    ),
)
def eligible_users(
    context: dg.AssetExecutionContext,
    config: EligibleUsersConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    intervention_source: dg.ResourceParam[SourceDatabase],
) -> dg.MaterializeResult[Any]:
    """One row per user and gubun: eligible, or which record is missing or what else is the reason.

    A user who has a recommendation of the day already is left out unless the run replaces it.
    """
    day, seconds = partition_day(context), stopwatch()
    choice = Choice(
        gubun_named(config.gubun),
        config.user_id or None,
        config.force,
        config.needs_active_schedule,
    )
    with working_on_partition(context, platform_db):
        counts = choose_users(
            day, choice, db=platform_db, source=intervention_source, settings=settings
        )
    return materialized(
        rows=sum(counts.values()),
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=markdown_table(["state", "users"], list(counts.items())),
        details={"gubun": config.gubun, **counts},
    )


class RecommendationsConfig(dg.Config):
    """How a day's recommendations are made."""

    gubun: str = "all"
    """What is recommended: all, sleep or food; as `eligible_users` was told."""
    mode: str = ""
    """LLM or RULE; `INTERVENTIONS_MODE` when empty."""


@dg.asset(
    key_prefix=_PREFIX,
    deps=[eligible_users],
    partitions_def=record_days,
    backfill_policy=_BACKFILL,
    pool="llm",
    op_tags=ON_LLM_WORKERS,
    owners=_OWNERS,
    kinds={"postgres", "openai"},
    tags=_PERSONAL,
    metadata=table_metadata(
        "interventions.recommendations",
        {
            "record_date": ("date", "Day of the records, in the platform's zone"),
            "gubun": ("text", "What is recommended: all, sleep or food"),
            "user_id": ("text", "The user's key in the source"),
            "target_date": ("date", "Day that it is for: the next one"),
            "written_by": ("text", "model or rule; import for an old system's; NULL for an error"),
            "reason": ("text", "Why rules wrote it; empty when the model did"),
            "version": ("text", "Model and prompt, or the rules' version"),
            "diet_evaluation": ("text", "How much and when was eaten"),
            "diet_target": ("json", "Breakfast, Lunch, Dinner, Summary"),
            "food_evaluation": ("text", "What was eaten"),
            "sleep_evaluation": ("text", "How the night was"),
            "sleep_target": ("text", "What to do for the next night"),
            "exercise_evaluation": ("text", "How far was walked"),
            "exercise_target": ("text", "How far to walk"),
            "processing_time": ("double precision", "Seconds that it took"),
            "error_message": ("text", "Why there is none; the next run tries again"),
            "input": ("json", "What was sent"),
            "output": ("json", "What came back"),
            "is_made_up": ("boolean", "Whether the sandbox answered"),
            "import_id": ("bigint", "The import that brought the row; NULL when made here"),
        },
    ),
)
def recommendations(
    context: dg.AssetExecutionContext,
    config: RecommendationsConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    intervention_source: dg.ResourceParam[SourceDatabase],
    llm_opener: dg.ResourceParam[LlmOpener],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per eligible user and gubun: advice by the model or by rules, or an error.

    None names a food with one of the user's allergens, or a drug, whoever wrote it.
    """
    day, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        outcome = recommend(
            day,
            gubun_named(config.gubun),
            mode_named(config.mode or settings.interventions.mode),
            db=platform_db,
            source=intervention_source,
            open_llm=llm_opener,
            settings=settings,
            progress=progress.for_step(context),
            asked_before=asked_before(context, platform_db, day),
        )
    asking, store = outcome.asking, InterventionStore(platform_db)
    counts = store.counts(day, gubun_named(config.gubun))
    return materialized(
        # Of the whole day: a run for those who were left would look like lost rows.
        rows=counts.recommendations,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=markdown_table(
            ["누가", "왜", "목표"], store.preview(day, gubun_named(config.gubun))
        ),
        details={
            "gubun": config.gubun,
            "users_of_this_run": outcome.users,
            "by_model": outcome.by_model,
            "by_rule": outcome.by_rule,
            "errors": outcome.errors,
            "model_calls": asking.calls if asking else 0,
            "answers_from_ledger": asking.from_ledger if asking else 0,
            "cost_krw": round(asking.cost_krw, 2) if asking else 0.0,
            "why_rules": outcome.reasons(),
        },
    )


class PublishedRecordsConfig(dg.Config):
    """What is written back."""

    gubun: str = "all"
    """What was recommended: all, sleep or food; as `recommendations` was told."""


@dg.asset(
    key_prefix=_PREFIX,
    deps=[recommendations],
    partitions_def=record_days,
    backfill_policy=_BACKFILL,
    owners=_OWNERS,
    kinds={"mariadb", "table"},
    tags=_PERSONAL,
)
def published_records(
    context: dg.AssetExecutionContext,
    config: PublishedRecordsConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    intervention_source: dg.ResourceParam[SourceDatabase],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One row per user, day and gubun in the service's own table, which its application reads.

    Rows that are there change in place, errors are among them with their message; nobody else's
    row is touched.
    """
    day, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        rows = publish(
            day,
            gubun_named(config.gubun),
            db=platform_db,
            source=intervention_source,
            settings=settings,
            clock=clock,
        )
    return materialized(
        rows=rows,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={"gubun": config.gubun},
    )
