"""A run's lock: held by the run's process as long as it lives, on whatever machine that is.

PostgreSQL gives it back however the process ends. A database that restarts takes it away from a
process that lives: that one takes it again within seconds, so a lock counts as lost only when it
stays away.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg

from batch_platform.core.errors import PlatformError
from batch_platform.core.hashing import lock_key
from batch_platform.gateways.platform_db.database import PlatformDb

_SECONDS_BETWEEN_LOOKS = 5.0


class RunLock:
    """Shows others, while the block runs, that a run's process lives.

    Args:
        db: The platform's database. While it does not answer, the lock is asked for again and
            again; the block runs all the same.
        run_id: The run that this process executes.
        seconds_between_looks: How often it is made sure that the lock is still held.
    """

    def __init__(
        self, db: PlatformDb, run_id: str, seconds_between_looks: float = _SECONDS_BETWEEN_LOOKS
    ) -> None:
        self._db = db
        self._run_id = run_id
        self._seconds = seconds_between_looks
        self._is_over = threading.Event()
        self._is_taken = threading.Event()
        # A thread: the block does not come by here for hours.
        self._keeper = threading.Thread(
            target=self._keep, name=f"lock of run {run_id}", daemon=True
        )

    def __enter__(self) -> Self:
        """Take the lock, or go on without it for now when the database does not answer."""
        self._keeper.start()
        self._is_taken.wait(self._seconds)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self._is_over.set()
        self._keeper.join(self._seconds)

    def _keep(self) -> None:
        while not self._is_over.is_set():
            with suppress(PlatformError, psycopg.Error):
                self._hold()
            self._is_over.wait(self._seconds)

    def _hold(self) -> None:
        with self._db.connect(f"run {self._run_id} lives") as connection:
            # Who held it before a break may not have been noticed to be gone.
            connection.execute("SELECT pg_advisory_lock(%s)", [_key(self._run_id)])
            self._is_taken.set()
            while not self._is_over.wait(self._seconds):
                connection.execute("SELECT")


def living_runs(db: PlatformDb, run_ids: Sequence[str]) -> set[str]:
    """Those of the runs whose lock is held now."""
    rows = db.fetch_all(
        "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks"
        " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    held = {key for (key,) in rows}
    return {run_id for run_id in run_ids if _key(run_id) in held}


def _key(run_id: str) -> int:
    return lock_key("run", run_id)
