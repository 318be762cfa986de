"""When backups are made and removed: the domain's jobs, schedules and deadlines."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import time

import dagster as dg

from batch_platform.core.deadlines import Deadline
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.assets import (
    backup_copies,
    database_backup,
    incremental_backup,
    table_snapshots,
)
from batch_platform.domains.backups.jobs import (
    backups_retention_job,
    backups_snapshot_retention_job,
)
from batch_platform.domains.backups.table_snapshots import snapshot_week_before
from batch_platform.orchestration.schedules import (
    MAKE_UP_FOR_LATEST,
    day_before,
    declared_schedule,
)

DEADLINES = (Deadline("backups/database_backup", time(5, 0), 1, job="backups_database_job"),)
"""By when a night's backup must be there."""

backups_database_job = dg.define_asset_job(
    "backups_database_job",
    selection=dg.AssetSelection.assets(database_backup, backup_copies),
    description="A dump of every database, proved by a restore, and copied elsewhere.",
    tags={"domain": "backups"},
)

backups_incremental_job = dg.define_asset_job(
    "backups_incremental_job",
    selection=dg.AssetSelection.assets(incremental_backup),
    description="What changed since the copy before; the whole server on Sundays.",
    tags={"domain": "backups"},
)

backups_snapshots_job = dg.define_asset_job(
    "backups_snapshots_job",
    selection=dg.AssetSelection.assets(table_snapshots),
    description="Copies of tables within the database, of one moment.",
    tags={"domain": "backups"},
)

JOBS = (
    backups_database_job,
    backups_incremental_job,
    backups_snapshots_job,
    backups_retention_job,
    backups_snapshot_retention_job,
)


def backups_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The domain's schedules at the times the settings say."""
    backups = settings.backups
    return [
        declared_schedule(
            backups_database_job,
            backups.cron,
            description="Backs up every database and proves it by a restore.",
            missed=MAKE_UP_FOR_LATEST,
            partition=day_before,
        ),
        declared_schedule(
            backups_incremental_job,
            backups.incremental_cron,
            description="Copies what changed on the server since the copy before.",
            missed=MAKE_UP_FOR_LATEST,
            partition=day_before,
        ),
        declared_schedule(
            backups_snapshots_job,
            backups.snapshot_cron,
            description="Copies tables within the database.",
            missed=MAKE_UP_FOR_LATEST,
            partition=snapshot_week_before,
        ),
        declared_schedule(
            backups_retention_job,
            backups.cleanup_cron,
            description="Removes old backups, never the last good one.",
            missed=MAKE_UP_FOR_LATEST,
        ),
        declared_schedule(
            backups_snapshot_retention_job,
            backups.snapshot_cleanup_cron,
            description="Removes old copies of tables, never a table's last one.",
            missed=MAKE_UP_FOR_LATEST,
        ),
    ]
