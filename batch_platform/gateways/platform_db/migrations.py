"""Bringing the platform's tables to this version: Alembic, with hand-written SQL (`migrations/`).

Dagster's own tables are in another database and are Dagster's business.
"""

import re

import psycopg
import sqlalchemy.exc
from alembic import command
from alembic.config import Config

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.hashing import lock_key
from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.platform_db.database import PlatformDb, lacking_right

MIGRATIONS = PROJECT_ROOT / "migrations"
VERSION_TABLE = "platform_migrations"


def newest_revision() -> str:
    """The revision that this code needs: the highest number among the files' names."""
    numbers = [
        match[1]
        for path in (MIGRATIONS / "versions").glob("*.py")
        if (match := re.match(r"(\d{4})_", path.name))
    ]
    return max(numbers)


def current_revision(db: PlatformDb) -> str | None:
    """The revision that the database is at; None when it is empty."""
    with db.connect("migrations") as connection:
        found = connection.execute("SELECT to_regclass(%s)", [VERSION_TABLE]).fetchone()
        if found == (None,):
            return None
        row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
        return row[0] if row else None


def migrate(db: PlatformDb) -> None:
    """Apply what is missing. Safe to call from several processes at once.

    Raises:
        ConfigurationError: The database's user may not make tables, they are of a newer version, or
            somebody changed them.
        RetryableError: The server does not answer, or another process migrates for too long.
    """
    with db.connect("migrate") as lock:
        lock.execute("SELECT pg_advisory_lock(%s)", [lock_key("migrations")])
        current = current_revision(db)
        if current == newest_revision():
            return
        _refuse_newer(current)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["url"] = db.url
        try:
            command.upgrade(config, "head")
        except sqlalchemy.exc.ProgrammingError as error:
            if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
                raise lacking_right(error.orig, db.address) from error
            raise ConfigurationError(
                f"The tables at {db.address} are not as revision {current or 'none'} left them"
                f" ({error.orig})",
                "Nothing was changed: restore a backup, or name another database",
            ) from error


def require_current(db: PlatformDb) -> None:
    """Refuse a database whose tables are of another version.

    Raises:
        ConfigurationError: Older: says which command to run. Newer: says to update the code.
    """
    current, newest = current_revision(db), newest_revision()
    if current == newest:
        return
    _refuse_newer(current)
    raise ConfigurationError(
        f"The database is at revision {current or 'none'}, this version needs {newest}",
        "Run batch-platform db migrate",
    )


def _refuse_newer(current: str | None) -> None:
    newest = newest_revision()
    if current is not None and current > newest:
        raise ConfigurationError(
            f"The database is at revision {current}, newer than this version's {newest}",
            "Update the platform's code",
        )
