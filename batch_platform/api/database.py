"""The API's way to the platform's database: a small pool of connections that requests share.

Asynchronous for what is asked often; `stores` gives the synchronous gateway for the stores of
domains and operations, which a plain `def` route may use (those run in threads).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from fastapi import Request
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.platform_db import PlatformDb

CONNECTIONS = 8
"""Few: PostgreSQL answers in under a millisecond, and the night's runs need theirs."""

_WAIT_SECONDS = 5.0
_STATEMENT_SECONDS = 15
_OPTIONS = (
    f"-c timezone=UTC -c lock_timeout={_STATEMENT_SECONDS}s"
    f" -c statement_timeout={_STATEMENT_SECONDS}s"
)
_REMEDY = "Check PLATFORM_DATABASE_URL"
_TRUSTED_SECONDS = 1.0


class _Connection(psycopg.AsyncConnection[Any]):
    """One of the pool, which knows when it was last seen to work."""

    seen_at: float = 0.0


async def _check(connection: _Connection) -> None:
    """Find a connection that the server closed meanwhile, before it is lent.

    Not each time: that would double the round trips of a short query.
    """
    now = time.monotonic()
    if now - connection.seen_at > _TRUSTED_SECONDS:
        await AsyncConnectionPool.check_connection(connection)
        connection.seen_at = now


class ApiDatabase:
    """The platform's database for requests; opened when the first one needs it.

    Args:
        open_db: Reaches the database, its tables at this version; may start it.
        open_dagster_db: Reaches Dagster's storage beside it; made when it is missing.
    """

    def __init__(
        self, open_db: Callable[[], PlatformDb], open_dagster_db: Callable[[], PlatformDb]
    ) -> None:
        self._open_db = open_db
        self._open_dagster_db = open_dagster_db
        self._opening = asyncio.Lock()
        self._db: PlatformDb | None = None
        self._dagster_db: PlatformDb | None = None
        self._pool: AsyncConnectionPool[_Connection] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
        """Lend a connection in autocommit mode, in UTC.

        Raises:
            ConfigurationError: The address is wrong, or the tables are of another version.
            RetryableError: The server does not answer, or every connection is busy.
        """
        pool = self._pool or await self._opened()
        try:
            async with pool.connection() as connection:
                yield connection
        except (PoolTimeout, TooManyRequests) as error:
            raise RetryableError("The database gives no connection", _REMEDY) from error
        except psycopg.OperationalError as error:
            raise RetryableError(
                f"The database broke a request off: {type(error).__name__}", _REMEDY
            ) from error

    async def stores(self) -> PlatformDb:
        """The synchronous gateway, for stores; use it in a thread."""
        await self._opened()
        assert self._db is not None  # noqa: S101 - opened above
        return self._db

    async def dagster_storage(self) -> PlatformDb:
        """Dagster's own database, to be read; use it in a thread."""
        await self._opened()
        if self._dagster_db is None:
            self._dagster_db = await asyncio.to_thread(self._open_dagster_db)
        return self._dagster_db

    async def close(self) -> None:
        """Give all connections back."""
        if self._pool is not None:
            await self._pool.close()

    async def _opened(self) -> AsyncConnectionPool[_Connection]:
        async with self._opening:
            if self._pool is None:
                # In a thread: it may start the embedded server and bring its tables up to date.
                self._db = await asyncio.to_thread(self._open_db)
                pool = AsyncConnectionPool(
                    self._db.url,
                    connection_class=_Connection,
                    kwargs={
                        "autocommit": True,
                        "application_name": "api",
                        "connect_timeout": 5,
                        "options": _OPTIONS,
                    },
                    min_size=2,
                    max_size=CONNECTIONS,
                    timeout=_WAIT_SECONDS,
                    open=False,
                    name="api",
                    check=_check,
                )
                await pool.open()
                self._pool = pool
            return self._pool


async def database(request: Request) -> ApiDatabase:
    """The application's database, as a dependency of a route."""
    return request.app.state.database
