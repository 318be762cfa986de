"""`ScheduleBook`: schedules listed, added, edited, paused and deleted while everything runs.

Each change is one transaction that first notes what was due until now: an edit can neither lose a
time nor fire one of the past.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice

import psycopg

from batch_platform.core.days import Clock
from batch_platform.core.errors import (
    ConflictError,
    NotFoundError,
    RetryableError,
    StaleVersionError,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.schedules import rules, store
from batch_platform.operations.schedules.dispatcher import note_due_times
from batch_platform.operations.schedules.models import Job, Schedule, ScheduleChange, ScheduleSpec

_MOST_PREVIEWED = 1000


class ScheduleBook:
    """The schedules in the table.

    Args:
        db: The platform's database.
        clock: Tells what is past.
    """

    def __init__(self, db: PlatformDb, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def jobs(self) -> list[Job]:
        """The jobs that a schedule may name; none before the platform ran for the first time."""
        with self._db.connect("schedules") as connection:
            return list(store.jobs(connection).values())

    def set_jobs(self, jobs: Sequence[Job]) -> None:
        """Tell the table which jobs there are, if it does not know."""
        with self._db.connect("schedules") as connection, connection.transaction():
            store.note_jobs(connection, jobs)

    def watched_until(self) -> datetime | None:
        """Until when due times were looked for, UTC; None before the platform ever ran."""
        with self._db.connect("schedules") as connection:
            return store.caught_up_at(connection)

    def list(self) -> "list[Schedule]":
        """Every schedule that is not deleted, by name."""
        with self._db.connect("schedules") as connection:
            return store.schedules(connection)

    def get(self, schedule_id: int) -> Schedule:
        """One schedule.

        Raises:
            NotFoundError: There is none, or it was deleted.
        """
        with self._db.connect("schedules") as connection:
            return _existing(store.schedule(connection, schedule_id), schedule_id)

    def named(self, name: str) -> Schedule:
        """The schedule of that name.

        Raises:
            NotFoundError: There is none.
        """
        with self._db.connect("schedules") as connection:
            return _existing(store.schedule_named(connection, name), name)

    def add(self, spec: ScheduleSpec, *, added_by: str) -> Schedule:
        """Add a schedule; it is due from now on.

        Raises:
            PermanentError: A value makes no sense.
            NotFoundError: The job is not known.
            ConflictError: The name is taken.
        """
        with self._changing(spec.name) as connection:
            spec = rules.completed(spec, known_job(connection, spec.job))
            now = self._clock()
            added = store.insert_schedule(connection, spec, rules.next_due(spec, now), now)
            store.insert_change(connection, added, "added", added_by)
            return added

    def edit(
        self, schedule_id: int, spec: ScheduleSpec, *, version: int | None, edited_by: str
    ) -> Schedule:
        """Put a specification in place of a schedule's.

        Times up to now stay with the old one, times after now are the new one's. Take what is not
        to change from `get(…).spec` with `dataclasses.replace`.

        Args:
            schedule_id: Which.
            spec: What it is from now on.
            version: The version that the edit is based on; None for whatever it is now.
            edited_by: Who edits.

        Raises:
            NotFoundError: There is no such schedule, or no such job.
            StaleVersionError: The schedule was changed meanwhile.
            PermanentError: A value makes no sense.
            ConflictError: The name is taken, or more than `missed` of a schedule that code declares
                would change.
        """
        with self._changing(spec.name) as connection:
            before = _locked(connection, schedule_id, version)
            if before.is_declared:
                return self._change_missed(connection, before, spec, edited_by)
            if spec.job != before.spec.job and spec.partition_rule is before.spec.partition_rule:
                # The rule suited the other job, whose partitions may be of another kind.
                spec = replace(spec, partition_rule=None)
            spec = rules.completed(spec, known_job(connection, spec.job))
            return self._change(connection, before, spec, edited_by)

    def pause(self, schedule_id: int, *, paused_by: str, version: int | None = None) -> Schedule:
        """Let a schedule rest: it is not due until it is resumed. What waits is skipped.

        Raises:
            NotFoundError: There is no such schedule.
            StaleVersionError: The schedule was changed meanwhile.
        """
        return self._set_active(schedule_id, version, is_active=False, changed_by=paused_by)

    def resume(self, schedule_id: int, *, resumed_by: str, version: int | None = None) -> Schedule:
        """End a pause; times within it are not made up for.

        Raises:
            NotFoundError: There is no such schedule.
            StaleVersionError: The schedule was changed meanwhile.
        """
        return self._set_active(schedule_id, version, is_active=True, changed_by=resumed_by)

    def delete(self, schedule_id: int, *, deleted_by: str, version: int | None = None) -> None:
        """End a schedule. What waits is skipped, what runs goes on, its history stays.

        Raises:
            NotFoundError: There is no such schedule.
            StaleVersionError: The schedule was changed meanwhile.
            ConflictError: Code declares it.
        """
        with self._changing("") as connection:
            before = _locked(connection, schedule_id, version)
            _require_not_declared(before)
            now = self._clock()
            store.skip_waiting(connection, schedule_id, "The schedule was deleted", now)
            deleted = store.update_schedule(
                connection, schedule_id, before.spec, None, now, is_deleted=True
            )
            store.insert_change(connection, deleted, "deleted", deleted_by)

    def preview(self, schedule_id: int, count: int = 10) -> "list[datetime]":
        """The next times, in UTC; none of an inactive schedule.

        Raises:
            NotFoundError: There is no such schedule.
        """
        spec = self.get(schedule_id).spec
        return self._next(spec, count) if spec.is_active else []

    def preview_of(self, spec: ScheduleSpec, count: int = 10) -> "list[datetime]":
        """The next times that a schedule which is not stored would have, in UTC.

        Raises:
            PermanentError: A value makes no sense.
        """
        rules.require_sense(spec)
        return self._next(spec, count)

    def _next(self, spec: ScheduleSpec, count: int) -> "list[datetime]":
        return list(islice(rules.due_times(spec, self._clock()), min(count, _MOST_PREVIEWED)))

    def changes(self, schedule_id: int) -> "list[ScheduleChange]":
        """What was done to a schedule, the newest first; of a deleted one too.

        Raises:
            NotFoundError: There never was such a schedule.
        """
        with self._db.connect("schedules") as connection:
            found = store.changes(connection, schedule_id)
        if not found:
            raise _unknown(schedule_id)
        return found

    def _change_missed(
        self, connection: psycopg.Connection, before: Schedule, spec: ScheduleSpec, changed_by: str
    ) -> Schedule:
        if spec != replace(before.spec, missed=spec.missed):
            _require_not_declared(before)
        now = self._clock()
        changed = store.update_schedule(
            connection, before.schedule_id, spec, before.next_due_at, now
        )
        store.insert_change(connection, changed, "edited", changed_by)
        return changed

    def _set_active(
        self, schedule_id: int, version: int | None, *, is_active: bool, changed_by: str
    ) -> Schedule:
        with self._changing("") as connection:
            before = _locked(connection, schedule_id, version)
            if before.spec.is_active == is_active:
                return before
            _require_not_declared(before)
            spec = replace(before.spec, is_active=is_active)
            return self._change(connection, before, spec, changed_by)

    def _change(
        self,
        connection: psycopg.Connection,
        before: Schedule,
        spec: ScheduleSpec,
        changed_by: str,
    ) -> Schedule:
        now = self._clock()
        note_due_times(connection, before, now)
        if not spec.is_active:
            store.skip_waiting(connection, before.schedule_id, "The schedule was paused", now)
        changed = store.update_schedule(
            connection, before.schedule_id, spec, rules.next_due(spec, now), now
        )
        action = rules.action(before.spec, spec)
        store.insert_change(connection, changed, action, changed_by)
        return changed

    @contextmanager
    def _changing(self, name: str) -> Generator[psycopg.Connection]:
        with self._db.connect("change a schedule") as connection:
            try:
                with connection.transaction():
                    yield connection
            except psycopg.errors.UniqueViolation:
                raise ConflictError(
                    f"There is a schedule named {name!r} already", "Edit it, or use another name"
                ) from None


def known_job(connection: psycopg.Connection, name: str) -> Job:
    """A job of the code location.

    Raises:
        NotFoundError: There is none of that name; the sentence tells which there are.
        RetryableError: No job is known yet at all.
    """
    known = store.jobs(connection)
    if not known:
        raise RetryableError(
            "The platform's jobs are not known yet",
            "Start it with batch-platform up, and try again in half a minute",
            retry_after_seconds=15,
        )
    if name not in known:
        raise NotFoundError(f"There is no job {name!r}", f"There are {', '.join(known)}")
    return known[name]


def _locked(connection: psycopg.Connection, schedule_id: int, version: int | None) -> Schedule:
    found = _existing(store.schedule(connection, schedule_id, for_update=True), schedule_id)
    if version is not None and version != found.version:
        raise StaleVersionError(
            f"The schedule {found.spec.name!r} was changed meanwhile: it is version"
            f" {found.version}, not {version}",
            "Read it again, then change it",
        )
    return found


def _require_not_declared(schedule: Schedule) -> None:
    if schedule.is_declared:
        raise ConflictError(
            f"{schedule.spec.name} is declared in code: only what becomes of missed times can be"
            " changed here",
            "Change its time by its setting, or switch it off in the webserver",
        )


def _existing(found: Schedule | None, named: int | str) -> Schedule:
    if found is None or found.deleted_at is not None:
        raise _unknown(named)
    return found


def _unknown(named: int | str) -> NotFoundError:
    return NotFoundError(f"There is no schedule {named!r}", "List them to see which there are")
