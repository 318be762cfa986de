"""Jobs that remove: old backups, old copies of tables. They make no asset."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.retention import plan_pruning, prune
from batch_platform.domains.backups.table_snapshots import prune_snapshots
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.queues import ON_BACKUP_WORKERS


@dg.op(
    description="Says which backups go and why the others stay, then removes them.",
    tags=ON_BACKUP_WORKERS,
)
def remove_old_backups(
    context: dg.OpExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Plan, tell, remove."""
    planned = plan_pruning(settings, clock)
    for backup_id, reason in planned.retention.kept.items():
        context.log.info(f"{backup_id} stays: {reason}")
    context.log.info(f"To remove: {', '.join(planned.retention.removed) or 'nothing'}")
    done = prune(settings, clock, db=platform_db)
    for backup_id in done.damaged:
        context.log.error(f"{backup_id} counted as good and is damaged; it spares nothing now")
    context.log.info(
        f"Removed {len(done.retention.removed)} backups, {done.freed_bytes / 1e6:,.1f} MB"
    )


@dg.op(
    description="Removes old copies of tables, never a table's last one.", tags=ON_BACKUP_WORKERS
)
def remove_old_snapshots(
    context: dg.OpExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Plan, tell, remove."""
    planned = prune_snapshots(platform_db, settings, clock, is_dry_run=True)
    names = ", ".join(each.snapshot_name for each in planned)
    context.log.info(f"To remove: {names or 'nothing'}")
    gone = prune_snapshots(platform_db, settings, clock, is_dry_run=False)
    context.log.info(f"Removed {len(gone)} copies of tables")


@dg.job(
    description="Removes backups older than they are kept, never the last good one.",
    tags={"domain": "backups"},
)
def backups_retention_job() -> None:
    """Remove old backups."""
    remove_old_backups()


@dg.job(
    description="Removes copies of tables older than they are kept, never a table's last one.",
    tags={"domain": "backups"},
)
def backups_snapshot_retention_job() -> None:
    """Remove old copies of tables."""
    remove_old_snapshots()
