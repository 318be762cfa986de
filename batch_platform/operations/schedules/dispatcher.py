"""Due times into occurrences, occurrences into runs that are to be asked for. Knows no Dagster.

Each function here can be cut off at any statement and called again: nothing is lost, nothing is
done twice. Why: docs/adr/0004-occurrences.md.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, islice
from typing import Protocol
from zoneinfo import ZoneInfo

import psycopg

from batch_platform.core.days import Clock
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.schedules import rules, store
from batch_platform.operations.schedules.models import (
    Asked,
    DeclaredSchedule,
    Frequency,
    Job,
    MissedPolicy,
    Occurrence,
    OccurrenceStatus,
    PartitionRule,
    Schedule,
    ScheduleSpec,
)

MOST_AT_ONCE = 3
"""Missed times of one schedule, and partitions of one request, that run at the same time."""

MOST_ASKED_FOR = 20
"""Runs that one look asks for: Dagster makes them one after the other, before the next look."""

LEASE = timedelta(seconds=60)
"""After it, a run that was asked for and is nowhere is asked for again."""

_MOST_NOTED = 1000
_SKIPPED = {
    MissedPolicy.SKIP: "The platform was down then, and the schedule makes up for nothing",
    MissedPolicy.LATEST: "The platform was down then, and the schedule was due again since",
    MissedPolicy.ALL: "The platform was down then, and a later time makes the same partition",
}
_BY_CODE = "code"
Ask = Callable[[Schedule, datetime], Asked]
"""What a schedule that code declares asks for at a time; code is asked."""


class RunState(StrEnum):
    """How a run stands, as far as an occurrence cares."""

    CREATED = "created"
    GOING = "going"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Runs(Protocol):
    """What is asked of Dagster's storage."""

    def states(self, run_ids: Sequence[str]) -> Mapping[str, RunState]:
        """Run id → state; without runs that do not exist."""
        ...

    def made_for(self, occurrence_id: int) -> tuple[str, RunState] | None:
        """The run that bears an occurrence's tag, whoever launched it."""
        ...


def _ask_nobody(schedule: Schedule, _due_at: datetime) -> Asked:
    return Asked(problem=f"Nobody declares {schedule.spec.name} here")


class Dispatcher:
    """What the sensor does at each look.

    Args:
        db: The platform's database.
        clock: The present.
        runs: Dagster's storage.
        ask: Tells what a schedule that code declares asks for.
        most_at_once: Missed times of one schedule, and partitions of one request, that run at the
            same time.
    """

    def __init__(
        self,
        db: PlatformDb,
        clock: Clock,
        runs: Runs,
        ask: Ask = _ask_nobody,
        most_at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._db = db
        self._clock = clock
        self._runs = runs
        self._ask = ask
        self._most_at_once = most_at_once

    def note_jobs(self, jobs: Sequence[Job]) -> None:
        """Tell the table which jobs there are, if it does not know."""
        with self._db.connect("dispatcher") as connection, connection.transaction():
            store.note_jobs(connection, jobs)

    def note_declared(self, declared: Sequence[DeclaredSchedule]) -> None:
        """Keep a row for each schedule that code declares, as the code says now."""
        now = self._clock()
        by_name = {each.name: each for each in declared}
        with self._db.connect("dispatcher") as connection, connection.transaction():
            known = {each.spec.name: each for each in store.schedules(connection)}
            for row in known.values():
                if row.is_declared and row.spec.name not in by_name:
                    self._end_declared(connection, row, now)
            for name, each in by_name.items():
                if name not in known:
                    spec = _declared_spec(each, each.missed)
                    added = store.insert_schedule(
                        connection, spec, rules.next_due(spec, now), now, is_declared=True
                    )
                    store.insert_change(connection, added, "added", _BY_CODE)
                elif known[name].spec != _declared_spec(each, known[name].spec.missed):
                    self._change_declared(connection, known[name], each, now)

    def note_outcomes(self) -> None:
        """Note how launched runs ended, and which occurrences must be launched again."""
        with self._db.connect("dispatcher") as connection:
            waiting = store.unfinished(connection)
            run_ids = [each.run_id for each, _ in waiting if each.run_id is not None]
            states = self._runs.states(run_ids) if run_ids else {}
            now = self._clock()
            for occurrence, leased_at in waiting:
                is_leased = leased_at is not None and now - leased_at <= LEASE
                if occurrence.run_id is not None:
                    state = states.get(occurrence.run_id)
                    self._note_outcome(connection, occurrence, state, is_leased=is_leased)
                elif occurrence.status is OccurrenceStatus.LAUNCHING and not is_leased:
                    self._adopt(connection, occurrence)

    def note_due(self) -> None:
        """Make an occurrence of every time that has come."""
        now = self._clock()
        with self._db.connect("dispatcher") as connection:
            is_caught_up = True
            for schedule_id in store.due_schedule_ids(connection, now):
                with connection.transaction():
                    due = store.schedule(connection, schedule_id, for_update=True)
                    if due is not None:
                        next_due_at = note_some_due_times(connection, due, now, self._ask)
                        is_caught_up &= next_due_at is None or next_due_at > now
            if is_caught_up:
                store.set_caught_up(connection, now)
                store.end_catch_up(connection, now)

    def lease(self, why_not: Callable[[Occurrence], str]) -> list[Occurrence]:
        """Take what is to be launched now, the oldest first; the caller asks Dagster for it.

        Args:
            why_not: Tells why an occurrence cannot be launched at all; empty when it can.
        """
        now = self._clock()
        with self._db.connect("dispatcher") as connection:
            possible: list[Occurrence] = []
            for occurrence in launchable(store.unfinished(connection), now, self._most_at_once):
                reason = why_not(occurrence)
                if reason:
                    store.set_outcome(
                        connection, occurrence.occurrence_id, OccurrenceStatus.FAILED, reason, now
                    )
                else:
                    possible.append(occurrence)
            leased = store.lease(connection, [each.occurrence_id for each in possible], now)
        return [each for each in possible if each.occurrence_id in leased]

    def _note_outcome(
        self,
        connection: psycopg.Connection,
        occurrence: Occurrence,
        state: RunState | None,
        *,
        is_leased: bool,
    ) -> None:
        occurrence_id, now = occurrence.occurrence_id, self._clock()
        match state:
            case None:
                failed = OccurrenceStatus.FAILED
                store.set_outcome(connection, occurrence_id, failed, "Its run was deleted", now)
            case RunState.CREATED:
                # Whoever was to enqueue it ended in between.
                if not is_leased:
                    store.wait_again(connection, occurrence_id)
            case RunState.SUCCEEDED:
                store.set_outcome(connection, occurrence_id, OccurrenceStatus.SUCCEEDED, "", now)
            case RunState.FAILED | RunState.CANCELED:
                reason = f"The run {'failed' if state is RunState.FAILED else 'was canceled'}"
                store.set_outcome(connection, occurrence_id, OccurrenceStatus.FAILED, reason, now)
            case RunState.GOING:
                pass

    def _change_declared(
        self,
        connection: psycopg.Connection,
        before: Schedule,
        declared: DeclaredSchedule,
        now: datetime,
    ) -> None:
        """Go on as the code says now; times until now stay as they were."""
        note_due_times(connection, before, now, self._ask)
        spec = _declared_spec(declared, before.spec.missed)
        if not spec.is_active:
            store.skip_waiting(connection, before.schedule_id, "It was switched off", now)
        changed = store.update_schedule(
            connection, before.schedule_id, spec, rules.next_due(spec, now), now
        )
        store.insert_change(connection, changed, rules.action(before.spec, spec), _BY_CODE)

    def _end_declared(
        self, connection: psycopg.Connection, before: Schedule, now: datetime
    ) -> None:
        store.skip_waiting(connection, before.schedule_id, "Code declares it no more", now)
        ended = store.update_schedule(
            connection, before.schedule_id, before.spec, None, now, is_deleted=True
        )
        store.insert_change(connection, ended, "deleted", _BY_CODE)

    def _adopt(self, connection: psycopg.Connection, occurrence: Occurrence) -> None:
        """Find the run of an occurrence that was asked for and never claimed."""
        found = self._runs.made_for(occurrence.occurrence_id)
        if found is not None and found[1] is not RunState.CREATED:
            store.claim(connection, occurrence.occurrence_id, found[0], self._clock())


def _declared_spec(declared: DeclaredSchedule, missed: MissedPolicy) -> ScheduleSpec:
    """A declared schedule's row; which partition a time stands for is asked of the code."""
    return ScheduleSpec(
        name=declared.name,
        job=declared.job,
        frequency=Frequency.CRON,
        cron=f" {rules.SEVERAL} ".join(declared.crons),
        timezone=declared.timezone,
        is_active=declared.is_active,
        missed=missed,
        partition_rule=PartitionRule.NONE,
    )


def note_due_times(
    connection: psycopg.Connection, due: Schedule, now: datetime, ask: Ask = _ask_nobody
) -> None:
    """Note all of a schedule's times up to now; in the caller's transaction, the row locked."""
    next_due_at = due.next_due_at
    while next_due_at is not None and next_due_at <= now:
        next_due_at = note_some_due_times(
            connection, replace(due, next_due_at=next_due_at), now, ask
        )


def note_some_due_times(
    connection: psycopg.Connection, due: Schedule, now: datetime, ask: Ask = _ask_nobody
) -> datetime | None:
    """Note up to a thousand of a schedule's times; in the caller's transaction, the row locked.

    Args:
        connection: In whose transaction.
        due: The schedule.
        now: The present.
        ask: Tells what a schedule that code declares asks for.

    Returns:
        The first time that is not noted yet.
    """
    if due.next_due_at is None or due.next_due_at > now:
        return due.next_due_at
    upcoming = chain([due.next_due_at], rules.due_times(due.spec, due.next_due_at))
    times = list(islice(upcoming, _MOST_NOTED + 1))
    caught_up_at = store.caught_up_at(connection)
    come = [(time, rules.is_missed(time, now, caught_up_at)) for time in times if time <= now]
    passed_over = rules.passed_over(come, due.spec.missed)
    if not due.is_declared:
        ask = _asking_the_row(_zone_of(connection, due))
    asked = {time: ask(due, time) for time, _ in come}
    wanted = [(time, was_missed, asked[time].partition) for time, was_missed in come
              if not asked[time].skip_reason]  # fmt: skip
    if due.spec.missed is MissedPolicy.ALL:
        passed_over = rules.stood_for(wanted)
    catch_up_id = None
    if any(was_missed for _, was_missed, _ in wanted):
        catch_up_id = store.begin_catch_up(connection, caught_up_at or now, now)
    for time, was_missed in come[:_MOST_NOTED]:
        what = asked[time]
        if time in passed_over and not what.skip_reason:
            what = replace(what, skip_reason=_SKIPPED[due.spec.missed], problem="")
        store.insert_scheduled(
            connection,
            due,
            time,
            what,
            now,
            is_missed=was_missed,
            catch_up_id=catch_up_id if was_missed else None,
        )
    next_due_at = next(iter(times[len(come[:_MOST_NOTED]) :]), None)
    store.set_next_due(connection, due.schedule_id, next_due_at)
    return next_due_at


def _asking_the_row(zone: ZoneInfo | None) -> Ask:
    def ask(due: Schedule, due_at: datetime) -> Asked:
        rule = due.spec.partition_rule or PartitionRule.NONE
        partition = rules.partition_for(rule, due_at, zone)
        return Asked(partition=partition, run_config=due.spec.run_config)

    return ask


def launchable(
    unfinished: Iterable[tuple[Occurrence, datetime | None]],
    now: datetime,
    most_at_once: int = MOST_AT_ONCE,
) -> list[Occurrence]:
    """Choose what is to be launched now. Pure.

    What is due on time goes at once; missed times and the partitions of a request a few at a time.

    Args:
        unfinished: Occurrences that are not final, oldest first, with when they were leased.
        now: The present.
        most_at_once: See `Dispatcher`.
    """
    going: Counter[int | str | None] = Counter()
    waiting: list[Occurrence] = []
    for occurrence, leased_at in unfinished:
        is_leased = leased_at is not None and now - leased_at <= LEASE
        is_going = occurrence.status is OccurrenceStatus.LAUNCHED or (
            occurrence.status is OccurrenceStatus.LAUNCHING and is_leased
        )
        if not is_going:
            waiting.append(occurrence)
        elif _is_bounded(occurrence):
            going[_group(occurrence)] += 1
    chosen: list[Occurrence] = []
    for occurrence in waiting:
        if len(chosen) == MOST_ASKED_FOR:
            break
        if _is_bounded(occurrence):
            if going[_group(occurrence)] >= most_at_once:
                continue
            going[_group(occurrence)] += 1
        chosen.append(occurrence)
    return chosen


def _is_bounded(occurrence: Occurrence) -> bool:
    return occurrence.is_missed or occurrence.schedule_id is None


def _group(occurrence: Occurrence) -> int | str | None:
    return occurrence.schedule_id if occurrence.schedule_id is not None else occurrence.request_key


def _zone_of(connection: psycopg.Connection, due: Schedule) -> ZoneInfo | None:
    job = store.jobs(connection).get(due.spec.job)
    return ZoneInfo(job.timezone) if job is not None and job.timezone else None
