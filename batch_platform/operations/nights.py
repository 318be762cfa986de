"""What became of the last nights: which partition was due when, and whether it is there.

Pure but for the one question to Dagster, which partitions were made. What is due is said by the
domains' deadlines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from batch_platform.core.deadlines import Deadline

MadePartitions = Callable[[str], set[str]]
"""Asset key `group/name` → keys of the partitions that were ever made."""


class PartitionState(StrEnum):
    """How a due partition stands."""

    DONE = "done"
    WAITING = "waiting"
    LATE = "late"
    BEFORE_START = "before start"


@dataclass(frozen=True, slots=True)
class Night:
    """What was due within one calendar day.

    Attributes:
        due_date: The day of the deadlines.
        states: Asset key → state of the partition that was due.
    """

    due_date: date
    states: Mapping[str, PartitionState]


def last_nights(
    deadlines: Sequence[Deadline],
    made_partitions: MadePartitions,
    *,
    now: datetime,
    zone: ZoneInfo,
    count: int,
) -> list[Night]:
    """The last nights, the newest first, today's deadlines included.

    Args:
        deadlines: Of the domains that are switched on.
        made_partitions: Looks up what was made.
        now: An aware time.
        zone: In which a partition is a day.
        count: How many nights.
    """
    made = {deadline.asset: made_partitions(deadline.asset) for deadline in deadlines}
    today = now.astimezone(zone).date()
    return [
        Night(
            due_date,
            {
                deadline.asset: _state(deadline, due_date, made[deadline.asset], now, zone)
                for deadline in deadlines
            },
        )
        for due_date in (today - timedelta(days=age) for age in range(count))
    ]


def _state(
    deadline: Deadline, due_date: date, made: set[str], now: datetime, zone: ZoneInfo
) -> PartitionState:
    day = due_date - timedelta(days=deadline.days_after)
    if day.isoformat() in made:
        return PartitionState.DONE
    if deadline.first_day is not None and day < deadline.first_day:
        return PartitionState.BEFORE_START
    if now <= deadline.due(day, zone):
        return PartitionState.WAITING
    # Before its first partition nobody expected any; while there is none, today's is missed.
    if deadline.first_day is not None:
        return PartitionState.LATE
    is_expected = min(made) < day.isoformat() if made else due_date == now.astimezone(zone).date()
    return PartitionState.LATE if is_expected else PartitionState.BEFORE_START
