"""A real MariaDB for tests and benchmarks: its own server, folder and port, gone when it is closed.

Nothing here knows the platform; what a test stores in the server is the test's own affair.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pymysql
import pytest

START_SECONDS = 60.0
"""Longest wait for a fresh server; a loaded machine takes 5 s, an idle one 1 s."""


@dataclass(frozen=True)
class MariaDb:
    """A running server with one user that may do everything, in the database `chat`."""

    port: int
    user: str = "chat"
    password: str = "pa@ss:w/o%rd 비#밀?"
    database: str = "chat"

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the server, in the form that the old systems' `.env` uses."""
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        """SQLAlchemy URL of one of the server's databases."""
        return (
            f"mysql+pymysql://{self.user}:{quote(self.password, safe='')}"
            f"@127.0.0.1:{self.port}/{database}?charset=utf8mb4"
        )

    def new_database(self) -> "MariaDb":
        """The same server with an empty database of its own."""
        name = f"chat_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return replace(self, database=name)

    def execute(self, *statements: str) -> None:
        """Run statements of a test's preparation, committed together."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def _connect(self) -> "pymysql.Connection[Any]":
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password.encode(),  # as text PyMySQL would encode it in latin1
            database=self.database,
            charset="utf8mb4",
            autocommit=True,
        )


def require_mariadb() -> None:
    """Skip the caller's tests where MariaDB is not installed; in CI fail instead.

    A suite that is green because it silently left out the real database proves nothing.
    """
    if _server_binary() and shutil.which("mariadb-install-db"):
        return
    reason = (
        "MariaDB is not installed (apt install mariadb-server): its real-server tests are left out"
    )
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """Start a server on a free loopback port in a temporary folder; stop it and remove both.

    As root the server runs as `nobody`, because MariaDB refuses to run as root.
    """
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    account = _unprivileged_account()
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    try:
        _install(folder, account)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            server = MariaDb(port=probe.getsockname()[1])
        process = _start(folder, server.port, account)
        try:
            _await_ready(folder, process)
            _create_user(folder, server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)


def _server_binary() -> str | None:
    # Debian keeps it in /usr/sbin, which is not on an ordinary user's PATH.
    return shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _unprivileged_account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _run_as(account: pwd.struct_passwd | None) -> dict[str, int | list[int]]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _install(folder: Path, account: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        **_run_as(account),
    )
    if done.returncode:
        raise RuntimeError(f"mariadb-install-db failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _start(folder: Path, port: int, account: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    with (folder / "server.log").open("wb") as log:
        return subprocess.Popen(
            [
                str(_server_binary()),
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                f"--socket={folder / 's.sock'}",
                f"--pid-file={folder / 'server.pid'}",
                f"--tmpdir={folder}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_unicode_ci",
                # Zero dates must be storable: the old systems' servers allowed them.
                "--sql-mode=NO_ENGINE_SUBSTITUTION",
                # The data is thrown away, so a test need not wait for the disk.
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-flush-method=nosync",
                "--innodb-doublewrite=0",
                "--innodb-buffer-pool-size=256M",
                "--innodb-log-file-size=256M",
                "--performance-schema=OFF",
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
            **_run_as(account),
        )


def _await_ready(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(folder / "s.sock")) == 0:
                return
        time.sleep(0.05)
    log = (folder / "server.log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"MariaDB did not start within {START_SECONDS:.0f} s: {log}")


def _create_user(folder: Path, server: MariaDb) -> None:
    connection = pymysql.connect(
        unix_socket=str(folder / "s.sock"), user="root", charset="utf8mb4", autocommit=True
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {server.database} CHARACTER SET utf8mb4")
            cursor.execute(
                "CREATE USER %s@'127.0.0.1' IDENTIFIED BY %s", (server.user, server.password)
            )
            cursor.execute("GRANT ALL ON *.* TO %s@'127.0.0.1'", (server.user,))
    finally:
        connection.close()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    """A server that ends with the test process."""
    require_mariadb()
    with running_mariadb() as server:
        yield server


@pytest.fixture
def mariadb(mariadb_server: MariaDb) -> Iterator[MariaDb]:
    """An empty database of the test's own."""
    own = mariadb_server.new_database()
    yield own
    mariadb_server.execute(f"DROP DATABASE {own.database}")
