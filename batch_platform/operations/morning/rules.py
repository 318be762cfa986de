"""How a night stands, which night is the last one, what is usual. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.run_history import RunRow
from batch_platform.operations.incidents.models import Incident, IncidentKind
from batch_platform.operations.morning.models import NightState
from batch_platform.operations.nights import Night, PartitionState

_SOON = timedelta(hours=12)
"""A night whose deadline is further away, and which nobody has begun, is not the last one yet."""

_STATES = {
    PartitionState.DONE: NightState.DONE,
    PartitionState.WAITING: NightState.WAITING,
    PartitionState.LATE: NightState.LATE,
    PartitionState.BEFORE_START: NightState.NOTHING_DUE,
}


def partition_of(deadline: Deadline, due_date: date) -> str:
    """The key of the partition whose deadline is on a day."""
    return (due_date - timedelta(days=deadline.days_after)).isoformat()


def state_of(
    deadline: Deadline,
    night: Night,
    zone: ZoneInfo,
    *,
    first_made: Mapping[str, datetime],
    failed: Iterable[Incident],
    runs: Sequence[RunRow],
) -> NightState:
    """How one night of a deadline stands.

    Args:
        deadline: What was due.
        night: The day of it, as `last_nights` sees it.
        zone: The platform's.
        first_made: Partition → when it was made for the first time.
        failed: Open incidents.
        runs: Of the deadline's job, the newest first.
    """
    partition = partition_of(deadline, night.due_date)
    own_runs = [run for run in runs if run.partition == partition]
    if own_runs and own_runs[0].is_open:
        return NightState.RUNNING
    domain = deadline.asset.partition("/")[0]
    if any(
        (incident.trouble.domain, incident.trouble.partition) == (domain, partition)
        and incident.trouble.kind in {IncidentKind.FAILED, IncidentKind.BUDGET_PASSED}
        for incident in failed
    ):
        return NightState.FAILED
    state = _STATES[night.states[deadline.asset]]
    if state is NightState.DONE and partition in first_made:
        due = deadline.due(date.fromisoformat(partition), zone)
        return NightState.DONE_LATE if first_made[partition] > due else NightState.DONE
    has_failed = bool(own_runs) and own_runs[0].status == "FAILURE"
    is_missing = state in {NightState.WAITING, NightState.LATE}
    return NightState.FAILED if has_failed and is_missing else state


def last_night(
    deadline: Deadline,
    states: Sequence[tuple[date, NightState]],
    now: datetime,
    zone: ZoneInfo,
) -> tuple[date, NightState]:
    """The night that a person means by "last night": the newest that is due soon or has begun.

    Args:
        deadline: What was due.
        states: Day of the deadline and state, the newest first; at least one.
        now: An aware time.
        zone: The platform's.
    """
    newest = states[0]
    day = date.fromisoformat(partition_of(deadline, newest[0]))
    is_far_away = deadline.due(day, zone) - now > _SOON
    if newest[1] is NightState.WAITING and is_far_away and len(states) > 1:
        return states[1]
    return newest


def usual_seconds(runs: Iterable[RunRow], but: str) -> float | None:
    """How long a job usually takes: the median of its last good runs, at least three.

    Args:
        runs: Of the job.
        but: A partition that is compared with it and does not count.
    """
    known = [
        run.seconds
        for run in runs
        if run.status == "SUCCESS" and run.partition != but and run.seconds is not None
    ]
    return median(known) if len(known) >= 3 else None


def seconds_of(runs: Iterable[RunRow], partition: str) -> float | None:
    """How long the last good run of a partition took."""
    return next(
        (run.seconds for run in runs if run.partition == partition and run.status == "SUCCESS"),
        None,
    )


def state_of_run(run: RunRow) -> NightState:
    """How a run of a domain stands of which nothing is due."""
    if run.is_open:
        return NightState.RUNNING
    return NightState.DONE if run.status == "SUCCESS" else NightState.FAILED
