"""Checks of the backups domain: what was made can be used. Each knows its partition."""

from datetime import date

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.errors import NoDataError
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.assets import (
    database_backup,
    incremental_backup,
    table_snapshots,
)
from batch_platform.domains.backups.models import BackupKind
from batch_platform.domains.backups.store import BackupStore
from batch_platform.domains.backups.table_snapshots import damaged_snapshots, last_week
from batch_platform.domains.backups.verification import verify
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.partitions import checked_day
from batch_platform.orchestration.queues import ON_BACKUP_WORKERS


@dg.asset_check(asset=database_backup, blocking=True, op_tags=ON_BACKUP_WORKERS)
def backup_restores(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """The day's newest backup, restored into a scratch database, holds what its manifest says.

    Or, where BACKUP_CHECK is read, it can be read to its end: cheaper, and it says so.
    """
    return _checked(context, settings, platform_db, clock, [BackupKind.DUMP])


@dg.asset_check(asset=incremental_backup, blocking=True, op_tags=ON_BACKUP_WORKERS)
def incremental_chain_is_whole(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """The day's copy and all that it adds to make a server that starts and can be read.

    Changed days: their Parquet files hold the rows that the manifest says. Where BACKUP_CHECK is
    read, only hashes and the chain's links are compared, and it says so.
    """
    if settings.backups.incremental == "off":
        return dg.AssetCheckResult(passed=True, metadata={"method": "switched off"})
    kinds = [BackupKind.BASE, BackupKind.BASE_INCREMENT, BackupKind.CHANGED_DAYS]
    return _checked(context, settings, platform_db, clock, kinds)


@dg.asset_check(asset=table_snapshots, blocking=True, op_tags=ON_BACKUP_WORKERS)
def table_snapshots_are_as_they_were_taken(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """Each copy of the week holds the rows that were counted when it was taken."""
    week = (
        date.fromisoformat(context.partition_key)
        if context.has_partition_key
        else last_week(clock, settings.platform.zone)
    )
    problems, count = damaged_snapshots(week, platform_db)
    return dg.AssetCheckResult(
        passed=not problems and count > 0,
        metadata={"snapshots": count, "problems": "\n".join(problems) or "none"},
    )


def _checked(
    context: dg.AssetCheckExecutionContext,
    settings: Settings,
    db: PlatformDb,
    clock: Clock,
    kinds: list[BackupKind],
) -> dg.AssetCheckResult:
    day = checked_day(context)
    backup_id = BackupStore(db).newest_of_day(day, kinds)
    if backup_id is None:
        raise NoDataError(f"There is no backup of {day}", "Materialize it first")
    found = verify(backup_id, db=db, settings=settings, clock=clock)
    return dg.AssetCheckResult(
        passed=found.is_good,
        metadata={
            "backup": backup_id,
            "method": found.method,
            "seconds": found.seconds,
            "problems": "\n".join(found.problems) or "none",
        },
    )


backup_checks = [
    backup_restores,
    incremental_chain_is_whole,
    table_snapshots_are_as_they_were_taken,
]
