"""The engine's connections: opened late, opened again when they broke, with an owner's lock.

An owner is a random number whose session-level advisory lock says that its process is alive;
claims and reservations of an owner whose lock is gone do not count (`llm.live_owners`). No SQL
about what is stored belongs here.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString, TypeVar

import psycopg

from batch_platform.core.errors import RetryableError

T = TypeVar("T")

_PATIENCE_SECONDS = 30.0
_LOCK_TIMEOUT = "60s"

_log = logging.getLogger(__name__)


class Session:
    """One connection that lasts as long as an ask and works in a thread of its own.

    Args:
        url: libpq URL.
        name: Seen in `pg_stat_activity`.
        owner: Number whose lock the session holds; None for no lock.
    """

    def __init__(self, url: str, name: str, owner: int | None = None) -> None:
        self._url = url
        self._name = name
        self._owner = owner
        self._connection: psycopg.Connection | None = None
        self._lock = threading.Lock()
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Run work that may be done twice, again on a new connection when the first one broke.

        Raises:
            RetryableError: The database does not answer.
        """
        with self._lock:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            pause = 0.1
            while True:
                try:
                    return work(self._open())
                except psycopg.OperationalError as error:
                    self._drop()
                    if isinstance(error, psycopg.errors.DiskFull) or time.monotonic() > deadline:
                        raise RetryableError(
                            f"The platform's database failed ({type(error).__name__})",
                            "Check it, then run again: what was answered is kept",
                        ) from error
                    _log.warning("The platform's database failed (%s), again", type(error).__name__)
                    time.sleep(pause)
                    pause = min(pause * 2, 3.0)

    def _open(self) -> psycopg.Connection:
        if self._connection is None:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                application_name=self._name,
                connect_timeout=10,
                options=f"-c lock_timeout={_LOCK_TIMEOUT} -c timezone=UTC",
            )
            if self._owner is not None:
                connection.execute("SELECT pg_advisory_lock(%s)", (self._owner,))
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Wait for what runs and close."""
        self.executor.shutdown(wait=True)
        with self._lock:
            self._drop()


def value_of(connection: psycopg.Connection, query: LiteralString, arguments: Any = None) -> Any:
    """The first column of a query's first row; None without a row."""
    row = connection.execute(query, arguments).fetchone()
    return None if row is None else row[0]


def new_owner() -> int:
    """A number for an owner, not used by anybody else."""
    return secrets.randbits(62)
