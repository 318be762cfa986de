"""Looking after incidents: what is late is reported, what is right again is closed.

Knows Dagster only through `History`, so that it can be tried without one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from batch_platform.core.settings import Settings
from batch_platform.operations.incidents.models import Incident, IncidentKind, Trouble
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.operations.nights import PartitionState, last_nights
from batch_platform.orchestration.deadlines import Deadline

_NIGHTS = 2


class History(Protocol):
    """What was made and what succeeded."""

    def made_partitions(self, asset: str) -> set[str]:
        """Keys of the partitions of an asset that were ever made."""
        ...

    def is_made_since(self, asset: str, partition: str, since: datetime) -> bool:
        """Whether an asset's partition was made after a time."""
        ...

    def has_succeeded_since(self, job: str, partition: str, since: datetime) -> bool:
        """Whether a run of a job on a partition ended well that began after a time."""
        ...

    def is_asset(self, name: str) -> bool:
        """Whether there is such an asset; a check's step has a name like one."""
        ...


def report_late(
    book: IncidentBook,
    deadlines: Sequence[Deadline],
    history: History,
    settings: Settings,
    now: datetime,
) -> int:
    """Open an incident for each partition that is not there in time.

    Returns:
        How many are new.
    """
    zone = settings.platform.zone
    opened = 0
    nights = last_nights(deadlines, history.made_partitions, now=now, zone=zone, count=_NIGHTS)
    for night in nights:
        for deadline in deadlines:
            if night.states[deadline.asset] is not PartitionState.LATE:
                continue
            day = night.due_date - timedelta(days=deadline.days_after)
            due = deadline.due(day, zone)
            opened += book.report(_lateness(deadline, day.isoformat(), due, settings), now)
    return opened


def close_recovered(book: IncidentBook, history: History, now: datetime) -> int:
    """Close each incident whose partition was made since, or whose job succeeded since.

    Returns:
        How many were closed.
    """
    return sum(
        book.recover(incident.incident_id, now)
        for incident in book.open_incidents()
        if _is_right_again(incident, history)
    )


def _is_right_again(incident: Incident, history: History) -> bool:
    trouble = incident.trouble
    if trouble.kind is IncidentKind.LATE:
        return trouble.partition in history.made_partitions(trouble.asset)
    if history.is_asset(trouble.asset):
        return history.is_made_since(trouble.asset, trouble.partition, incident.last_seen_at)
    return history.has_succeeded_since(trouble.job, trouble.partition, incident.last_seen_at)


def _lateness(deadline: Deadline, partition: str, due: datetime, settings: Settings) -> Trouble:
    return Trouble(
        kind=IncidentKind.LATE,
        domain=deadline.asset.partition("/")[0],
        asset=deadline.asset,
        partition=partition,
        job="",
        causes=[f"{due:%m월 %d일 %H:%M}까지 있어야 할 {deadline.asset} {partition}이(가) 없습니다"],
        advice=[
            "실행 기록에서 이 날짜의 실행이 있는지, 기다리는지, 실패했는지 보세요.",
            "실행이 없었다면 웹서버에서 이 날짜를 materialize 하거나 명령으로 다시 실행하세요.",
        ],
        run_id=None,
        is_made_up=settings.is_made_up,
    )
