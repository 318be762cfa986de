"""The fortunes domain's assets: thin shells around `workflow`."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import date
from typing import Any

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.fortunes.partitions import backfill_policy, fortune_days
from batch_platform.domains.fortunes.store import FortuneStore
from batch_platform.domains.fortunes.workflow import (
    compute_charts,
    publish_fortunes,
    read_users,
    write_fortunes,
)
from batch_platform.gateways.llm import BulkLlm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.orchestration.chunks import asked_before
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.queues import ON_LLM_WORKERS
from batch_platform.orchestration.results import (
    MadePartition,
    markdown_table,
    stopwatch,
    table_metadata,
)
from batch_platform.orchestration.steps import make_each_day

_OWNERS = ["team:fortunes"]
_PREFIX = "fortunes"


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=fortune_days,
    backfill_policy=backfill_policy,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    tags={"personal_data": "yes"},
    metadata=table_metadata(
        "fortunes.eligible_users",
        {
            "for_date": ("date", "Day that the fortunes are for"),
            "user_id": ("text", "The user's key in the app"),
            "birth_date": ("date", "Birthday in the solar calendar"),
            "birth_time": ("time", "Local clock time in Korea; null when unknown"),
            "is_male": ("boolean", "Gender; null when unknown"),
            "time_zone": ("text", "Zone that the user lives in"),
            "is_made_up": ("boolean", "Whether the sandbox's users were read"),
        },
    ),
)
def eligible_users(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    fortune_source: dg.ResourceParam[SourceDatabase],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One row per day and active user of the app who was born before it.

    Read anew each time; names stay in the app. Who is left out, and why, is counted.
    """

    def make(day: date) -> MadePartition:
        seconds = stopwatch()
        users = read_users(
            day, db=platform_db, source=fortune_source, settings=settings, clock=clock
        )
        for sentence in users.missing_columns:
            context.log.info(sentence)
        reading = users.reading
        return MadePartition(
            rows=reading.eligible_rows,
            seconds=seconds(),
            details={
                "source_rows": reading.source_rows,
                "inactive": reading.inactive_rows,
                "without_birth_date": reading.undated_rows,
                "not_born_before_the_day": reading.unborn_rows,
                "unreadable_birth_date": reading.unreadable_rows,
                "unknown_hour": reading.unknown_hour_rows,
            },
        )

    return make_each_day(context, platform_db, make, is_made_up=settings.is_made_up)


@dg.asset(
    key_prefix=_PREFIX,
    deps=[eligible_users],
    partitions_def=fortune_days,
    backfill_policy=backfill_policy,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    tags={"personal_data": "yes"},
    metadata=table_metadata(
        "fortunes.natal_charts",
        {
            "user_id": ("text", "The user's key in the app"),
            "birth_date": ("date", "Birthday that the chart is of"),
            "birth_time": ("time", "Local clock time in Korea; null when unknown"),
            "is_male": ("boolean", "Gender; null when unknown"),
            "year_pillar": ("smallint", "Year's pillar, 0 is 갑자"),
            "month_pillar": ("smallint", "Month's pillar"),
            "day_pillar": ("smallint", "Day's pillar; its stem is the day master"),
            "hour_pillar": ("smallint", "Hour's pillar; null when the hour is unknown"),
            "is_term_day": ("boolean", "Born on a day on which a month's term falls"),
            "luck_direction": ("smallint", "1 when ten-year pillars go onwards, -1 backwards"),
            "luck_start_years": ("float", "Age at which the first ten-year pillar begins"),
            "ruleset": ("text", "Rules that the chart was computed by"),
            "is_made_up": ("boolean", "Whether the person is the sandbox's"),
            "computed_at": ("timestamptz", "When it was computed"),
        },
    ),
)
def natal_charts(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One row per person with the four pillars, computed once and kept.

    Computed again only when the birth or the rules change. A partition adds what its users lack.
    """

    def make(day: date) -> MadePartition:
        seconds = stopwatch()
        outcome = compute_charts(day, db=platform_db, settings=settings, clock=clock)
        return MadePartition(outcome.charts, seconds(), details={"computed_now": outcome.computed})

    return make_each_day(context, platform_db, make, is_made_up=settings.is_made_up)


class DailyFortunesConfig(dg.Config):
    """How a day's fortunes are made."""

    retry_failed: bool = False
    """Whether failed users are asked about, and paid for, again before their time."""
    replaces_imported: bool = False
    """Whether fortunes that an old system wrote are asked, and paid for, here as well."""


@dg.asset(
    key_prefix=_PREFIX,
    deps=[eligible_users, natal_charts],
    partitions_def=fortune_days,
    backfill_policy=backfill_policy,
    pool="llm",
    op_tags=ON_LLM_WORKERS,
    owners=_OWNERS,
    kinds={"postgres", "openai"},
    tags={"personal_data": "yes"},
    metadata=table_metadata(
        "fortunes.daily_fortunes",
        {
            "for_date": ("date", "Day that the fortune is for"),
            "user_id": ("text", "The user's key in the app"),
            "status": ("text", "completed or failed"),
            "gapja_code": ("smallint", "The day's pillar, 0 is 갑자"),
            "gapja_name": ("text", "Its name"),
            "gapja_element": ("text", "Element of its stem"),
            "fortune_data": ("jsonb", "Texts by the model, scores, what is lucky"),
            "fortune_score": ("jsonb", "Pillars, elements and relations, computed"),
            "time_zone": ("text", "Zone that the user lives in"),
            "reason": ("text", "Why there is no fortune"),
            "attempts": ("integer", "Runs whose answer could not be used"),
            "next_retry_at": ("timestamptz", "From when a run asks again; null for never"),
            "model": ("text", "The model that wrote; imported when an old system did"),
            "is_made_up": ("boolean", "Whether the sandbox wrote"),
            "generated_at": ("timestamptz", "When this content was first there"),
            "import_id": ("bigint", "The import that brought the row; null when made here"),
        },
    ),
)
def daily_fortunes(
    context: dg.AssetExecutionContext,
    config: DailyFortunesConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    llm: dg.ResourceParam[BulkLlm],
    clock: dg.ResourceParam[Clock],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per day and eligible user with the fortune, or the reason why there is none.

    Scores and relations are computed, the model writes the words. A rerun asks only what the ledger
    does not hold, and failed users whose time has come.
    """
    hears = progress.for_step(context)

    def make(day: date) -> MadePartition:
        seconds = stopwatch()
        outcome = write_fortunes(
            day,
            db=platform_db,
            llm=llm,
            settings=settings,
            clock=clock,
            progress=hears,
            retry_failed=config.retry_failed,
            replaces_imported=config.replaces_imported,
            asked_before=asked_before(context, platform_db, day),
        )
        if outcome.stopped_by is not None:
            context.log.error(f"Not every user was asked about: {outcome.stopped_by}")
        preview = FortuneStore(platform_db).preview(day)
        return MadePartition(
            outcome.completed + outcome.failed + outcome.imported,
            seconds(),
            markdown_table(["사용자", "상태", "총운", "한 줄 또는 이유"], preview),
            details=outcome.figures(),
        )

    return make_each_day(context, platform_db, make, is_made_up=settings.is_made_up)


@dg.asset(
    key_prefix=_PREFIX,
    deps=[daily_fortunes],
    partitions_def=fortune_days,
    backfill_policy=backfill_policy,
    owners=_OWNERS,
    kinds={"django", "table"},
    tags={"personal_data": "yes"},
)
def published_fortunes(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    fortune_source: dg.ResourceParam[SourceDatabase],
) -> dg.MaterializeResult[Any]:
    """One row per day and user in the app's own table, where the app reads it.

    A failed fortune is added as failed and never replaces a row; other rows are not touched.
    """

    def make(day: date) -> MadePartition:
        seconds = stopwatch()
        published = publish_fortunes(day, db=platform_db, source=fortune_source, settings=settings)
        return MadePartition(
            published.completed + published.failed,
            seconds(),
            details={"completed": published.completed, "failed": published.failed},
        )

    return make_each_day(context, platform_db, make, is_made_up=settings.is_made_up)
