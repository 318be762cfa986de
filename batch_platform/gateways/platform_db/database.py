"""`PlatformDb`: how anything reaches the platform's PostgreSQL.

Connections are opened when needed and closed after: a nightly platform opens few, and none is held
across a model's answer. No SQL about what is stored belongs here.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict

from batch_platform.core.errors import (
    ConfigurationError,
    PartitionBusyError,
    PlatformError,
    RetryableError,
)
from batch_platform.core.hashing import lock_key
from batch_platform.gateways.platform_db.partitions import PartitionTransaction

Parameters = Sequence[Any] | Mapping[str, Any] | None

LOCK_TIMEOUT_SECONDS = 60
"""No statement waits longer for a lock; a job that must wait longer says so and is retried."""

_SESSION_OPTIONS = {
    "timezone": "UTC",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
    # A holder whose machine is gone gives its locks back within about a minute.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    # Streams are read to their end; by default a cursor's plan is made for its first tenth, which
    # made a join of ten thousand users take 2.4 s instead of 8 ms.
    "cursor_tuple_fraction": "1",
}
_APPLICATION_NAME_LENGTH = 63
_STREAMED_ROWS = 5_000


Hold = Callable[[Sequence[str]], AbstractContextManager[None]]
"""Makes the caller the only one that works on partitions, by their keys, while a block runs.

What a workflow of many partitions is handed; see `PlatformDb.hold_all`.
"""


class PlatformDb:
    """The platform's database.

    Args:
        url: libpq URL, `postgresql://user:password@host:port/database`.
        setting: The variable that it comes from, for the remedy in an error.
    """

    def __init__(self, url: str, setting: str = "PLATFORM_DATABASE_URL") -> None:
        self.url = url
        self.setting = setting

    def __repr__(self) -> str:
        return f"PlatformDb({self.address})"

    @property
    def address(self) -> str:
        """`host:port/database`: what a person may see of the URL."""
        parts = conninfo_to_dict(self.url)
        host, port = parts.get("host", "localhost"), parts.get("port", "5432")
        return f"{host}:{port}/{parts.get('dbname', '')}"

    @contextmanager
    def connect(self, name: str) -> Generator[psycopg.Connection, None, None]:
        """Open a connection in autocommit mode, in UTC, with a lock timeout.

        Args:
            name: Who is asking; seen in `pg_stat_activity`.

        Raises:
            ConfigurationError: Wrong password, unknown database or user, or a right is lacking.
            RetryableError: The server does not answer, or the connection broke.
        """
        connection = self._open(name)
        try:
            with connection:
                yield connection
        except psycopg.errors.LockNotAvailable as error:
            raise RetryableError(
                f"Waited {LOCK_TIMEOUT_SECONDS} s for a lock in the platform's database",
                "Look for a long transaction in pg_stat_activity",
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise lacking_right(error, self.address, self.setting) from error
        except psycopg.OperationalError as error:
            raise _as_platform_error(error, self.address, self.setting) from error

    def _open(self, name: str) -> psycopg.Connection:
        try:
            return psycopg.connect(
                self.url,
                autocommit=True,
                connect_timeout=10,
                application_name=name[:_APPLICATION_NAME_LENGTH],
                options=" ".join(f"-c {key}={value}" for key, value in _SESSION_OPTIONS.items()),
            )
        except psycopg.OperationalError as error:
            raise _as_platform_error(error, self.address, self.setting) from error

    def fetch_all(
        self, query: LiteralString, parameters: Parameters = None
    ) -> list[tuple[Any, ...]]:
        """Run a query whose answer is small and return all of its rows."""
        with self.connect("read") as connection:
            return connection.execute(query, parameters).fetchall()

    def stream(
        self, query: LiteralString, parameters: Parameters = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield a query's rows from a server-side cursor, a few thousand in memory at a time.

        The transaction is open until the iterator ends: consume it without waiting on the world.
        """
        with (
            self.connect("stream") as connection,
            connection.transaction(),
            connection.cursor(name="stream") as cursor,
        ):
            cursor.itersize = _STREAMED_ROWS
            yield from cursor.execute(query, parameters)

    @contextmanager
    def hold(self, asset: str, partition: str, *, holder: str) -> Generator[None, None, None]:
        """Be the only one that works on an asset's partition, from before anything that costs.

        The hold is a session-level advisory lock: PostgreSQL gives it back however the holder ends.

        Args:
            asset: The asset's key, `group/name`.
            partition: The partition's key.
            holder: Who holds it, e.g. the run's id; a second one is told so.

        Raises:
            PartitionBusyError: Somebody else holds it.
            RetryableError: The connection that carried the hold broke meanwhile.
        """
        with self.hold_all(asset, [partition], holder=holder):
            yield

    @contextmanager
    def hold_all(
        self, asset: str, partitions: Sequence[str], *, holder: str
    ) -> Generator[None, None, None]:
        """Hold several partitions of an asset, all or none; otherwise like `hold`.

        Each takes a place in the server's lock table: hold some hundred at a time, not thousands.
        """
        keys = {lock_key("hold", asset, partition): partition for partition in partitions}
        with self.connect(holder) as connection:
            rows = connection.execute(
                "SELECT key, pg_try_advisory_lock(key) FROM unnest(%s::bigint[]) AS key",
                [list(keys)],
            )
            for key, is_held in rows.fetchall():
                if not is_held:
                    raise PartitionBusyError(
                        f"{asset} {keys[key]} is being made by {_holder_of(connection, key)}",
                        "Wait for it, or end it in the webserver",
                    )
            yield
            # Fails if the connection, and with it the hold, was lost: the run must not look fine.
            connection.execute("SELECT pg_advisory_unlock_all()")

    @contextmanager
    def hold_together(
        self, asset: str, partition: str, *, holder: str
    ) -> Generator[None, None, None]:
        """Hold a partition beside others of the same name, as the steps of one run do.

        Nobody else gets it meanwhile, by `hold` or otherwise.

        Raises:
            PartitionBusyError: Somebody else holds it.
            RetryableError: The connection that carried the hold broke meanwhile.
        """
        key = lock_key("hold", asset, partition)
        with self.connect(holder) as connection:
            # One after the other, so that of two names that come at once one stays.
            with connection.transaction():
                joining = lock_key("join", asset, partition)
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [joining])
                row = connection.execute("SELECT pg_try_advisory_lock_shared(%s)", [key]).fetchone()
                names = set(_holders_of(connection, key)) - {holder[:_APPLICATION_NAME_LENGTH]}
                if row != (True,) or names:
                    raise PartitionBusyError(
                        f"{asset} {partition} is being made by {min(names, default=holder)}",
                        "Wait for it, or end it in the webserver",
                    )
            yield
            connection.execute("SELECT pg_advisory_unlock_all()")

    @contextmanager
    def replacing(self, asset: str, partition: str) -> Generator[PartitionTransaction, None, None]:
        """Replace a partition whole, in one transaction, one writer at a time.

        Readers see the old rows until the block ends without an error, then the new ones.

        Args:
            asset: The asset's key, `group/name`.
            partition: The partition's key.
        """
        with self.connect(f"write {asset} {partition}") as connection, connection.transaction():
            connection.execute(
                "SELECT pg_advisory_xact_lock(%s)", [lock_key("write", asset, partition)]
            )
            yield PartitionTransaction(connection)


def holders(connection: psycopg.Connection) -> Sequence[str]:
    """Names of everyone who holds an advisory lock in this database now."""
    rows = connection.execute(
        "SELECT DISTINCT activity.application_name FROM pg_locks"
        " JOIN pg_stat_activity AS activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND activity.datname = current_database()"
        " ORDER BY 1"
    )
    return [row[0] for row in rows]


def lacking_right(
    error: psycopg.Error, address: str, setting: str = "PLATFORM_DATABASE_URL"
) -> ConfigurationError:
    """What to raise when the server does not let the platform's user do something."""
    return ConfigurationError(
        f"The user of {setting} lacks a right at {address}: {error.diag.message_primary}",
        "Make that user the database's owner, or grant the right",
    )


def _holder_of(connection: psycopg.Connection, key: int) -> str:
    return next(iter(_holders_of(connection, key)), "a run that has just ended")


def _holders_of(connection: psycopg.Connection, key: int) -> Sequence[str]:
    unsigned = key & 0xFFFF_FFFF_FFFF_FFFF
    rows = connection.execute(
        "SELECT activity.application_name FROM pg_locks"
        " JOIN pg_stat_activity AS activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND classid::bigint = %s AND objid::bigint = %s"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [unsigned >> 32, unsigned & 0xFFFF_FFFF],
    )
    return [row[0] for row in rows]


def _as_platform_error(
    error: psycopg.OperationalError, address: str, setting: str
) -> PlatformError:
    remedy = f"Check {setting}"
    reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    configuration = (
        psycopg.errors.InvalidPassword,
        psycopg.errors.InvalidAuthorizationSpecification,
        psycopg.errors.InvalidCatalogName,
    )
    # libpq reports failures before the session exists without an SQLSTATE: only its words tell.
    words = ("authentication failed", "does not exist", "resolve host", "no password")
    if isinstance(error, configuration) or any(word in reason for word in words):
        return ConfigurationError(f"The database at {address} refused us: {reason}", remedy)
    if isinstance(error, psycopg.errors.DiskFull):
        return RetryableError(f"The database's disk is full: {reason}", "Free some space")
    return RetryableError(f"The database at {address} does not answer: {reason}", remedy)
