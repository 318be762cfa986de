"""The embedded server after it was killed: who needs it waits for it and is not turned away."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batch_platform.gateways.embedded_postgres import lease_embedded_server, server_folder
from batch_platform.gateways.leased_process import stop


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of its own: its server is going to be killed."""
    home = Path(tempfile.mkdtemp(prefix="batch-platform-tests-"))
    home.chmod(0o755)
    yield home
    stop(server_folder(home))
    shutil.rmtree(home)


def test_a_server_that_is_being_started_again_is_waited_for(home: Path) -> None:
    lease, url = lease_embedded_server(home)
    with psycopg.connect(f"{url}postgres", autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(int(str(lease.description["server_process_id"])), signal.SIGKILL)

    another, same_url = lease_embedded_server(home)

    with psycopg.connect(f"{same_url}postgres") as connection:
        assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
    lease.release()
    another.release()
