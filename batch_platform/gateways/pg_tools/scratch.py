"""Databases to try a restore in, gone afterwards.

On a server of our own, so that a check can neither slow the platform's server down nor fill its
disk; or on a server that a person chose.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from psycopg import sql

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.embedded_postgres import (
    lease_embedded_server,
    remove_embedded_server,
)
from batch_platform.gateways.files import temporary_folder
from batch_platform.gateways.platform_db import PlatformDb

_PREFIX = "batch_platform_scratch_"
_ABANDONED_AFTER = timedelta(hours=24)
_FAST_OPTIONS = {
    # Nothing in it is to survive; what it shows of a dump is the same.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "summarize_wal": "off",
    "autovacuum": "off",
    "maintenance_work_mem": "256MB",
}


@contextmanager
def scratch_server(home: Path, chosen_url: str | None = None) -> Generator[str]:
    """A server to make scratch databases on.

    Args:
        home: Where a server of our own may keep its files; removed afterwards.
        chosen_url: A server that a person chose, its URL with a database to connect to.

    Yields:
        Its libpq URL, with a database.
    """
    if chosen_url is not None:
        yield chosen_url
        return
    with temporary_folder(
        home / "scratch", setting="BATCH_PLATFORM_HOME", remove=remove_embedded_server
    ) as (folder, _):
        # The server may run as another user than we do, who must be able to pass.
        folder.chmod(0o711)
        lease, url = lease_embedded_server(folder, _FAST_OPTIONS)
        try:
            yield f"{url}postgres"
        finally:
            lease.release()


@contextmanager
def scratch_database(server_url: str, setting: str) -> Generator[PlatformDb]:
    """An empty database on a server, dropped afterwards.

    Those that killed processes left there more than a day ago are dropped first.

    Args:
        server_url: The server's URL, with a database.
        setting: The variable that it comes from, for errors.
    """
    server = PlatformDb(server_url, setting)
    now = datetime.now(UTC)
    name = f"{_PREFIX}{now:%Y%m%d%H%M%S}_{uuid4().hex[:8]}"
    _drop_abandoned(server, f"{_PREFIX}{now - _ABANDONED_AFTER:%Y%m%d%H%M%S}")
    create_database(server, name)
    try:
        yield PlatformDb(with_database(server_url, name), setting)
    finally:
        drop_database(server, name)


def create_database(server: PlatformDb, name: str) -> None:
    """Make an empty database in UTF-8 and UTC."""
    identifier = sql.Identifier(name)
    with server.connect("make database") as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(identifier)
        )
        connection.execute(sql.SQL("ALTER DATABASE {} SET timezone TO 'UTC'").format(identifier))


def drop_database(server: PlatformDb, name: str) -> None:
    """Drop a database, whoever is connected to it."""
    with server.connect("drop database") as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def with_database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def require_room(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse to begin what would fill a disk.

    Raises:
        RetryableError: Less is free; the numbers are told.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise RetryableError(
            f"Too little room for {what}: {free / 1e9:.2f} GB are free on the disk of {existing},"
            f" {needed_bytes / 1e9:.2f} GB are needed",
            "Make room; nothing was begun",
        )


def _drop_abandoned(server: PlatformDb, older_than: str) -> None:
    rows = server.fetch_all(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND datname < %s",
        [_PREFIX, older_than],
    )
    for (name,) in rows:
        drop_database(server, name)
