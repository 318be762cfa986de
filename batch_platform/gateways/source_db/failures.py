"""What a driver's error means for the platform: wrong settings, bad luck, or no use in retrying.

A driver's own message is quoted only where it cannot hold a row's values or the password.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from sqlalchemy.exc import DBAPIError

from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)

# Numbers: mariadb.com/kb/en/mariadb-error-codes; the 2000s are the client's own.
_WRONG_PASSWORD = {1044, 1045, 1698}
_UNKNOWN_DATABASE = {1049}
_REFUSED_HOST = {1130}
_NOT_ALLOWED = {1142, 1143, 1227, 1290}
_UNKNOWN_NAME = {1054, 1146}
_DOES_NOT_FIT = {1264, 1265, 1292, 1366, 1406, 1364, 1048}
_DUPLICATE = {1062}
_FOR_NOW = {1040, 1053, 1205, 1213, 1317, 1927, 1969, 2006, 2013, 3024}
_NO_CONNECTION = {2002, 2003, 2005}
_DISK_FULL = {1021, 1114}

_UNKNOWN_HOST_WORDS = (
    "name or service not known",
    "nodename nor servname",
    "name resolution",
    "no address associated",
    "failed to resolve host",
    "translate host name",
)


@dataclass(frozen=True)
class Address:
    """Whom an error is about: what a person may see of the URL, and the setting it came from."""

    shown: str
    variable: str

    @property
    def remedy(self) -> str:
        """Where a person looks first."""
        return f"Check {self.variable}"


@contextmanager
def explained(address: Address) -> Generator[None, None, None]:
    """Turn a driver's error of the block into one of the platform's.

    Raises:
        ConfigurationError: Address, password, name or column type must be corrected by a person.
        RetryableError: The server is away, busy or cut the connection.
        PermanentError: The statement or a value was refused.
    """
    try:
        yield
    except DBAPIError as error:
        # Not chained: a driver's message can quote what a user wrote.
        raise _as_platform_error(error, address) from None


def _as_platform_error(error: DBAPIError, address: Address) -> PlatformError:
    original = error.orig
    message = str(original).strip()
    lowered = message.lower()
    if any(word in lowered for word in _UNKNOWN_HOST_WORDS):
        return ConfigurationError(
            f"The host of the database at {address.shown} is unknown", address.remedy
        )
    if isinstance(original, psycopg.Error):
        return _of_postgresql(original, address)
    if original is not None and type(original).__module__.startswith("sqlite3"):
        return _of_sqlite(type(original).__name__, lowered, address)
    code = original.args[0] if original is not None and original.args else None
    return _of_mariadb(code if isinstance(code, int) else 0, error, address)


def _of_mariadb(code: int, error: DBAPIError, address: Address) -> PlatformError:
    at = address.shown
    if code in _WRONG_PASSWORD:
        return ConfigurationError(
            f"The database at {at} refused the user or the password", address.remedy
        )
    if code in _UNKNOWN_DATABASE:
        return ConfigurationError(f"The server of {at} has no such database", address.remedy)
    if code in _REFUSED_HOST:
        return ConfigurationError(
            f"The database at {at} does not let this machine in", "Ask for access from this host"
        )
    if code in _NO_CONNECTION:
        return RetryableError(
            f"The database at {at} does not answer", f"Start it, or correct {address.variable}"
        )
    if code in _NOT_ALLOWED:
        return ConfigurationError(
            f"The user of {address.variable} may not do this at {at} (MariaDB error {code})",
            "Grant SELECT, and for publishing INSERT and DELETE, on the table",
        )
    if code in _UNKNOWN_NAME:
        return ConfigurationError(
            f"A table or column is not at {at} (MariaDB error {code})", "Check its exact spelling"
        )
    if code in _DOES_NOT_FIT:
        return ConfigurationError(
            f"A value does not fit its column at {at} (MariaDB error {code}); nothing was written",
            "Widen the column, or convert the table to utf8mb4 so that it holds emoji",
        )
    if code in _DUPLICATE:
        return PermanentError(
            f"A row is already there under the same key at {at}; nothing was written",
            "Look at the table's unique keys",
        )
    if code in _DISK_FULL:
        return RetryableError(f"The disk of the database at {at} is full", "Free some space")
    if code in _FOR_NOW or error.connection_invalidated:
        return RetryableError(
            f"The connection to {at} broke or was ended (MariaDB error {code})",
            "Try again; look into the server's log if it happens again",
        )
    return PermanentError(
        f"The database at {at} refused a statement (MariaDB error {code})",
        "Look the number up in the server's manual",
    )


def _of_postgresql(error: psycopg.Error, address: Address) -> PlatformError:
    at, state = address.shown, error.sqlstate
    lowered = str(error).lower()
    # Before a session exists libpq gives no SQLSTATE: only its words tell.
    if (
        state in {"28P01", "28000"}
        or "authentication failed" in lowered
        or "no password" in lowered
    ):
        return ConfigurationError(
            f"The database at {at} refused the user or the password", address.remedy
        )
    if state == "3D000" or ('database "' in lowered and "does not exist" in lowered):
        return ConfigurationError(f"The server of {at} has no such database", address.remedy)
    if state == "42501":
        return ConfigurationError(
            f"The user of {address.variable} may not do this at {at}",
            "Grant SELECT, and for publishing INSERT and DELETE, on the table",
        )
    if isinstance(error, psycopg.errors.DataError | psycopg.errors.NotNullViolation):
        return ConfigurationError(
            f"A value does not fit its column at {at} (SQLSTATE {state}); nothing was written",
            "Widen the column",
        )
    if isinstance(error, psycopg.errors.UniqueViolation):
        return PermanentError(
            f"A row is already there under the same key at {at}; nothing was written",
            "Look at the table's unique keys",
        )
    if isinstance(error, psycopg.OperationalError):
        return RetryableError(
            f"The database at {at} does not answer (SQLSTATE {state or 'none'})",
            f"Start it, or correct {address.variable}",
        )
    return PermanentError(
        f"The database at {at} refused a statement (SQLSTATE {state})",
        "Look the state up in the server's manual",
    )


def _of_sqlite(kind: str, lowered: str, address: Address) -> PlatformError:
    at = address.shown
    if "locked" in lowered or "busy" in lowered:
        return RetryableError(f"Another program is writing {at}", "Try again")
    if "not a database" in lowered or "unable to open" in lowered:
        return ConfigurationError(f"{at} is not an SQLite database that opens", address.remedy)
    if "readonly" in lowered:
        return ConfigurationError(f"{at} cannot be written", "Give this user the right to write it")
    if "full" in lowered:
        return RetryableError(f"The disk of {at} is full", "Free some space")
    if "decode to utf-8" in lowered:
        return PermanentError(f"{at} holds a text that is not UTF-8", "Mend that row in the source")
    return PermanentError(
        f"{at} refused a statement (SQLite {kind})", "Run it with --debug to see where"
    )
