"""`OccurrenceBook`: what was due and what became of it, and runs that somebody asks for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from batch_platform.core.days import Clock
from batch_platform.core.errors import ConflictError, NotFoundError, PermanentError
from batch_platform.core.hashing import json_hash
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.schedules import store
from batch_platform.operations.schedules.models import Occurrence, OccurrenceStatus
from batch_platform.operations.schedules.schedule_book import known_job

MOST_PARTITIONS = 366
_MOST_LISTED = 1000


class OccurrenceBook:
    """The occurrences of schedules and requests.

    Args:
        db: The platform's database.
        clock: Tells when something was asked for.
    """

    def __init__(self, db: PlatformDb, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def request_run(
        self,
        job: str,
        partitions: Sequence[str],
        run_config: Mapping[str, Any],
        *,
        key: str,
        requested_by: str,
    ) -> list[Occurrence]:
        """Ask for a job to run; a dispatcher launches it within half a minute when it is there.

        Asking again under the same key for the same is asking once, whatever became of it.

        Args:
            job: A job of the code location.
            partitions: Keys of the partitions, one run each; none for a job without partitions.
            run_config: Dagster's configuration of the runs.
            key: Names the request.
            requested_by: Who asks.

        Returns:
            One occurrence a partition, in their order.

        Raises:
            NotFoundError: The job is not known.
            PermanentError: The job needs partitions or has none, or there are too many.
            ConflictError: Something else was asked for under that key.
        """
        wanted = list(dict.fromkeys(partitions)) or [""]
        content = json_hash({"job": job, "partitions": wanted, "run_config": run_config})
        with self._db.connect("request a run") as connection:
            self._require_partitions(connection, job, partitions)
            with connection.transaction():
                # Two that ask at the same moment for different days would both be let in.
                store.lock_request(connection, key)
                asked = store.request_hash(connection, key)
                if asked is None:
                    store.insert_requested(
                        connection,
                        job=job,
                        partitions=wanted,
                        run_config=run_config,
                        request_key=key,
                        content_hash=content,
                        requested_by=requested_by,
                        now=self._clock(),
                    )
            if asked not in {None, content}:
                raise ConflictError(
                    "Something else was asked for under the same key", "Use a key of its own"
                )
            return store.occurrences_asked_by(connection, key)

    def get(self, occurrence_id: int) -> Occurrence:
        """One occurrence.

        Raises:
            NotFoundError: There is none.
        """
        with self._db.connect("occurrences") as connection:
            found = store.occurrence(connection, occurrence_id)
        if found is None:
            raise NotFoundError(f"There is no occurrence {occurrence_id}")
        return found

    def requested(self, key: str) -> list[Occurrence]:
        """What was asked for under a key, in the order of its partitions; maybe nothing."""
        with self._db.connect("occurrences") as connection:
            return store.occurrences_asked_by(connection, key)

    def history(
        self,
        *,
        schedule_id: int | None = None,
        job: str | None = None,
        statuses: Sequence[OccurrenceStatus] = (),
        before: Occurrence | None = None,
        limit: int = 50,
    ) -> list[Occurrence]:
        """Occurrences, the latest due first.

        Args:
            schedule_id: Only this schedule's; a deleted one's too.
            job: Only this job's.
            statuses: Only those that stand so; all by default.
            before: Go on behind this one, the last of the page before.
            limit: At most so many, up to 1,000.
        """
        with self._db.connect("occurrences") as connection:
            return store.occurrence_history(
                connection,
                schedule_id=schedule_id,
                job=job,
                statuses=statuses,
                before=(before.due_at, before.occurrence_id) if before else None,
                limit=min(limit, _MOST_LISTED),
            )

    def open_counts(self) -> Mapping[OccurrenceStatus, int]:
        """How many occurrences of each status that is not final there are."""
        with self._db.connect("occurrences") as connection:
            return store.open_counts(connection)

    def dispatcher_seen_at(self) -> datetime | None:
        """When a dispatcher last looked; None before the first one did."""
        with self._db.connect("occurrences") as connection:
            return store.caught_up_at(connection)

    def _require_partitions(
        self, connection: psycopg.Connection, job: str, partitions: Sequence[str]
    ) -> None:
        known = known_job(connection, job)
        if known.partitions == "none" and any(partitions):
            raise PermanentError(f"{job} has no partitions", "Ask for it without any")
        if known.partitions != "none" and not all(partitions or [""]):
            raise PermanentError(f"{job} needs partitions", "Name at least one, like 2026-11-20")
        if len(partitions) > MOST_PARTITIONS:
            raise PermanentError(
                f"{len(partitions)} partitions are more than {MOST_PARTITIONS} at once",
                "Ask for a part, or start a backfill in the webserver",
            )
