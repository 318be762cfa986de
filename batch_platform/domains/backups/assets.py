"""The backups domain's assets: thin shells around its workflows."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Any

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.increments import create_increment
from batch_platform.domains.backups.logic import require_last_day
from batch_platform.domains.backups.models import BackupKind, Manifest
from batch_platform.domains.backups.partitions import backup_days
from batch_platform.domains.backups.sources import databases
from batch_platform.domains.backups.workflow import create_dump
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.partitions import partition_day
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.results import markdown_table, materialized, stopwatch
from batch_platform.orchestration.steps import working_on_partition

_OWNERS = ["team:operations"]
_PREFIX = "backups"


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=backup_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"postgresql", "file"},
    tags={"personal_data": "yes"},
)
def database_backup(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One folder with a dump of every database and a manifest of what each held at that moment.

    Written beside its final name and renamed, so a half backup is never seen. Only the last day
    can be made: yesterday's database is gone tomorrow.
    """
    day, seconds = partition_day(context), stopwatch()
    require_last_day(day, clock, settings.platform.zone)
    with working_on_partition(context, platform_db):
        manifest = create_dump(
            day,
            databases(settings, platform_db),
            db=platform_db,
            settings=settings,
            clock=clock,
            progress=progress.for_step(context),
        )
    return _reported(manifest, seconds(), settings)


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=backup_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"postgresql", "file"},
    tags={"personal_data": "yes"},
)
def incremental_backup(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One folder with what changed since the copy before; on Sundays with the whole server.

    Where server or rights do not allow copies of its files: the partitions that were overwritten
    since Sunday's dump, as Parquet.
    """
    day, seconds = partition_day(context), stopwatch()
    require_last_day(day, clock, settings.platform.zone)
    with working_on_partition(context, platform_db):
        manifest = create_increment(
            day,
            db=platform_db,
            settings=settings,
            clock=clock,
            progress=progress.for_step(context),
        )
    return _reported(manifest, seconds(), settings)


def _reported(
    manifest: Manifest | None, seconds: float, settings: Settings
) -> dg.MaterializeResult[Any]:
    """What the webserver shows of a backup."""
    if manifest is None:
        return materialized(
            rows=0,
            seconds=seconds,
            is_made_up=settings.is_made_up,
            details={"note": "Switched off (BACKUP_INCREMENTAL)"},
        )
    return materialized(
        rows=manifest.row_count,
        seconds=seconds,
        is_made_up=settings.is_made_up,
        preview=_preview(manifest),
        details={
            "path": dg.MetadataValue.path(str(settings.backup_folder / manifest.backup_id)),
            "size_bytes": manifest.size_bytes,
            "size_mb": round(manifest.size_bytes / 1e6, 1),
            "kind": str(manifest.kind),
            "note": manifest.note or "none",
            "codec": manifest.codec,
            "program": manifest.program_version,
            "not_included": "\n".join(manifest.not_included),
        },
    )


def _preview(manifest: Manifest) -> str:
    if manifest.kind is BackupKind.CHANGED_DAYS:
        return markdown_table(
            ["table", "partition", "rows"],
            [[each.table, each.where, each.rows] for each in manifest.changed[:20]],
        )
    return markdown_table(
        ["database", "tables", "MB", "dump MB", "seconds"],
        [
            [
                each.name,
                len(each.tables),
                round(each.database_bytes / 1e6, 1),
                round(each.dump_bytes / 1e6, 1),
                each.seconds,
            ]
            for each in manifest.databases
        ],
    )
