"""The nightly retention as Dagster sees it: an asset, its job and its schedule."""

from typing import Any

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import dagster_database_url
from batch_platform.operations.retention import Freed, free
from batch_platform.orchestration.results import markdown_table, materialized, stopwatch
from batch_platform.orchestration.schedules import MAKE_UP_FOR_LATEST, declared_schedule
from batch_platform.orchestration.steps import trying_again_later


@dg.asset(
    key_prefix="operations",
    group_name="operations",
    owners=["team:operations"],
    kinds={"python"},
)
def retention(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """What was removed because it was older than it is kept: runs, answers, logs, reports.

    The record of what was made stays, and whatever a live partition needs.
    """
    seconds = stopwatch()
    with trying_again_later(context):
        freed = free_all(settings, clock, platform_db, context.instance, is_dry_run=False)
    return materialized(
        rows=sum(each.count for each in freed),
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=markdown_table(
            ["kind", "count", "bytes"], [(each.kind, each.count, each.size_bytes) for each in freed]
        ),
        details={
            **{each.kind: each.count for each in freed},
            "freed_bytes": sum(each.size_bytes for each in freed),
        },
    )


def free_all(
    settings: Settings,
    clock: Clock,
    db: PlatformDb,
    instance: dg.DagsterInstance,
    *,
    is_dry_run: bool,
) -> list[Freed]:
    """Remove what is too old, with Dagster's own deletion of runs; see `retention.free`."""
    return free(
        settings,
        clock,
        db=db,
        dagster_db=PlatformDb(dagster_database_url(settings)),
        delete_run=instance.delete_run,
        is_dry_run=is_dry_run,
    )


operations_retention_job = dg.define_asset_job(
    "operations_retention_job",
    selection=dg.AssetSelection.assets(retention),
    description="Removes what the platform wrote about its own work and nobody needs any more.",
    tags={"domain": "operations"},
)


def retention_definitions(settings: Settings) -> dg.Definitions:
    """The asset, its job and its schedule at the time the settings say."""
    return dg.Definitions(
        assets=[retention],
        jobs=[operations_retention_job],
        schedules=[
            declared_schedule(
                operations_retention_job,
                settings.retention.cron,
                description="Removes what is older than it is kept.",
                missed=MAKE_UP_FOR_LATEST,
            )
        ],
    )
