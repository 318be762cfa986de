"""The engine's connections: opened late, opened again when they broke, with an owner's lock.

An owner is a random number; session-level advisory locks on it say that its process is alive.
Claims and reservations of an owner without a lock do not count (`llm.live_owners`). No SQL about
what is stored belongs here.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString, TypeVar

import psycopg

from batch_platform.core.errors import RetryableError

T = TypeVar("T")

_PATIENCE_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0
_LOCK_TIMEOUT = "60s"
# Shared, as every session of an owner holds it: the owner lives while one of them does.
_HOLD_OWNER = "SELECT pg_advisory_lock_shared(%s)"

_log = logging.getLogger(__name__)


class Session:
    """One connection that lasts as long as an ask and works in a thread of its own.

    Args:
        url: libpq URL.
        name: Seen in `pg_stat_activity`.
        owner: Number whose lock the session holds; None for no lock.

    Attributes:
        on_reopened: Called, in the session's thread, once it is connected again.
    """

    def __init__(self, url: str, name: str, owner: int | None = None) -> None:
        self._url = url
        self._name = name
        self._owner = owner
        self._connection: psycopg.Connection | None = None
        self._lock = threading.Lock()
        self._was_open = False
        self.on_reopened: Callable[[], None] = _nothing
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Run work that may be done twice, again on a new connection when the first one broke.

        Raises:
            RetryableError: The database does not answer.
        """
        with self._lock:
            patience = _Patience()
            while True:
                try:
                    return work(self._open())
                except psycopg.OperationalError as error:
                    self._drop()
                    time.sleep(patience.pause_after(error))

    def _open(self) -> psycopg.Connection:
        if self._connection is None:
            connection = psycopg.connect(self._url, **_session_settings(self._name))
            self._connection = connection
            if self._owner is not None:
                connection.execute(_HOLD_OWNER, (self._owner,))
            if self._was_open:
                self.on_reopened()
            self._was_open = True
        return self._connection

    def touch(self) -> None:
        """Notice a connection that broke while nothing was asked of it, and open it again."""
        self.run(lambda connection: connection.execute("SELECT 1"))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Wait for what runs and close."""
        self.executor.shutdown(wait=True)
        with self._lock:
            self._drop()


class LoopSession:
    """One connection that lasts as long as an ask and works inside its event loop.

    For what follows every answer: the way to a thread and back would take longer than the commit.

    Args:
        url: libpq URL.
        name: Seen in `pg_stat_activity`.
        owner: Number whose lock the session holds.

    Attributes:
        on_reopened: Called, in the loop, once it is connected again and before it is used.
    """

    def __init__(self, url: str, name: str, owner: int) -> None:
        self._url = url
        self._name = name
        self._owner = owner
        self._connection: psycopg.AsyncConnection | None = None
        self._lock = asyncio.Lock()
        self._was_open = False
        self.on_reopened: Callable[[], None] = _nothing

    async def open(self) -> None:
        """Connect, so that the first statement need not wait for it.

        Raises:
            RetryableError: The database does not answer.
        """
        await self._patiently(self._opened)

    async def execute(self, statement: LiteralString, arguments: Mapping[str, Any]) -> None:
        """Run a statement that may be run twice, on a new connection when the first one broke.

        Raises:
            RetryableError: The database does not answer.
        """

        async def work() -> None:
            connection = await self._opened()
            await connection.execute(statement, arguments, prepare=True)

        await self._patiently(work)

    async def _patiently(self, work: Callable[[], Awaitable[object]]) -> None:
        async with self._lock:
            patience = _Patience()
            while True:
                try:
                    await work()
                    return
                except psycopg.OperationalError as error:
                    await self.close()
                    await asyncio.sleep(patience.pause_after(error))

    async def _opened(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            connection = await psycopg.AsyncConnection.connect(
                self._url, **_session_settings(self._name)
            )
            try:
                await connection.execute(_HOLD_OWNER, (self._owner,))
            except (psycopg.Error, asyncio.CancelledError):
                await connection.close()
                raise
            self._connection = connection
            if self._was_open:
                self.on_reopened()
            self._was_open = True
        return self._connection

    async def close(self) -> None:
        """Close the connection. What still opens it must have ended."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


class _Patience:
    """How long, and how often, a connection that broke is opened again."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + _PATIENCE_SECONDS
        self._pause = _FIRST_PAUSE_SECONDS

    def pause_after(self, error: psycopg.OperationalError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            RetryableError: There is to be none.
        """
        if isinstance(error, psycopg.errors.DiskFull) or time.monotonic() > self._deadline:
            raise RetryableError(
                f"The platform's database failed ({type(error).__name__})",
                "Check it, then run again: what was answered is kept",
            ) from error
        _log.warning("The platform's database failed (%s), again", type(error).__name__)
        pause = self._pause
        self._pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return pause


def _nothing() -> None:
    """Do nothing."""


def _session_settings(name: str) -> dict[str, Any]:
    return {
        "autocommit": True,
        "application_name": name,
        "connect_timeout": 10,
        "options": f"-c lock_timeout={_LOCK_TIMEOUT} -c timezone=UTC",
    }


def value_of(connection: psycopg.Connection, query: LiteralString, arguments: Any = None) -> Any:
    """The first column of a query's first row; None without a row."""
    row = connection.execute(query, arguments).fetchone()
    return None if row is None else row[0]


def new_owner() -> int:
    """A number for an owner, not used by anybody else."""
    return secrets.randbits(62)
