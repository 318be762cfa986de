"""A migrated PostgreSQL for one benchmark: the embedded server in a temporary folder."""

import shutil
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from batch_platform.gateways.embedded_postgres import lease_embedded_server, server_folder
from batch_platform.gateways.leased_process import stop
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import migrate

_one_at_a_time = threading.Lock()
"""Migrations of two databases in two threads get in each other's way: Alembic's state is global."""


@contextmanager
def scratch_database() -> Generator[PlatformDb]:
    """A migrated, empty platform database that is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="batch-platform-benchmark-"))
    home.chmod(0o755)
    lease, url = lease_embedded_server(home)
    try:
        with psycopg.connect(f"{url}postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE benchmark")
        db = PlatformDb(f"{url}benchmark")
        with _one_at_a_time:
            migrate(db)
        yield db
    finally:
        lease.release()
        stop(server_folder(home))
        shutil.rmtree(home)
