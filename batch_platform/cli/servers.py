"""Running code server, webserver, daemon and API for `up`, and ending them together.

One code server for both others, as Dagster recommends: the code is loaded once, and a code server
that dies is noticed and replaced. How one server is run is in `server_process`, that there is only
one `up` in `up_claim`.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import dagster as dg
import httpx
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from rich.cells import set_cell_size
from sqlalchemy.exc import SQLAlchemyError

from batch_platform.cli.console import err, out
from batch_platform.cli.runs import dagster_home
from batch_platform.cli.server_process import ServerProcess
from batch_platform.cli.up_claim import FOLDER_PREFIX, UpClaim, UpRecord, claimed, end_leftovers
from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.core.redaction import redactor
from batch_platform.core.settings import Settings

HOST = "127.0.0.1"
_CODE_LOCATION = "batch_platform"
_READY_SECONDS = 120
_STOP_SECONDS = 20
_MOST_RESTARTS_A_MINUTE = 5
_POLL_SECONDS = 0.3
_NAME_WIDTH = 12
_JSON_LINES = ("--log-format", "json")

_UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED_WITH_THE_PLATFORM = "The platform was stopped while this run went on: launch it again"
_LOCATION_QUERY = """{ workspaceOrError { ... on Workspace { locationEntries {
  locationOrLoadError { __typename ... on PythonError { message className causes { message } } }
} } } }"""
_NOT_THERE_YET = "DagsterUserCodeUnreachableError"
"""What a location says while its code server has not started, or not again."""


@dataclass(frozen=True)
class Further:
    """What is served beside the webserver, the daemon and the API.

    Attributes:
        commands: Name → program and arguments, given the folder of this `up`; started first.
        is_ready: Whether all of it serves.
        addresses: (Name, address) of each that people or programs reach.
        webserver_prefix: What the webserver's addresses begin with, behind a proxy.
    """

    commands: Callable[[Path], Mapping[str, Sequence[str]]] = lambda _: {}
    is_ready: Callable[[], bool] = lambda: True
    addresses: Sequence[tuple[str, str]] = ()
    webserver_prefix: str = ""


def module_command(*arguments: str) -> Sequence[str]:
    """The command that runs a module of this Python; nothing in its folder is taken for one."""
    return [sys.executable, "-P", "-m", *arguments]


def workspace_file(folder: Path) -> Path:
    """Where the webservers and the daemon of an `up` read which code there is."""
    return folder / "workspace.yaml"


def run_servers(
    settings: Settings,
    port: int,
    prepare: Callable[[], Sequence[tuple[str, str]]],
    further: Further = Further(),
) -> None:
    """Serve until a signal ends it; a server that dies is started again.

    Args:
        settings: The active profile's.
        port: The webserver's port on the loopback address.
        prepare: Called once nothing stands in the way: makes ready what the servers need, and
            returns (name, address) of what else people can reach.
        further: What is served beside.

    Raises:
        ConfigurationError: A port is taken, or `up` runs already.
        PermanentError: The code cannot be loaded, or a server keeps dying.
        RetryableError: The servers were not ready in time.
    """
    with claimed(settings.home) as claim:
        if claim.predecessor is not None:
            end_leftovers(claim.predecessor)
        _require_free(port, "give another with --port")
        _require_free(settings.api.port, "give another with --api-port")
        signals = _EndSignals()
        addresses = prepare()
        os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
        if claim.predecessor is not None:
            _fail_runs_of(claim.predecessor)
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
            servers = _Servers(settings, port, claim, Path(folder), further)
            try:
                _supervise(servers, signals, [*further.addresses, *addresses])
            finally:
                servers.stop()
                if _fail_runs_of(servers.record):
                    claim.clear()


class _EndSignals:
    """The first signal that asks `up` to end.

    Handlers are set even where a signal was ignored on entry: a shell without job control starts
    `up &` with SIGINT ignored, and children would inherit that.
    """

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.received = number


class _Servers:
    """The child processes of `up`."""

    def __init__(
        self, settings: Settings, port: int, claim: UpClaim, folder: Path, further: Further
    ) -> None:
        self.address = f"http://{HOST}:{port}{further.webserver_prefix}"
        self.api_address = settings.api.address
        self.logs = settings.home / "logs"
        self.record = UpRecord(os.getpid(), str(folder))
        self._claim = claim
        self._restarts: deque[float] = deque(maxlen=_MOST_RESTARTS_A_MINUTE)
        workspace = workspace_file(folder)
        code_socket = self.record.code_server_socket
        workspace.write_text(_workspace(code_socket))
        level = settings.platform.log_level.lower()
        commands = {
            "code-server": [
                "batch_platform.code_server", "--socket", code_socket, "--log-level", level,
                *_JSON_LINES,
            ],
            "webserver": [
                "dagster_webserver", "--host", HOST, "--port", str(port),
                "--workspace", str(workspace), "--dagster-log-level", level, *_JSON_LINES,
                *(("--path-prefix", prefix) if (prefix := further.webserver_prefix) else ()),
            ],
            "daemon": [
                "dagster._daemon", "run", "--workspace", str(workspace), "--log-level", level,
                *_JSON_LINES,
            ],
            "api": [
                "batch_platform.cli.main", "api", "--port", str(settings.api.port),
                "--up-folder", str(folder),
            ],
        }  # fmt: skip
        home, redact = dagster_home(settings), redactor(settings)
        programs = {
            **further.commands(folder),
            **{name: module_command(*arguments) for name, arguments in commands.items()},
        }
        self._servers = [
            ServerProcess(
                name,
                program,
                environment={**os.environ, "DAGSTER_HOME": str(home)},
                # Not the project's root: there Dagster would let `.env` overrule the environment.
                folder=home,
                log=self.logs / f"{name}.log",
                redact=redact,
            )
            for name, program in programs.items()
        ]
        of_name = {server.name: server for server in self._servers}
        self._code_server, self._daemon = of_name["code-server"], of_name["daemon"]
        self._is_further_ready = further.is_ready
        self._has_left_runs = False

    def start(self) -> None:
        """Start all but the daemon, which would give up what it finds before the code is loaded."""
        for server in self._servers:
            if server is not self._daemon:
                server.start()
        self._write_record()

    def start_daemon(self) -> None:
        """Start the last one, once the others are ready."""
        self._daemon.start()
        self._write_record()

    def is_ready(self) -> bool:
        """Tell whether the webserver serves and shows our code, and the API serves.

        Raises:
            PermanentError: Our code cannot be loaded.
        """
        # Not /healthz: it answers 200 whatever happens.
        try:
            answer = httpx.post(
                f"{self.address}/graphql",
                json={"query": _LOCATION_QUERY},
                timeout=10,
                trust_env=False,  # never through a proxy
            ).raise_for_status()
            httpx.get(f"{self.api_address}/readyz", timeout=10, trust_env=False).raise_for_status()
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False
        log = self._code_server.log
        is_loaded = all(_is_loaded(location, log) for location in _locations(answer.json()))
        return is_loaded and self._is_further_ready()

    def restart_dead(self) -> None:
        for server in self._servers:
            if server.exit_code is None:
                continue
            now = time.monotonic()
            if len(self._restarts) == _MOST_RESTARTS_A_MINUTE and now - self._restarts[0] < 60:
                raise PermanentError(
                    f"The {server.name} keeps ending (code {server.exit_code})", f"See {server.log}"
                )
            self._restarts.append(now)
            _say(f"[yellow]{server.name}이(가) 끝나서 다시 시작합니다[/yellow] ({server.log})")
            server.kill_rest()
            # The code server's runs were in its process group: they have ended with it.
            self._has_left_runs |= server is self._code_server
            server.start()
            self._write_record()
        if self._has_left_runs and self._answers():
            # Not before: the daemon launches them again at once, and tries that only once.
            self._has_left_runs = not _fail_runs_of(self.record)

    def _answers(self) -> bool:
        """Tell whether the code server has loaded the code; the webserver remembers older code."""
        try:
            DagsterGrpcClient(socket=self.record.code_server_socket).ping("")
        except DagsterUserCodeUnreachableError:
            return False
        return True

    def stop(self) -> None:
        for server in self._servers:
            server.ask_to_end()
        deadline = time.monotonic() + _STOP_SECONDS
        for server in self._servers:
            server.end(max(0.1, deadline - time.monotonic()))

    def _write_record(self) -> None:
        ids = [server.process_id for server in self._servers]
        self.record = UpRecord(self.record.process_id, self.record.folder, ids)
        self._claim.write(self.record)


def _supervise(
    servers: _Servers, signals: _EndSignals, addresses: Sequence[tuple[str, str]]
) -> None:
    if signals.received:
        return
    servers.start()
    deadline: float | None = time.monotonic() + _READY_SECONDS
    while not signals.received:
        if deadline is not None:
            if servers.is_ready():
                deadline = None
                servers.start_daemon()
                _announce(
                    [
                        ("아침 페이지", f"{servers.api_address}/"),
                        ("웹서버", servers.address),
                        ("API", servers.api_address),
                        *addresses,
                    ]
                )
            elif time.monotonic() > deadline:
                raise RetryableError(
                    f"The servers were not ready in {_READY_SECONDS} seconds", f"See {servers.logs}"
                )
        servers.restart_dead()
        time.sleep(_POLL_SECONDS)
    _say("끝내는 중 …")


def _announce(addresses: Sequence[tuple[str, str]]) -> None:
    with suppress(OSError):
        out.print("[green]준비됨[/green] · 끝내려면 Ctrl-C")
        for name, address in addresses:
            out.print(f"  {set_cell_size(name, _NAME_WIDTH)}  {address}", soft_wrap=True)


def _say(text: str) -> None:
    # The terminal may be gone (SIGHUP): that must not keep the servers from being ended.
    with suppress(OSError):
        err.print(text, soft_wrap=True)


def _workspace(code_socket: str) -> str:
    """Dagster's list of code locations, in YAML, of which JSON is a part."""
    server = {"socket": code_socket, "location_name": _CODE_LOCATION}
    return json.dumps({"load_from": [{"grpc_server": server}]})


def _locations(answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    entries = answer["data"]["workspaceOrError"].get("locationEntries")
    return [entry["locationOrLoadError"] or {} for entry in entries] if entries else [{}]


def _is_loaded(location: Mapping[str, Any], log: Path) -> bool:
    if location.get("__typename") != "PythonError":
        return bool(location)
    if location["className"] == _NOT_THERE_YET:
        return False
    innermost = [location, *location["causes"]][-1]["message"]
    first_line = innermost.strip().splitlines()[0]
    raise PermanentError(f"The code cannot be loaded: {first_line}", f"See {log}")


def _fail_runs_of(record: UpRecord) -> bool:
    """Mark the runs failed that ended with their code server: Dagster cannot know by itself.

    Otherwise they would look alive, and count as running, until `max_runtime_seconds`.

    Returns:
        Whether it could be done; the database may be gone already.
    """
    try:
        with dg.DagsterInstance.get() as instance:
            for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
                launched_by = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
                if launched_by.get("socket") == record.code_server_socket:
                    instance.report_run_failed(run, _ENDED_WITH_THE_PLATFORM)
    except (PlatformError, SQLAlchemyError) as error:
        _say(f"[yellow]끝난 실행을 표시하지 못했습니다. 다음 up이 합니다[/yellow]: {error}")
        return False
    return True


def _require_free(port: int, remedy: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise ConfigurationError(
                f"Port {port} is taken", f"Stop what uses it, or {remedy}"
            ) from None
