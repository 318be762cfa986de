"""When the chats domain runs by itself: its jobs and their schedules."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import time, timedelta

import dagster as dg

from batch_platform.core.deadlines import Deadline
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.assets import (
    classifications,
    published_keywords,
    raw_chats,
    report,
    report_archive,
    report_mail,
)
from batch_platform.orchestration.partitions import ZONE_NAME
from batch_platform.orchestration.schedules import MAKE_UP_FOR_ALL

DEADLINES = (Deadline("chats/report", time(7), job="chats_night_job"),)
"""By when the night must be done."""

chats_night_job = dg.define_asset_job(
    "chats_night_job",
    selection=dg.AssetSelection.assets(
        raw_chats, classifications, report, report_mail, published_keywords
    ),
    description="A day's chats: read, classified, reported, mailed and published.",
    tags={"domain": "chats"},
)

chats_archive_job = dg.define_asset_job(
    "chats_archive_job",
    selection=dg.AssetSelection.assets(report_archive),
    description="A month's workbooks in one archive.",
    tags={"domain": "chats"},
)

_SWITCHED_OFF = dg.SkipReason("ENGINE_FOR_SQLALCHEMY is not set: the chats are switched off")


def chats_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The domain's schedules at the times the settings say."""

    @dg.schedule(
        name="chats_night_schedule",
        job=chats_night_job,
        cron_schedule=settings.chats.cron_schedule,
        execution_timezone=ZONE_NAME,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        tags=MAKE_UP_FOR_ALL,
        description="Classifies yesterday's chats.",
    )
    def chats_night_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        if settings.chats.engine is None:
            return _SWITCHED_OFF
        due = context.scheduled_execution_time.astimezone(settings.platform.zone)
        day = due.date() - timedelta(days=1)
        run_config = dg.RunConfig(
            {"chats__report_mail": {"config": {"send": settings.chats.cron_email}}}
        )
        return dg.RunRequest(
            partition_key=day.isoformat(),
            run_config=run_config.to_config_dict(),
            tags={"due_at": due.isoformat()},
        )

    @dg.schedule(
        name="chats_archive_schedule",
        job=chats_archive_job,
        cron_schedule="0 4 1 * *",
        execution_timezone=ZONE_NAME,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        tags=MAKE_UP_FOR_ALL,
        description="Archives last month's workbooks.",
    )
    def chats_archive_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        if settings.chats.engine is None:
            return _SWITCHED_OFF
        due = context.scheduled_execution_time.astimezone(settings.platform.zone)
        month = (due.date().replace(day=1) - timedelta(days=1)).replace(day=1)
        return dg.RunRequest(partition_key=month.isoformat(), tags={"due_at": due.isoformat()})

    return [chats_night_schedule, chats_archive_schedule]
