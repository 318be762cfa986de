"""When backups are made and removed: the domain's jobs, schedules and deadlines."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import time, timedelta

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
from batch_platform.domains.backups.table_snapshots import last_week
from batch_platform.orchestration.partitions import ZONE_NAME
from batch_platform.orchestration.schedules import MAKE_UP_FOR_LATEST

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
    zone = settings.platform.zone

    def yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        due = context.scheduled_execution_time.astimezone(zone)
        day = due.date() - timedelta(days=1)
        return dg.RunRequest(partition_key=day.isoformat(), tags={"due_at": due.isoformat()})

    def week_before(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        due = context.scheduled_execution_time.astimezone(zone)
        week = last_week(lambda: due, zone)
        return dg.RunRequest(partition_key=week.isoformat(), tags={"due_at": due.isoformat()})

    return [
        dg.ScheduleDefinition(
            name="backups_database_schedule",
            job=backups_database_job,
            cron_schedule=settings.backups.cron,
            execution_timezone=ZONE_NAME,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags=MAKE_UP_FOR_LATEST,
            description="Backs up every database and proves it by a restore.",
            execution_fn=yesterday,
        ),
        dg.ScheduleDefinition(
            name="backups_incremental_schedule",
            job=backups_incremental_job,
            cron_schedule=settings.backups.incremental_cron,
            execution_timezone=ZONE_NAME,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags=MAKE_UP_FOR_LATEST,
            description="Copies what changed on the server since the copy before.",
            execution_fn=yesterday,
        ),
        dg.ScheduleDefinition(
            name="backups_snapshots_schedule",
            job=backups_snapshots_job,
            cron_schedule=settings.backups.snapshot_cron,
            execution_timezone=ZONE_NAME,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags=MAKE_UP_FOR_LATEST,
            description="Copies tables within the database.",
            execution_fn=week_before,
        ),
        dg.ScheduleDefinition(
            name="backups_retention_schedule",
            job=backups_retention_job,
            cron_schedule=settings.backups.cleanup_cron,
            execution_timezone=ZONE_NAME,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags=MAKE_UP_FOR_LATEST,
            description="Removes old backups, never the last good one.",
        ),
        dg.ScheduleDefinition(
            name="backups_snapshot_retention_schedule",
            job=backups_snapshot_retention_job,
            cron_schedule=settings.backups.snapshot_cleanup_cron,
            execution_timezone=ZONE_NAME,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags=MAKE_UP_FOR_LATEST,
            description="Removes old copies of tables, never a table's last one.",
        ),
    ]
