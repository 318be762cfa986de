"""The embedded server: waited for after it was killed; its log holds no row."""

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


@pytest.fixture(scope="module")
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


def test_its_log_tells_of_a_failure_without_the_row(home: Path) -> None:
    phone = "010-4815-7263"
    lease, url = lease_embedded_server(home)
    with psycopg.connect(f"{url}postgres", autocommit=True) as connection:
        connection.execute("CREATE TABLE chats (number int PRIMARY KEY, said text)")
        with (
            pytest.raises(psycopg.DataError, match=phone),
            connection.cursor() as cursor,
            cursor.copy("COPY chats FROM STDIN") as copy,
        ):
            copy.write(f"1\tcall {phone}\tone column too many\n")
        with pytest.raises(psycopg.errors.UndefinedColumn):
            connection.execute(f"SELECT nothing FROM chats WHERE said = '{phone}'")
    lease.release()
    log = "".join(path.read_text() for path in (home / "postgres").glob("*.log"))
    assert 'column "nothing" does not exist' in log
    assert "extra data after last expected column" in log
    assert phone not in log
