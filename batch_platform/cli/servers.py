"""Running the webserver and the daemon for `up`: each in its own process group, ended together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import FrameType

import httpx

from batch_platform.cli.console import err, out
from batch_platform.cli.runs import dagster_home
from batch_platform.core.errors import ConfigurationError, PermanentError
from batch_platform.core.settings import PROJECT_ROOT, Settings

HOST = "127.0.0.1"
_READY_SECONDS = 60
_STOP_SECONDS = 20
_MOST_RESTARTS_A_MINUTE = 5


def run_servers(settings: Settings, port: int) -> None:
    """Serve until a signal ends it; a server that dies is started again.

    Raises:
        ConfigurationError: The port is taken, or `up` runs already.
        PermanentError: A server keeps dying.
    """
    _require_free(port)
    pid_file = _pid_file(settings)
    if _running_pid(pid_file):
        raise ConfigurationError("up is running already", "Stop it with batch-platform down")
    servers = _Servers(settings, port)
    ended = {"by": 0}

    def end(number: int, _frame: FrameType | None) -> None:
        ended["by"] = number

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    pid_file.write_text(str(os.getpid()))
    try:
        servers.start()
        announced = False
        while not ended["by"]:
            if not announced and servers.is_ready():
                announced = True
                out.print(f"[green]준비됨[/green] 웹서버 http://{HOST}:{port} · 끝내려면 Ctrl-C")
            servers.restart_dead()
            time.sleep(0.3)
    finally:
        err.print("끝내는 중 …")
        servers.stop()
        pid_file.unlink(missing_ok=True)


def stop_servers(settings: Settings) -> bool:
    """End a running `up` and wait for it; tell whether there was one."""
    pid = _running_pid(_pid_file(settings))
    if not pid:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS + 10
    while _running_pid(_pid_file(settings)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return True


class _Servers:
    """The child processes of `up`."""

    def __init__(self, settings: Settings, port: int) -> None:
        self._port = port
        self._logs = settings.home / "logs"
        self._environment = {**os.environ, "DAGSTER_HOME": str(dagster_home(settings))}
        workspace = ["-w", str(PROJECT_ROOT / "workspace.yaml")]
        tools = Path(sys.executable).parent
        self._commands = {
            "webserver": [
                str(tools / "dagster-webserver"), "-h", HOST, "-p", str(port), *workspace,
            ],
            "daemon": [str(tools / "dagster-daemon"), "run", *workspace],
        }
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._restarts: deque[float] = deque(maxlen=_MOST_RESTARTS_A_MINUTE)

    def start(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        for name in self._commands:
            self._start(name)

    def is_ready(self) -> bool:
        # /healthz answers 200 whatever happens; /server_info only when the webserver serves.
        try:
            return httpx.get(f"http://{HOST}:{self._port}/server_info", timeout=2).is_success
        except httpx.TransportError:
            return False

    def restart_dead(self) -> None:
        for name, child in self._children.items():
            if child.poll() is None:
                continue
            now = time.monotonic()
            if len(self._restarts) == _MOST_RESTARTS_A_MINUTE and now - self._restarts[0] < 60:
                raise PermanentError(
                    f"The {name} keeps ending (code {child.returncode})",
                    f"See {self._log(name)}",
                )
            self._restarts.append(now)
            err.print(f"[yellow]{name}이(가) 끝나서 다시 시작합니다[/yellow] ({self._log(name)})")
            self._start(name)

    def stop(self) -> None:
        for child in self._children.values():
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for child in self._children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            with suppress(ProcessLookupError):
                # The group, not the leader alone: runs and code servers must not outlive us.
                os.killpg(child.pid, signal.SIGKILL)

    def _start(self, name: str) -> None:
        with self._log(name).open("ab") as log:
            self._children[name] = subprocess.Popen(
                self._commands[name],
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ConfigurationError(
                f"Port {port} is taken", "Stop what uses it, or give another with --port"
            ) from None


def _pid_file(settings: Settings) -> Path:
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings.home / "up.pid"


def _running_pid(pid_file: Path) -> int:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return 0
    return pid
