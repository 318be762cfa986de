"""Which deadlines count now: of domains that are switched on, after schedules that are active."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from batch_platform.core.deadlines import AnyDeadline, Deadline, DeadlineAfterSchedule
from batch_platform.core.settings import Settings
from batch_platform.operations.deadline_changes import DeadlineChange
from batch_platform.operations.schedules import Frequency, PartitionRule, Schedule
from batch_platform.operations.schedules.rules import due_times, partition_for

_NO_CHANGES: Mapping[str, DeadlineChange] = {}


def deadlines_in_force(
    declared: Sequence[AnyDeadline],
    schedules: Sequence[Schedule],
    settings: Settings,
    changes: Mapping[str, DeadlineChange] = _NO_CHANGES,
) -> list[Deadline]:
    """The deadlines that count, those after schedules at the time that their row says.

    Args:
        declared: Of every domain.
        schedules: All that are not deleted.
        settings: Which domains are switched on, and the zone.
        changes: Asset key → what people set in place of what is declared.
    """
    counted = [each for each in declared if settings.is_on(each.asset.partition("/")[0])]
    found: list[Deadline] = []
    for each in counted:
        if isinstance(each, Deadline):
            found.append(each)
        else:
            following = [
                deadline
                for schedule in schedules
                if (deadline := _after(each, schedule, settings.platform.zone))
            ]
            # Whichever schedule comes first makes the partition.
            found += sorted(following, key=lambda deadline: deadline.at)[:1]
    return [
        changed
        for each in found
        if (changed := _changed(each, changes.get(each.asset))) is not None
    ]


def _changed(deadline: Deadline, change: DeadlineChange | None) -> Deadline | None:
    if change is None:
        return deadline
    if change.at is None or change.days_after is None:
        return None
    return replace(deadline, at=change.at, days_after=change.days_after)


def _after(declared: DeadlineAfterSchedule, schedule: Schedule, zone: ZoneInfo) -> Deadline | None:
    spec = schedule.spec
    is_daily = spec.frequency is Frequency.DAILY and spec.is_active
    if spec.job != declared.job or not is_daily or schedule.deleted_at is not None:
        return None
    rule = spec.partition_rule
    if rule is None or rule is PartitionRule.NONE:
        return None
    # What was due before the last change was another schedule's affair.
    first_due = next(due_times(spec, schedule.updated_at))
    first_day = date.fromisoformat(partition_for(rule, first_due, zone))
    due = (first_due + declared.after).astimezone(zone)
    made_by = Deadline(declared.asset, due.time(), (due.date() - first_day).days, job=declared.job)
    return replace(made_by, first_day=first_day)
