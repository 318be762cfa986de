"""From a setting's URL to an SQLAlchemy engine that is safe to read with. Opens no connection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.event import listen
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from batch_platform.core.errors import ConfigurationError

EXAMPLE_URL = "mysql+pymysql://user:password@host:3306/database"

CONNECT_SECONDS = 10
SILENCE_SECONDS = 900
"""A server that sends nothing for so long is gone; a full scan before the first row is quicker."""

_PAUSE_SECONDS = 3600
"""How long a reader may pause before MariaDB cuts it off; its default is one minute."""

_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "sqlite": "sqlite",
}

_SESSION_STATEMENTS = {
    "mysql": (
        f"SET SESSION net_write_timeout = {_PAUSE_SECONDS}",
        # A value that does not fit must be refused, not cut or replaced by a question mark.
        "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
    ),
    "postgresql": ("SET datestyle TO ISO", "SET client_encoding TO 'UTF8'"),
    "sqlite": (),
}


def source_engine(text: str, variable: str) -> sa.Engine:
    """Prepare an engine; the driver that the URL names is replaced by the one that is installed.

    Args:
        text: SQLAlchemy URL.
        variable: The setting it came from, for the error.

    Raises:
        ConfigurationError: The text is no URL, or of a database that the platform does not know.
    """
    url = _parsed(text, variable)
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise ConfigurationError(
            f"{variable} names the database {backend!r}, which the platform cannot read",
            f"Use MariaDB, MySQL, PostgreSQL or SQLite, e.g. {EXAMPLE_URL}",
        )
    url = url.set(drivername=_DRIVERS[backend])
    if url.get_backend_name() == "sqlite":
        url = _existing_file(url, variable)
    if url.get_backend_name() == "mysql":
        url = url.update_query_dict({"charset": "utf8mb4"})
    engine = sa.create_engine(
        url, connect_args=_connect_args(url), poolclass=NullPool, hide_parameters=True
    )
    listen(engine, "connect", _prepare_session(url.get_backend_name()))
    return engine


def public_address(url: URL) -> str:
    """What a person may see of the URL: `host:port/database`, or the file."""
    if url.get_backend_name() == "sqlite":
        return unquote(str(url.database).removeprefix("file:"))
    host = url.host or url.query.get("unix_socket") or "localhost"
    return f"{host}:{url.port}/{url.database or ''}" if url.port else f"{host}/{url.database or ''}"


def _parsed(text: str, variable: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        # Neither the text nor the parser's message may be shown: both can hold the password.
        raise ConfigurationError(
            f"{variable} is not a database URL",
            f"Write it like {EXAMPLE_URL}, with @ : / % # of a password percent-encoded",
        ) from None


def _existing_file(url: URL, variable: str) -> URL:
    """Open the file only if it exists: SQLite would quietly make an empty one."""
    if url.query.get("uri"):
        return url
    if not url.database or url.database == ":memory:":
        raise ConfigurationError(
            f"{variable} names no SQLite file", "Write sqlite:////path/file.db"
        )
    if not Path(url.database).is_file():
        raise ConfigurationError(
            f"The SQLite file {url.database} of {variable} does not exist",
            "Correct the path; an absolute one has four slashes, sqlite:////path/file.db",
        )
    return url.set(database=f"file:{quote(url.database)}").update_query_dict(
        {"mode": "rw", "uri": "true"}
    )


def _connect_args(url: URL) -> dict[str, Any]:
    # The URL's own parameters win over these.
    args: Mapping[str, Any]
    match url.get_backend_name():
        case "mysql":
            args = {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENCE_SECONDS}
        case "postgresql":
            args = {"connect_timeout": CONNECT_SECONDS, "application_name": "batch-platform"}
        case _:
            # A day is read by one thread after another, never by two at once.
            args = {"check_same_thread": False}
    chosen = {name: value for name, value in args.items() if name not in url.query}
    if url.get_backend_name() == "mysql" and url.password:
        # PyMySQL encodes text in latin1, which fails for a password in Hangul.
        chosen["password"] = str(url.password).encode()
    return chosen


def _prepare_session(backend: str) -> Any:
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for statement in _SESSION_STATEMENTS[backend]:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    return prepare
