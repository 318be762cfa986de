"""A copy of the project in a folder of its own, and its commands as processes to watch and end.

A copy, because `var/`, the demo and `.env` belong to the folder that the code is in: a test must
neither see a developer's nor leave anything there.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, LiteralString, Self

import httpx
import psutil
import psycopg
import pytest

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.embedded_postgres import lease_embedded_server

PROJECT_FILES = (
    "batch_platform",
    "deploy",
    "migrations",
    "dagster.yaml",
    "workspace.yaml",
    "pyproject.toml",
)
_MARK = "BATCH_PLATFORM_TEST_MARK"
_KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR")


def wait_until(
    condition: Callable[[], Any], seconds: float, what: str, poll_seconds: float = 0.1
) -> Any:
    """Wait for a condition; return its first true value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(poll_seconds)
    raise AssertionError(f"{what}: not within {seconds} seconds")


class Command:
    """A command that runs, its output in a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for_output(self, text: str, seconds: float) -> None:
        def is_said() -> bool:
            if self.process.poll() is not None and text not in self.output:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.output}")
            return text in self.output

        try:
            wait_until(is_said, seconds, repr(text))
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.output}") from None

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


class ProjectCopy:
    """The project's files in a new folder, outside of everything."""

    def __init__(self, root: Path | None = None) -> None:
        if root is None:
            # Not pytest's folder: only its owner may enter it, and PostgreSQL refuses to be root.
            root = Path(tempfile.mkdtemp(prefix="batch-platform-project-"))
            root.chmod(0o755)
        else:
            root.mkdir(parents=True)
        self.root = root
        self._mark = secrets.token_hex(8)
        self._outputs = 0
        for name in PROJECT_FILES:
            source = PROJECT_ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.root / name)
            else:
                shutil.copy2(source, self.root / name)

    def environment(self, **more: str) -> Mapping[str, str]:
        """Nothing of the test's own settings; marked, so that all that comes of it can be found."""
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        return {
            **kept,
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(self.root),
            "COLUMNS": "160",
            _MARK: self._mark,
            **more,
        }

    def start(
        self,
        *arguments: str,
        is_interrupt_ignored: bool = False,
        terminal: int | None = None,
        **environment: str,
    ) -> Command:
        """Start a program of the virtual environment in the project's folder.

        Its output goes to a file, or to the terminal whose descriptor is given.
        """
        self._outputs += 1
        output = self.root / f"output-{self._outputs}.txt"
        with output.open("wb") as file:
            stream = file if terminal is None else terminal
            process = subprocess.Popen(
                [str(Path(sys.executable).parent / arguments[0]), *arguments[1:]],
                cwd=self.root,
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # What a shell without job control does to a command with & behind it.
                preexec_fn=_ignore_interrupts if is_interrupt_ignored else None,
            )
        return Command(process, output)

    def run(self, *arguments: str, seconds: float = 120, **environment: str) -> tuple[int, str]:
        """Run a program to its end; return its exit code and what it said."""
        command = self.start(*arguments, **environment)
        try:
            return command.process.wait(seconds), command.output
        except subprocess.TimeoutExpired:
            command.process.kill()
            raise AssertionError(
                f"{arguments} went on for {seconds} seconds:\n{command.output}"
            ) from None

    def processes(self) -> Mapping[int, str]:
        """Process id → command line of all that this copy's commands led to."""
        found: dict[int, str] = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self._mark:
                    found[process.pid] = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # it ended, as a zombie too has, or it is another user's
        return found

    def wait_until_nothing_runs(self, seconds: float = 20) -> None:
        """Leased processes (database, sandbox) end some seconds after their last user."""
        try:
            wait_until(lambda: not self.processes(), seconds, "nothing runs", poll_seconds=0.3)
        except AssertionError:
            left = "\n".join(self.processes().values())
            raise AssertionError(f"still running:\n{left}") from None

    def remove(self) -> None:
        """End whatever a failed test has left, and delete the files."""
        for process_id in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        shutil.rmtree(self.root)


@dataclass(frozen=True)
class Demo:
    """A project copy in which the demo has run."""

    project: ProjectCopy

    @property
    def home(self) -> Path:
        """The demo's folder."""
        return self.project.root / "var" / "demo"

    @property
    def last_day(self) -> date:
        """The day that the demo made: yesterday, when it ran."""
        ((day,),) = self.rows("SELECT max(chat_date) FROM chats.raw_chats")
        return day

    def rows(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the demo's platform database."""
        return rows_of(self.home, "batch_platform", statement, *values)


def rows_of(
    home: Path, database: str, statement: LiteralString, *values: object
) -> list[tuple[Any, ...]]:
    """Rows of a database of the embedded server of a home folder, started if need be."""
    lease, url = lease_embedded_server(home)
    try:
        with psycopg.connect(f"{url}{database}") as connection:
            return connection.execute(statement, values).fetchall()
    finally:
        lease.release()


def require_redis() -> None:
    """Skip a test that needs Redis where there is none, but never in CI."""
    if shutil.which("redis-server") is None:
        message = "No redis-server here (Debian: apt install redis-server): no workers are tried"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def up_ports(webserver: int, api: int | None = None) -> Sequence[str]:
    """Options of `up` that keep it off the ports that others use; the API's is a free one."""
    return ["--port", str(webserver), "--api-port", str(api or free_port())]


@contextmanager
def project_copy(root: Path | None = None) -> Iterator[ProjectCopy]:
    """A copy, in a new folder, that is gone after the block with all that it started."""
    copy = ProjectCopy(root)
    try:
        yield copy
    finally:
        copy.remove()


class Webserver:
    """A Dagster webserver, asked through GraphQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def ask(self, query: str, **variables: Any) -> Mapping[str, Any]:
        """The data of one query or mutation."""
        answer = self._client.post("/graphql", json={"query": query, "variables": variables})
        body = answer.raise_for_status().json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    def is_loaded(self) -> bool:
        """Whether it answers and shows our code."""
        try:
            data = self.ask(
                "{ workspaceOrError { ... on Workspace { locationEntries {"
                " locationOrLoadError { __typename } } } } }"
            )
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False
        entries = data["workspaceOrError"].get("locationEntries", [])
        kinds = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
        return kinds == ["RepositoryLocation"]

    def launch(
        self,
        job: str,
        partition: str,
        assets: Sequence[str] = (),
        run_config: Mapping[str, Any] | None = None,
    ) -> str:
        """Launch a job, or some of its assets (`group/name`), on a partition.

        Returns:
            The run's id.
        """
        selector: dict[str, Any] = {
            "repositoryLocationName": "batch_platform",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        if assets:
            selector["assetSelection"] = [{"path": key.split("/")} for key in assets]
            selector["assetCheckSelection"] = []
        parameters = {
            "selector": selector,
            "mode": "default",
            "runConfigData": dict(run_config or {}),
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
        }
        result = self.ask(
            """mutation ($parameters: ExecutionParams!) {
                 launchRun(executionParams: $parameters) {
                   __typename
                   ... on LaunchRunSuccess { run { id } }
                   ... on PythonError { message } } }""",
            parameters=parameters,
        )["launchRun"]
        assert result["__typename"] == "LaunchRunSuccess", result
        return result["run"]["id"]

    def run_status(self, run_id: str) -> str:
        """A run's state, such as STARTED."""
        query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return self.ask(query, id=run_id)["runOrError"]["status"]

    def backfill_states(self) -> list[str]:
        """The states of all backfills, the newest first."""
        data = self.ask(
            "{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }"
        )
        return [each["status"] for each in data["partitionBackfillsOrError"]["results"]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
