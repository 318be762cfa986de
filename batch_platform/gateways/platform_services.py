"""Which servers of its own a process uses: the database, and in the demo the sandbox.

The database is embedded or yours. Each server is started on first use and kept until this process
ends. Nothing happens at import.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import PlatformSettings, Settings
from batch_platform.gateways.embedded_postgres import lease_embedded_server
from batch_platform.gateways.files import usable_folder
from batch_platform.gateways.leased_process import Lease, ServiceFolder
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import migrate, require_current

DATABASE = "batch_platform"


def open_platform_db(settings: Settings) -> PlatformDb:
    """The platform's database, its tables at this version.

    The embedded one is brought to this version by itself; yours only by `batch-platform db migrate`
    and `up`, because other machines may still run the old version on it.

    Raises:
        ConfigurationError: The address is wrong, or the tables are of another version.
        RetryableError: The server does not answer.
    """
    db = PlatformDb(platform_database_url(settings))
    if settings.platform.database_url is None:
        migrate(db)
    else:
        require_current(db)
    return db


def platform_database_url(settings: Settings) -> str:
    """Libpq URL of the platform's database; made if the server is the embedded one."""
    configured = _configured_url(settings.platform)
    if configured is not None:
        return configured
    return _embedded_url(settings.home) + DATABASE


def dagster_database_url(settings: Settings) -> str:
    """Libpq URL of Dagster's storage: beside the platform's database, `_dagster` behind its name.

    Made if it is missing, in UTC, as Dagster's times need.
    """
    url = make_url(platform_database_url(settings))
    name = f"{url.database}_dagster"
    _make_database(_for_libpq(url), name)
    return _for_libpq(url.set(database=name))


def _configured_url(platform: PlatformSettings) -> str | None:
    if platform.database_url is None:
        return None
    try:
        url = make_url(platform.database_url.get_secret_value())
    except ArgumentError:
        raise ConfigurationError(
            "PLATFORM_DATABASE_URL is not a URL",
            "Write it like postgresql://user:password@host:5432/database",
        ) from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError(
            f"PLATFORM_DATABASE_URL names {url.get_backend_name()}",
            "The platform's own database is PostgreSQL; sources may be something else",
        )
    if not url.database:
        raise ConfigurationError("PLATFORM_DATABASE_URL names no database", "Add /name at its end")
    text = _for_libpq(url.set(drivername="postgresql"))
    try:
        conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        # Its message may not be shown: it can quote the password.
        raise ConfigurationError(
            "PLATFORM_DATABASE_URL is not a URL that PostgreSQL reads",
            "Percent-encode the password and use only libpq's parameters after a ?",
        ) from None
    return text


def _for_libpq(url: URL) -> str:
    # SQLAlchemy leaves spaces as they are; libpq refuses them.
    return url.render_as_string(hide_password=False).replace(" ", "%20")


@cache
def _embedded_url(home: Path) -> str:
    lease, url = lease_embedded_server(usable_folder(home, setting="BATCH_PLATFORM_HOME"))
    _kept.append(lease)
    _make_database(f"{url}postgres", DATABASE)
    return url


@cache
def lease_sandbox(home: Path) -> Mapping[str, object]:
    """Keep the demo's sandbox running while this process lives; return what it says of itself.

    Its start also writes the demo's settings, so this comes before they are read.
    """
    folder = sandbox_folder(home)
    # A process of its own: nothing of the platform imports the sandbox.
    lease = Lease(folder, ["-m", "batch_platform.sandbox.leased", str(folder.path), str(home)])
    _kept.append(lease)
    return lease.description


def sandbox_folder(home: Path) -> ServiceFolder:
    """Where the sandbox of a home folder keeps its process's files."""
    return ServiceFolder(home / "sandbox-process")


_kept: list[Lease] = []


def _make_database(server_url: str, name: str) -> None:
    with PlatformDb(server_url).connect("make database") as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is not None:
            return
        try:
            _create(connection, name)
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"The database {name} is missing and we may not make it",
                f"Have an administrator run: CREATE DATABASE {name}",
            ) from error


def _create(connection: psycopg.Connection, name: str) -> None:
    identifier = sql.Identifier(name)
    statements: Sequence[sql.Composed] = (
        sql.SQL("CREATE DATABASE {}").format(identifier),
        sql.SQL("ALTER DATABASE {} SET timezone TO 'UTC'").format(identifier),
    )
    for statement in statements:
        try:
            connection.execute(statement)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another process was faster
