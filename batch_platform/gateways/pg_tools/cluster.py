"""A server started on a copy of another server's files, to prove that it can be.

Nobody but this user can reach it: it listens on a socket in a private folder only.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from batch_platform.core.errors import PermanentError
from batch_platform.gateways.embedded_postgres import (
    bundled_binaries,
    reachable_binaries,
    server_account,
)
from batch_platform.gateways.pg_tools.contents import contents_of, exported_snapshot
from batch_platform.gateways.pg_tools.programs import PgPrograms, look_at
from batch_platform.gateways.platform_db import PlatformDb

_START_SECONDS = 300
"""It replays WAL first."""

_STOP_SECONDS = 60
_CONFIGURATION = """
listen_addresses = ''
unix_socket_permissions = 0700
port = 5432
max_connections = 20
shared_buffers = '64MB'
autovacuum = off
archive_mode = off
fsync = off
timezone = 'UTC'
"""


def server_program(programs: PgPrograms) -> Path | None:
    """The folder of a `postgres` that can run on copies that these programs make; None without."""
    bundled = look_at(bundled_binaries())
    if bundled is not None and bundled.major == programs.major:
        return reachable_binaries()
    return programs.folder if (programs.folder / "postgres").exists() else None


def give_to_server(data: Path) -> None:
    """Make a copy's files those of the user that may run a server on them."""
    account = server_account()
    if os.geteuid() == 0:
        for folder, names, files in os.walk(data):
            for name in (*names, *files):
                os.chown(Path(folder) / name, account.user_id, account.group_id)
        os.chown(data, account.user_id, account.group_id)
    data.chmod(0o700)


@contextmanager
def running_on(data: Path, binaries: Path, user: str) -> Generator[str]:
    """Start a server on a folder of its files, owned by the server's user, and stop it again.

    Args:
        data: The folder; the server replays WAL and writes in it.
        binaries: Where `postgres` is.
        user: A role of that server.

    Yields:
        libpq URL of its database `postgres`.

    Raises:
        PermanentError: It does not start.
    """
    account = server_account()
    # Short: a socket's name may have 107 bytes at most.
    place = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        log, configuration = place / "log", place / "postgresql.conf"
        configuration.write_text(_CONFIGURATION)
        (place / "pg_hba.conf").write_text("local all all trust\n")
        (place / "pg_ident.conf").write_text("")
        log.touch()
        for path in (place, *place.iterdir()):
            path.chmod(0o700 if path.is_dir() else 0o600)
            os.chown(path, account.user_id, account.group_id)
        server = _start(data, binaries, place)
        url = f"postgresql://{user}@/postgres?host={place}"
        try:
            _await(server, url, log)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def read_everything(url: str) -> tuple[int, int]:
    """Read every row of every table of a server.

    Returns:
        How many databases and rows there are.

    Raises:
        PermanentError: Something cannot be read.
    """
    server = PlatformDb(url, "the restored copy")
    names = server.fetch_all(
        "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
    )
    rows = 0
    for (name,) in names:
        db = PlatformDb(url.replace("/postgres?", f"/{name}?"), "the restored copy")
        try:
            with exported_snapshot(db) as snapshot:
                rows += sum(table.rows for table in contents_of(snapshot).tables)
        except psycopg.Error as error:
            raise PermanentError(
                f"{name} of the restored copy cannot be read: {error.diag.message_primary}"
            ) from error
    return len(names), rows


def _start(data: Path, binaries: Path, place: Path) -> subprocess.Popen[bytes]:
    with (place / "log").open("wb") as log:
        return subprocess.Popen(
            [
                str(binaries / "postgres"),
                f"--config-file={place / 'postgresql.conf'}",
                f"--hba-file={place / 'pg_hba.conf'}",
                f"--ident-file={place / 'pg_ident.conf'}",
                f"--unix-socket-directories={place}",
                "-D",
                str(data),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            **server_account().popen_options,  # type: ignore[arg-type]
        )


def _await(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if server.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            why = next((line for line in said if "FATAL" in line or "PANIC" in line), said[-1])
            raise PermanentError(f"A server does not start on the restored copy: {why}")
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise PermanentError(
                    f"A server on the restored copy does not answer: {str(error).strip()}"
                ) from error
            time.sleep(0.05)
        else:
            return
