"""When a schedule is due, for which partition, and what becomes of missed times. Pure.

A local time that daylight saving leaves out is due when the clocks have gone forward; one that
comes twice is due the first time only. That is what Debian's cron, cronsim and Dagster do.
"""

import calendar
import heapq
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from batch_platform.core.days import day_window, named_zone
from batch_platform.core.errors import PermanentError
from batch_platform.operations.schedules.models import (
    Frequency,
    Job,
    MissedPolicy,
    PartitionRule,
    ScheduleSpec,
)

LONGEST_NAME = 100
DECLARED_SUFFIX = "_schedule"
"""How the names of schedules end that code declares."""

SEVERAL = "|"
"""Between the cron strings of a schedule that has several."""

DOWNTIME = timedelta(minutes=2)
"""A dispatcher that looked at most this long ago was not down: a restart is no missed night."""

ON_TIME = timedelta(seconds=15)
"""After downtime, what is due since this long still counts as on time: one look of the sensor."""

_RULES_OF_PARTITIONS = {
    "none": (PartitionRule.NONE,),
    "daily": (PartitionRule.DAY_BEFORE, PartitionRule.SAME_DAY, PartitionRule.DAY_AFTER),
    "monthly": (PartitionRule.MONTH_BEFORE,),
}
"""Which rules suit a job, the default first."""


def due_times(spec: ScheduleSpec, after: datetime) -> Iterator[datetime]:
    """Yield the times, in UTC, at which a schedule is due after `after`, in strict order."""
    zone = ZoneInfo(spec.timezone)
    moments = _cron_moments if spec.frequency == Frequency.CRON else _calendar_moments
    last = after
    for moment in moments(spec, after.astimezone(zone), zone):
        # Times left out by the clocks can fall together.
        if moment > last:
            last = moment
            yield moment


def next_due(spec: ScheduleSpec, now: datetime) -> datetime | None:
    """The first time after now; None of an inactive schedule."""
    return next(due_times(spec, now), None) if spec.is_active else None


def action(before: ScheduleSpec, after: ScheduleSpec) -> str:
    """What an edit did: `paused`, `resumed` or `edited`."""
    if before.is_active == after.is_active:
        return "edited"
    return "resumed" if after.is_active else "paused"


def partition_for(rule: PartitionRule, due_at: datetime, zone: ZoneInfo | None) -> str:
    """The partition that a due time stands for; empty without partitions.

    Args:
        rule: Of the schedule.
        due_at: When it was due.
        zone: Of the job's partitions: a day is over there, not where the schedule's clock hangs.
    """
    if rule is PartitionRule.NONE:
        return ""
    day = due_at.astimezone(zone or UTC).date()
    match rule:
        case PartitionRule.DAY_BEFORE:
            day -= timedelta(days=1)
        case PartitionRule.DAY_AFTER:
            day += timedelta(days=1)
        case PartitionRule.MONTH_BEFORE:
            day = (day.replace(day=1) - timedelta(days=1)).replace(day=1)
        case PartitionRule.SAME_DAY:
            pass
    return day.isoformat()


def is_missed(due_at: datetime, now: datetime, caught_up_at: datetime | None) -> bool:
    """Whether the platform was down at a due time.

    Args:
        due_at: When it was due.
        now: When a dispatcher looks at it.
        caught_up_at: Until when due times had been noted before; None: never yet.
    """
    was_down = caught_up_at is None or now - caught_up_at > DOWNTIME
    return was_down and due_at < now - ON_TIME


def passed_over(times: Sequence[tuple[datetime, bool]], policy: MissedPolicy) -> set[datetime]:
    """The missed times that are not made up for.

    Args:
        times: (due time, whether it was missed), the oldest first, up to the present.
        policy: Of the schedule.
    """
    missed = [due_at for due_at, was_missed in times if was_missed]
    match policy:
        case MissedPolicy.ALL:
            return set()
        case MissedPolicy.SKIP:
            return set(missed)
        case MissedPolicy.LATEST:
            return {due_at for due_at in missed if due_at != times[-1][0]}


def stood_for(times: Sequence[tuple[datetime, bool, str]]) -> set[datetime]:
    """The missed times whose partition a later time makes: a day is made up for once.

    Args:
        times: (due time, whether it was missed, partition) of what asks for a run, the oldest
            first; an empty partition stands for itself.
    """
    later: set[str] = set()
    found: set[datetime] = set()
    for due_at, was_missed, partition in reversed(times):
        if was_missed and partition in later:
            found.add(due_at)
        if partition:
            later.add(partition)
    return found


def completed(spec: ScheduleSpec, job: Job) -> ScheduleSpec:
    """The specification with its partition rule filled in.

    Raises:
        PermanentError: A value makes no sense; the sentence says which and what would.
    """
    require_sense(spec)
    suiting = _RULES_OF_PARTITIONS.get(job.partitions, ())
    if not suiting:
        raise PermanentError(
            f"The partitions of {job.name} are no days or months, so no time stands for one",
            "Run it by hand, or by a sensor of its domain",
        )
    rule = spec.partition_rule or suiting[0]
    if rule not in suiting:
        raise PermanentError(
            f"The partition rule {rule} does not suit {job.name}, whose partitions are"
            f" {job.partitions}",
            f"Use {', '.join(suiting)}",
        )
    return replace(spec, partition_rule=rule)


def require_sense(spec: ScheduleSpec) -> None:
    """Refuse a specification that could not be kept, whatever the job.

    Raises:
        PermanentError: A value makes no sense; the sentence says which and what would.
    """
    if not spec.name.strip() or len(spec.name) > LONGEST_NAME:
        raise PermanentError(f"A schedule's name has 1 to {LONGEST_NAME} characters")
    if spec.name.endswith(DECLARED_SUFFIX):
        raise PermanentError(
            f"Names that end in {DECLARED_SUFFIX} belong to schedules that code declares",
            "Use another name",
        )
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in spec.name):
        raise PermanentError(f"The schedule's name {spec.name!r} has characters that are no text")
    for what, value, lowest, highest in (
        ("hour", spec.hour, 0, 23),
        ("minute", spec.minute, 0, 59),
        ("weekday", spec.weekday, 1, 7),
        ("day", spec.day, 1, 31),
    ):
        if not lowest <= value <= highest:
            raise PermanentError(f"The {what} is from {lowest} to {highest}, not {value}")
    _require_zone(spec.timezone)
    if (spec.frequency == Frequency.CRON) != bool(spec.cron):
        raise PermanentError(
            "A cron schedule needs a cron string, and no other has one",
            "Give both, like cron and 0 9 * * 1-5, or neither",
        )
    if spec.cron:
        _require_cron(spec.cron)


def _require_zone(name: str) -> None:
    try:
        named_zone(name)
    except ValueError as error:
        raise PermanentError(str(error)) from None


def _require_cron(several: str) -> None:
    for text in several.split(SEVERAL):
        try:
            first = next(CronSim(text.strip(), datetime(2026, 1, 1, tzinfo=UTC)), None)
        except CronSimError:
            first = None
        if len(text.split()) != 5 or first is None:
            raise PermanentError(
                f"{text!r} is no cron string that is ever due",
                "Write minute, hour, day, month and weekday, like 0 9 * * 1-5",
            )


def _calendar_moments(spec: ScheduleSpec, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    day = after.date() - timedelta(days=1)
    while True:
        if _is_day_of(spec, day) and _exists(day, zone):
            yield _moment(day, time(spec.hour, spec.minute), zone)
        day += timedelta(days=1)


def _is_day_of(spec: ScheduleSpec, day: date) -> bool:
    match spec.frequency:
        case Frequency.WEEKLY:
            return day.isoweekday() == spec.weekday
        case Frequency.MONTHLY:
            last = calendar.monthrange(day.year, day.month)[1]
            return day.day == min(spec.day, last)
        case _:
            return True


def _exists(day: date, zone: ZoneInfo) -> bool:
    """Whether a zone had that day: Samoa went from 29 to 31 December 2011."""
    start, end = day_window(day, zone)
    return start < end


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The moment of a local time; if the clocks leave it out, the first one after the gap."""
    local = datetime.combine(day, at, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # In a gap, the offset before it gives a moment after it, and the offset after it one before.
    before = local.replace(fold=1).astimezone(UTC)
    return _first_after_gap(before, moment, zone)


def _first_after_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find, to the second, where a zone's offset changes between two moments."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _cron_moments(spec: ScheduleSpec, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    del zone  # the time it starts from has it
    each = [CronSim(text.strip(), after) for text in spec.cron.split(SEVERAL)]
    for moment in heapq.merge(*each):
        yield moment.astimezone(UTC)
