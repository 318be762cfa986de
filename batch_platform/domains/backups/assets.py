"""The backups domain's assets: thin shells around its workflows."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Any

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.copies import copy_good_backups
from batch_platform.domains.backups.increments import create_increment
from batch_platform.domains.backups.logic import require_last_day
from batch_platform.domains.backups.models import BackupKind, Manifest
from batch_platform.domains.backups.partitions import backup_days, snapshot_weeks
from batch_platform.domains.backups.sources import databases
from batch_platform.domains.backups.table_snapshots import take_snapshots
from batch_platform.domains.backups.workflow import create_dump
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.partitions import partition_day
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.queues import ON_BACKUP_WORKERS
from batch_platform.orchestration.results import (
    markdown_table,
    materialized,
    stopwatch,
    table_metadata,
)
from batch_platform.orchestration.steps import working_on_partition

_OWNERS = ["team:operations"]
_PREFIX = "backups"


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=backup_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    op_tags=ON_BACKUP_WORKERS,
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
    op_tags=ON_BACKUP_WORKERS,
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


@dg.asset(
    key_prefix=_PREFIX,
    deps=[database_backup],
    partitions_def=backup_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    op_tags=ON_BACKUP_WORKERS,
    kinds={"file", "s3"},
    tags={"personal_data": "yes"},
)
def backup_copies(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One folder per good backup in another place, each file read back there and compared.

    All good backups that are not there yet are copied, so a night without a network is made up for.
    Without BACKUP_COPY_URL nothing is copied.
    """
    seconds = stopwatch()
    with working_on_partition(context, platform_db):
        copied = copy_good_backups(settings, progress.for_step(context))
    return materialized(
        rows=len(copied.backup_ids),
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={
            "note": copied.note,
            "size_bytes": copied.size_bytes,
            "backups": "\n".join(copied.backup_ids) or "none",
        },
    )


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=snapshot_weeks,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    op_tags=ON_BACKUP_WORKERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "backups.table_snapshots",
        {
            "snapshot_name": ("text", "The copy's name in the schema snapshots"),
            "week": ("date", "Sunday that names the week it closes"),
            "source_schema": ("text", "Schema of the table it is a copy of"),
            "source_table": ("text", "The table it is a copy of"),
            "taken_at": ("timestamptz", "When; the same for all of a week"),
            "row_count": ("bigint", "Rows in the copy"),
            "checksum": ("text", "Sum of the rows' 64-bit hashes"),
            "method": (
                "text",
                "How a row was hashed: columns; once record or text",
            ),
            "size_bytes": ("bigint", "What the copy takes"),
            "seconds": ("double precision", "How long copying and counting took"),
            "is_made_up": ("boolean", "Whether the rows are the sandbox's"),
        },
    ),
)
def table_snapshots(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One row per copy of a table that was taken at the end of the week, within the database.

    All copies are of the same moment. A rerun takes another set; none replaces an older one.
    """
    week, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        taken = take_snapshots(week, db=platform_db, settings=settings, clock=clock)
    return materialized(
        rows=len(taken.snapshots),
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=markdown_table(
            ["snapshot", "rows", "MB"],
            [
                [each.snapshot_name, each.row_count, round(each.size_bytes / 1e6, 1)]
                for each in taken.snapshots
            ],
        ),
        details={"tables_not_there": ", ".join(taken.missing) or "none"},
    )


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
