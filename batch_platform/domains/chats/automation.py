"""When the chats domain runs by itself: its jobs and their schedules."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Mapping
from datetime import time
from typing import Any

import dagster as dg

from batch_platform.core.days import month_before, week_before
from batch_platform.core.deadlines import Deadline
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.assets import (
    classifications,
    monthly_review,
    published_keywords,
    raw_chats,
    report,
    report_archive,
    report_mail,
    weekly_review,
)
from batch_platform.orchestration.schedules import (
    MAKE_UP_FOR_ALL,
    MAKE_UP_FOR_LATEST,
    day_before,
    declared_schedule,
)

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

chats_weekly_review_job = dg.define_asset_job(
    "chats_weekly_review_job",
    selection=dg.AssetSelection.assets(weekly_review),
    description="Which days and questions of a week are missing.",
    tags={"domain": "chats"},
)

chats_monthly_review_job = dg.define_asset_job(
    "chats_monthly_review_job",
    selection=dg.AssetSelection.assets(monthly_review),
    description="How complete a month and its archive are.",
    tags={"domain": "chats"},
)

JOBS = (chats_night_job, chats_archive_job, chats_weekly_review_job, chats_monthly_review_job)


def chats_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The domain's schedules at the times the settings say."""
    chats = settings.chats
    off = (
        "ENGINE_FOR_SQLALCHEMY is not set: the chats are switched off"
        if chats.engine is None
        else ""
    )
    return [
        declared_schedule(
            chats_night_job,
            chats.cron_schedule,
            description="Classifies yesterday's chats.",
            missed=MAKE_UP_FOR_ALL,
            partition=day_before,
            run_config=_mailing("report_mail", chats.cron_email),
            switched_off=off,
        ),
        declared_schedule(
            chats_archive_job,
            "0 4 1 * *",
            description="Archives last month's workbooks.",
            missed=MAKE_UP_FOR_ALL,
            partition=month_before,
            switched_off=off,
        ),
        declared_schedule(
            chats_weekly_review_job,
            chats.week_cron,
            description="Looks for what is missing in the last week, and mails it.",
            missed=MAKE_UP_FOR_LATEST,
            partition=week_before,
            run_config=_mailing("weekly_review", chats.cron_email),
            switched_off=off,
        ),
        declared_schedule(
            chats_monthly_review_job,
            chats.month_cron,
            description="Looks for what is missing in the last month and its archive; mails both.",
            missed=MAKE_UP_FOR_ALL,
            partition=month_before,
            run_config=_mailing("monthly_review", chats.cron_email),
            switched_off=off,
        ),
    ]


def _mailing(asset: str, is_wanted: bool) -> Mapping[str, Any]:
    return {"ops": {f"chats__{asset}": {"config": {"send": is_wanted}}}}
