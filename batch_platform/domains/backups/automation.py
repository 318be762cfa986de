"""When backups are made and removed: the domain's jobs, schedules and deadlines."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import time, timedelta

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.backups.assets import database_backup, incremental_backup
from batch_platform.orchestration.deadlines import Deadline
from batch_platform.orchestration.partitions import ZONE_NAME

DEADLINES = (Deadline("backups/database_backup", time(5, 0), 1),)
"""By when a night's backup must be there."""

backups_database_job = dg.define_asset_job(
    "backups_database_job",
    selection=dg.AssetSelection.assets(database_backup),
    description="A dump of every database, proved by a restore.",
    tags={"domain": "backups"},
)

backups_incremental_job = dg.define_asset_job(
    "backups_incremental_job",
    selection=dg.AssetSelection.assets(incremental_backup),
    description="What changed since the copy before; the whole server on Sundays.",
    tags={"domain": "backups"},
)


def backups_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The domain's schedules at the times the settings say."""
    zone = settings.platform.zone

    def yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        due = context.scheduled_execution_time.astimezone(zone)
        day = due.date() - timedelta(days=1)
        return dg.RunRequest(partition_key=day.isoformat(), tags={"due_at": due.isoformat()})

    return [
        dg.ScheduleDefinition(
            name="backups_database_schedule",
            job=backups_database_job,
            cron_schedule=settings.backups.cron,
            execution_timezone=ZONE_NAME,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Backs up every database and proves it by a restore.",
            execution_fn=yesterday,
        ),
        dg.ScheduleDefinition(
            name="backups_incremental_schedule",
            job=backups_incremental_job,
            cron_schedule=settings.backups.incremental_cron,
            execution_timezone=ZONE_NAME,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Copies what changed on the server since the copy before.",
            execution_fn=yesterday,
        ),
    ]
