"""Looking after incidents: what is late is reported, what is right again is closed.

Knows Dagster only through `History`, so that it can be tried without one.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from batch_platform.core.deadlines import Deadline
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db.step_progress import StepProgress
from batch_platform.operations.incidents.messages import advice_after, summary_of
from batch_platform.operations.incidents.models import (
    CatchUp,
    Incident,
    IncidentKind,
    Missed,
    Trouble,
)
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.operations.nights import PartitionState, last_nights
from batch_platform.operations.schedules.rules import DOWNTIME

_NIGHTS = 2
_MISSED_SINCE = timedelta(days=2)
_PATIENCE = timedelta(hours=3)
"""While missed nights are made up for, nobody is told this long that they are late."""

STILL_GOING_ON = timedelta(minutes=2)
"""A step that said nothing for longer is over, or hangs, which its deadline will tell."""

_LONG_ENOUGH = timedelta(seconds=60)
"""The rate of the first minute says little."""

JUST_BACK = timedelta(minutes=3)
"""A watch that began this long ago does not say that the schedules are not looked after."""


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
    catch_ups = book.catch_ups_since(now - timedelta(days=_NIGHTS + 1))
    nights = last_nights(deadlines, history.made_partitions, now=now, zone=zone, count=_NIGHTS)
    for night in nights:
        for deadline in deadlines:
            if night.states[deadline.asset] is not PartitionState.LATE:
                continue
            day = night.due_date - timedelta(days=deadline.days_after)
            due = deadline.due(day, zone)
            if any(_tells_of(each, due, now) for each in catch_ups):
                continue
            opened += book.report(_lateness(deadline, day.isoformat(), due, settings), now)
    return opened


def report_at_risk(
    book: IncidentBook,
    deadlines: Sequence[Deadline],
    going_on: Sequence[StepProgress],
    history: History,
    settings: Settings,
    now: datetime,
) -> int:
    """Open an incident for each partition that at the rate it goes will not be there in time.

    A step counts for its domain's deadlines of the same partition: what comes after it comes later.

    Returns:
        How many are new.
    """
    opened = 0
    for step in going_on:
        ends_at = step.ends_at
        if ends_at is None or step.told_at - step.began_at < _LONG_ENOUGH:
            continue
        for deadline in deadlines:
            if deadline.asset.partition("/")[0] != step.asset.partition("/")[0]:
                continue
            due = _due_of(deadline, step.partition, settings)
            if due is None or not now < due < ends_at:
                continue
            if step.partition not in history.made_partitions(deadline.asset):
                opened += book.report(_risk(deadline, step, due, ends_at, settings), now)
    return opened


def _due_of(deadline: Deadline, partition: str, settings: Settings) -> datetime | None:
    try:
        return deadline.due(date.fromisoformat(partition), settings.platform.zone)
    except ValueError:
        return None  # no day: a month's or a batch's partition


def report_missed(book: IncidentBook, settings: Settings, now: datetime) -> int:
    """Open an incident for each time for which no run could be launched.

    Returns:
        How many are new.
    """
    return sum(
        book.report(_missing(each, settings), now, occurrence_id=each.occurrence_id)
        for each in book.missed(now - _MISSED_SINCE)
    )


def tell_caught_up(book: IncidentBook, settings: Settings, now: datetime) -> int:
    """Write one message about each time of being down whose missed times have all ended.

    Returns:
        How many.
    """
    zone = settings.platform.zone
    return sum(
        book.tell_caught_up(
            each.catch_up_id,
            Trouble(
                kind=IncidentKind.CAUGHT_UP,
                domain="",
                asset="",
                partition="",
                job="",
                causes=summary_of(each, zone),
                advice=advice_after(each),
                run_id=None,
                is_made_up=settings.is_made_up,
            ),
            now,
        )
        for each in book.catch_ups_to_tell()
    )


def report_stalled(
    book: IncidentBook,
    seen_at: datetime | None,
    watching_since: datetime,
    settings: Settings,
    now: datetime,
) -> bool:
    """Open an incident when nobody looks after the schedules; close it when somebody does.

    Args:
        book: The incidents.
        seen_at: When somebody last looked after them; None: never yet.
        watching_since: Since when this watch goes on without a gap.
        settings: Whether things are made up.
        now: The present.

    Returns:
        Whether it is known what is late: not while the platform has just come back.
    """
    if seen_at is not None and now - seen_at <= DOWNTIME:
        for incident in book.open_incidents():
            if incident.trouble.kind is IncidentKind.STALLED:
                book.recover(incident.incident_id, now)
        return True
    if now - watching_since < JUST_BACK:
        return False
    book.report(_stall(seen_at, settings), now)
    return True


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
    if trouble.kind in {IncidentKind.LATE, IncidentKind.AT_RISK}:
        return trouble.partition in history.made_partitions(trouble.asset)
    if trouble.kind in {IncidentKind.STALLED, IncidentKind.CHECK_FAILED}:
        return False  # decided where it is seen
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


def _tells_of(catch_up: CatchUp, due: datetime, now: datetime) -> bool:
    """Whether the one message after downtime tells of what was due then, made or left out."""
    if catch_up.down_from <= due <= catch_up.back_at:
        return True
    is_going_on = catch_up.ended_at is None and now - catch_up.back_at <= _PATIENCE
    return is_going_on and due >= catch_up.down_from


def _risk(
    deadline: Deadline, step: StepProgress, due: datetime, ends_at: datetime, settings: Settings
) -> Trouble:
    ending = ends_at.astimezone(settings.platform.zone)
    return Trouble(
        kind=IncidentKind.AT_RISK,
        domain=deadline.asset.partition("/")[0],
        asset=deadline.asset,
        partition=step.partition,
        job=deadline.job,
        causes=[
            f"{step.asset}이(가) {step.done:,}/{step.total:,}까지 왔고, 이 속도면"
            f" {ending:%m월 %d일 %H:%M}에 끝나 마감 {due:%H:%M}을 넘깁니다"
        ],
        advice=[
            "모델이나 원천이 느린지 보세요. 동시에 부르는 수를 늘리면 다음 실행부터 빨라집니다.",
            "늦어도 되는 날이면 그대로 두세요. 끝나면 저절로 닫힙니다.",
        ],
        run_id=step.run_id,
        is_made_up=settings.is_made_up,
    )


def _missing(missed: Missed, settings: Settings) -> Trouble:
    due = missed.due_at.astimezone(settings.platform.zone)
    who = missed.schedule or "요청한 실행"
    return Trouble(
        kind=IncidentKind.MISSED,
        domain=missed.job.partition("_")[0],
        asset="",
        partition=missed.partition,
        job=missed.job,
        causes=[f"{due:%m월 %d일 %H:%M}의 {who}을(를) 시작하지 못했습니다: {missed.reason}"],
        advice=[
            "적힌 이유를 고치세요: batch-platform schedules list, schedules edit.",
            "그 날짜가 필요하면 웹서버에서 작업을 그 날짜로 실행하세요. 성공하면 닫힙니다.",
        ],
        run_id=None,
        is_made_up=settings.is_made_up,
    )


def _stall(seen_at: datetime | None, settings: Settings) -> Trouble:
    since = (
        f"{seen_at.astimezone(settings.platform.zone):%m월 %d일 %H:%M}부터" if seen_at else "아직"
    )
    return Trouble(
        kind=IncidentKind.STALLED,
        domain="",
        asset="",
        partition="",
        job="dispatcher_sensor",
        causes=[f"{since} 아무도 예약을 돌보지 않습니다: 지금은 어떤 밤도 시작되지 않습니다"],
        advice=[
            "웹서버의 Automation에서 dispatcher_sensor가 꺼져 있으면 켜세요.",
            "켜져 있으면 그 화면의 실패한 tick과 logs/daemon.log의 마지막 줄을 보세요.",
        ],
        run_id=None,
        is_made_up=settings.is_made_up,
    )
