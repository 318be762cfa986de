"""When the fortunes domain runs by itself: its job, its schedule, and what tries again."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import date, datetime, time, timedelta

import dagster as dg

from batch_platform.core.days import Clock, today
from batch_platform.core.deadlines import Deadline
from batch_platform.core.settings import Settings
from batch_platform.domains.fortunes.assets import (
    daily_fortunes,
    eligible_users,
    natal_charts,
    published_fortunes,
)
from batch_platform.domains.fortunes.store import FortuneStore
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.schedules import MAKE_UP_FOR_LATEST, declared_schedule

DEADLINES = (
    Deadline("fortunes/published_fortunes", time(23, 50), days_after=-1, job="fortunes_night_job"),
)
"""By when every user's fortune of tomorrow must be there."""

_SECONDS_BETWEEN_LOOKS = 60
_RUNNING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)

fortunes_night_job = dg.define_asset_job(
    "fortunes_night_job",
    selection=dg.AssetSelection.assets(
        eligible_users, natal_charts, daily_fortunes, published_fortunes
    ),
    description="A day's fortunes: users read, charts computed, written, published in the app.",
    tags={"domain": "fortunes"},
)

_SWITCHED_OFF = "DATABASE_URL is not set: the fortunes are switched off"


def fortunes_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The domain's schedule at the time the settings say."""
    return [
        declared_schedule(
            fortunes_night_job,
            settings.fortunes.cron_schedule,
            description="Makes tomorrow's fortunes.",
            missed=MAKE_UP_FOR_LATEST,
            partition=lambda due: due + timedelta(days=1),
            switched_off=_SWITCHED_OFF if settings.fortunes.database_url is None else "",
        )
    ]


@dg.sensor(
    job=fortunes_night_job,
    minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs today's and tomorrow's fortunes again when failed users are due.",
)
def fortunes_retry_sensor(
    context: dg.SensorEvaluationContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run a day that has failed users whose next attempt is due."""
    if settings.fortunes.database_url is None:
        return dg.SkipReason(_SWITCHED_OFF)
    now = clock()
    current = today(clock, settings.platform.zone)
    days = [current, current + timedelta(days=1)]
    due = FortuneStore(platform_db).days_with_retries_due(days, now)
    idle = [day for day in due if not _is_running(context.instance, day)]
    if not idle:
        return dg.SkipReason("No failed user is due for another attempt.")
    return dg.SensorResult(run_requests=[_retry(day, now) for day in idle])


def _retry(day: date, now: datetime) -> dg.RunRequest:
    # A run that changes nothing is asked for again only after some minutes.
    attempt = int(now.timestamp() // timedelta(minutes=5).total_seconds())
    return dg.RunRequest(run_key=f"{day} {attempt}", partition_key=day.isoformat())


def _is_running(instance: dg.DagsterInstance, day: date) -> bool:
    filters = dg.RunsFilter(
        job_name=fortunes_night_job.name,
        statuses=list(_RUNNING),
        tags={"dagster/partition": day.isoformat()},
    )
    return bool(instance.get_run_ids(filters, limit=1))
