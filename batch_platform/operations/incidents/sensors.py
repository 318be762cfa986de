"""The sensors of incidents: a failed run opens one; a watch closes them, and sends.

The message of a failure is written into the outbox with the incident, in one transaction: a mail
server that is down delays it and loses nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    WILL_RETRY_TAG,
)

from batch_platform.core.days import Clock
from batch_platform.core.deadlines import AnyDeadline
from batch_platform.core.settings import Settings
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.step_progress import progress_since
from batch_platform.gateways.webhook import call_heartbeat
from batch_platform.operations.deadline_book import note_deadlines
from batch_platform.operations.deadline_changes import DeadlineChanges
from batch_platform.operations.deadlines_in_force import deadlines_in_force
from batch_platform.operations.failed_steps import failed_step
from batch_platform.operations.incidents.heartbeat import tell_good_days
from batch_platform.operations.incidents.log_tail import log_tail_of
from batch_platform.operations.incidents.lost_retries import (
    PARTITION_TAG,
    report_lost_retries,
    trouble_of,
)
from batch_platform.operations.incidents.outbox import incident_book, send_due
from batch_platform.operations.incidents.verdicts import Verdict, take_verdict
from batch_platform.operations.incidents.watch import (
    JUST_BACK,
    STILL_GOING_ON,
    close_recovered,
    report_at_risk,
    report_late,
    report_missed,
    report_stalled,
    tell_caught_up,
)
from batch_platform.operations.schedules import ScheduleBook

_MOST_VERDICTS = 500
_FIRST_LOOK = timedelta(days=1)


class DagsterHistory:
    """What Dagster's storage knows. Implements `watch.History`."""

    def __init__(self, instance: dg.DagsterInstance, assets: frozenset[str]) -> None:
        self._instance = instance
        self._assets = assets

    def made_partitions(self, asset: str) -> set[str]:
        """Keys of the partitions of an asset that were ever made."""
        return self._instance.get_materialized_partitions(_key(asset))

    def is_made_since(self, asset: str, partition: str, since: datetime) -> bool:
        """Whether an asset's partition was made after a time."""
        found = self._instance.fetch_materializations(
            dg.AssetRecordsFilter(
                _key(asset),
                asset_partitions=[partition] if partition else None,
                after_timestamp=since.timestamp(),
            ),
            limit=1,
        )
        return bool(found.records)

    def has_succeeded_since(self, job: str, partition: str, since: datetime) -> bool:
        """Whether a run of a job on a partition ended well that began after a time."""
        return bool(
            self._instance.get_runs(
                dg.RunsFilter(
                    job_name=job,
                    statuses=[dg.DagsterRunStatus.SUCCESS],
                    tags={PARTITION_TAG: partition} if partition else {},
                    created_after=since,
                ),
                limit=1,
            )
        )

    def is_asset(self, name: str) -> bool:
        """Whether there is such an asset; a check's step has a name like one."""
        return name in self._assets


@dg.run_failure_sensor(
    name="failed_run_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    monitor_all_code_locations=True,
    description="Opens an incident when a run failed and no retry follows.",
)
def failed_run_sensor(
    context: dg.RunFailureSensorContext,
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    platform_db: dg.ResourceParam[PlatformDb],
) -> dg.SkipReason | None:
    """Report one failed run, unless Dagster is going to try it again."""
    run = context.dagster_run
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return dg.SkipReason(f"Run {run.run_id} is tried again")
    steps = [failed_step(event) for event in context.get_step_failure_events()]
    trouble = trouble_of(run, steps, context.failure_event.message or "", settings)
    incident_book(platform_db, settings).report(trouble, clock())
    return None


@dg.sensor(
    name="failed_check_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Opens an incident when a check fails that blocks nothing; a later pass closes it.",
)
def failed_check_sensor(
    context: dg.SensorEvaluationContext,
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
    platform_db: dg.ResourceParam[PlatformDb],
) -> dg.SkipReason:
    """Take in order what checks have said since the last look; at first, of the last day."""
    after = int(context.cursor) if context.cursor else None
    now = clock()
    # The instance's own method is deprecated, and what replaces it knows no checks.
    records = context.instance.event_log_storage.get_event_records(
        dg.EventRecordsFilter(
            dg.DagsterEventType.ASSET_CHECK_EVALUATION,
            after_cursor=after,
            after_timestamp=(now - _FIRST_LOOK).timestamp() if after is None else None,
        ),
        limit=_MOST_VERDICTS,
        ascending=True,
    )
    book = incident_book(platform_db, settings)
    changed = 0
    for record in records:
        verdict = _verdict(context.instance, record)
        if verdict is not None:
            changed += take_verdict(book, verdict, settings, now)
        context.update_cursor(str(record.storage_id))
    return dg.SkipReason(f"Checks: {len(records)} new. Incidents opened or closed: {changed}.")


def _verdict(instance: dg.DagsterInstance, record: dg.EventLogRecord) -> Verdict | None:
    """What a check said; None when its run is gone."""
    run = instance.get_run_by_id(record.run_id)
    if run is None or record.event_log_entry.dagster_event is None:
        return None
    said = record.event_log_entry.dagster_event.asset_check_evaluation_data
    return Verdict(
        asset=said.asset_key.to_user_string(),
        check=said.check_name,
        partition=said.partition or _partition_of(run),
        is_passed=said.passed,
        is_severe=said.severity is dg.AssetCheckSeverity.ERROR,
        is_blocking=bool(said.blocking),
        figures={name: value.value for name, value in said.metadata.items()},
        job=run.job_name,
        run_id=run.run_id,
    )


def _partition_of(run: dg.DagsterRun) -> str:
    """A run's partition, or `first...last` of its range."""
    bounds = (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    wanted = [run.tags[tag] for tag in bounds if tag in run.tags]
    return run.tags.get(PARTITION_TAG) or "...".join(wanted)


def incidents_sensor(deadlines: Sequence[AnyDeadline]) -> dg.SensorDefinition:
    """The sensor that watches over incidents and sends what is to be told.

    Args:
        deadlines: Of every domain; those of a domain that is switched off do not count.
    """

    @dg.sensor(
        name="incidents_sensor",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Finds what is late, closes what has recovered, sends one message a change.",
    )
    def watch(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
        platform_db: dg.ResourceParam[PlatformDb],
        mailer: dg.ResourceParam[Mailer],
    ) -> dg.SkipReason:
        book, now = incident_book(platform_db, settings), clock()
        repository = context.repository_def
        schedules = ScheduleBook(platform_db, clock)
        since = _watching_since(context.cursor, now)
        context.update_cursor(f"{since.isoformat()} {now.isoformat()}")
        keys = repository.asset_graph.get_all_asset_keys() if repository else ()
        history = DagsterHistory(context.instance, frozenset(key.to_user_string() for key in keys))
        counted = deadlines_in_force(
            deadlines, schedules.list(), settings, DeadlineChanges(platform_db).all()
        )
        going_on = progress_since(platform_db, now - STILL_GOING_ON)
        report_at_risk(book, counted, going_on, history, settings, now)
        note_deadlines(platform_db, counted)
        lost = report_lost_retries(context.instance, book, history, settings, now)
        late = report_missed(book, settings, now)
        if report_stalled(book, schedules.watched_until(), since, settings, now):
            late += report_late(book, counted, history, settings, now)
        tell_caught_up(book, settings, now)
        recovered = close_recovered(book, history, now)
        if settings.alerts.escalate_after_hours:
            book.escalate(now, timedelta(hours=settings.alerts.escalate_after_hours))
        log_tail = log_tail_of(context.instance, settings)
        sent = send_due(book, mailer, settings, clock, log_tail)
        in_vain = tell_good_days(
            platform_db, counted, history.made_partitions, settings, now, call_heartbeat
        )
        if in_vain:
            context.log.warning(in_vain)
        return dg.SkipReason(
            f"Late or missed: {late} new. Not launched again: {lost} new."
            f" Recovered: {recovered}. Messages: {sent.sent} sent,"
            f" {sent.failed} to be tried again, {sent.given_up} given up."
        )

    return watch


def _watching_since(cursor: str | None, now: datetime) -> datetime:
    """Since when the sensor looks without a gap; the cursor holds that and its last look."""
    if cursor is None:
        return now
    since, last = map(datetime.fromisoformat, cursor.split())
    return since if now - last <= JUST_BACK else now


def _key(asset: str) -> dg.AssetKey:
    return dg.AssetKey(asset.split("/"))
