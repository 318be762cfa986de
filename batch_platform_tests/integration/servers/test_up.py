"""What a person relies on who types `batch-platform up`: it serves, looks after what it serves, and
when it ends, everything has ended."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_platform_tests.integration.cli.whole_night import CANARY, canaries
from batch_platform_tests.running_platform import (
    Command,
    ProjectCopy,
    Webserver,
    free_port,
    project_copy,
    rows_of,
    up_ports,
    wait_until,
)

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]

READY = "준비됨"
READY_SECONDS = 90


@pytest.fixture(scope="module")
def project() -> Iterator[ProjectCopy]:
    with project_copy() as copy:
        yield copy


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def up(project: ProjectCopy, port: int, **options: object) -> Command:
    return project.start("batch-platform", "up", *up_ports(port), **options)  # type: ignore[arg-type]


def server(project: ProjectCopy, words: str) -> int | None:
    """Process id of the server in whose command line the words are."""
    return next((pid for pid, command in project.processes().items() if words in command), None)


def run_state(project: ProjectCopy, run_id: str) -> str:
    """A run's state when nothing serves, from Dagster's own table."""
    home = project.root / "var" / "live"
    statement = "SELECT status FROM runs WHERE run_id = %s"
    ((state,),) = rows_of(home, "batch_platform_dagster", statement, run_id)
    return state


def test_up_serves_looks_after_its_servers_and_takes_every_run_with_it(
    project: ProjectCopy, port: int, silent_server: int
) -> None:
    silent = f"mysql+pymysql://u:{CANARY}-silent@127.0.0.1:{silent_server}/chats"
    secrets = {**canaries(), "ENGINE_FOR_SQLALCHEMY": silent}
    del secrets["PLATFORM_DATABASE_URL"]  # the embedded server makes a password of its own
    command = up(project, port, is_interrupt_ignored=True, **secrets)
    command.wait_for_output(READY, READY_SECONDS)
    with Webserver(f"http://127.0.0.1:{port}") as webserver:
        assert webserver.is_loaded()
        assert webserver.url in command.output
        assert_only_one_up_serves_a_folder(project, command, port)

        cut_off = launched_run(webserver, "2026-01-05")
        for words in (
            "dagster_webserver",
            "dagster._daemon",
            "batch_platform.code_server",
            " api ",
        ):
            victim = server(project, words)
            assert victim is not None
            os.kill(victim, signal.SIGKILL)
            wait_until(
                lambda words=words, victim=victim: server(project, words) not in {None, victim},
                20,
                f"{words} is started again",
            )
        wait_until(webserver.is_loaded, 40, "the webserver shows the code again")
        # Its process went with the code server: it must not look alive, nor keep its place.
        assert webserver.run_status(cut_off) == "FAILURE"

        interrupted = launched_run(webserver, "2026-01-06")
    assert command.end(signal.SIGTERM) == 0
    project.wait_until_nothing_runs()
    assert run_state(project, interrupted) == "FAILURE"
    assert_logs_are_json_without_secrets(project.root / "var" / "live")


def assert_only_one_up_serves_a_folder(project: ProjectCopy, first: Command, port: int) -> None:
    code, said = project.run("batch-platform", "up", "--port", str(port + 1))
    assert code == 2
    assert said.count("\n") == 1
    assert f"up is running already (process {first.process.pid})" in said


def assert_logs_are_json_without_secrets(home: Path) -> None:
    """Of servers that were killed and started again, of a run that failed, of what each said."""
    logs = {path.stem: path.read_text() for path in (home / "logs").glob("*.log")}
    assert set(logs) == {"api", "code-server", "daemon", "webserver"}
    for name, text in logs.items():
        lines = [json.loads(line) for line in text.splitlines()]
        assert lines, name
        assert all({"time", "level", "logger", "message"} <= set(line) for line in lines), name
    assert "RUN_START" in logs["code-server"]
    kept = {str(path): path.read_text(errors="replace") for path in home.rglob("*.err")}
    assert kept
    assert [name for name, text in {**logs, **kept}.items() if CANARY in text] == []


def launched_run(webserver: Webserver, partition: str) -> str:
    """A run that waits for the silent server."""
    run_id = webserver.launch("chats_night_job", partition, ["chats/raw_chats"])
    wait_until(lambda: webserver.run_status(run_id) == "STARTED", 40, "the run has started")
    return run_id


def test_a_taken_port_is_one_clear_line(project: ProjectCopy, silent_server: int) -> None:
    for options in (up_ports(silent_server), up_ports(free_port(), silent_server)):
        code, said = project.run("batch-platform", "up", *options)
        assert code == 2
        assert said.count("\n") == 1
        assert f"Port {silent_server} is taken" in said


def test_servers_of_an_up_that_was_killed_are_ended_by_down(
    project: ProjectCopy, port: int
) -> None:
    command = up(project, port)
    command.wait_for_output(READY, READY_SECONDS)
    command.end(signal.SIGKILL)
    assert server(project, "dagster_webserver") is not None
    folder = Path(json.loads((project.root / "var/live/up.lock").read_text())["folder"])
    assert folder.is_dir()
    project.run("batch-platform", "down")
    project.wait_until_nothing_runs()
    assert not folder.exists()


def test_a_closed_terminal_ends_everything(project: ProjectCopy, port: int) -> None:
    """Its output has nowhere to go then, which must not keep the servers alive."""
    terminal, its_end = os.openpty()
    command = up(project, port, terminal=its_end)
    os.close(its_end)
    wait_until(lambda: server(project, "dagster_webserver"), 60, "the webserver's process")
    os.close(terminal)
    command.end(signal.SIGHUP)
    project.wait_until_nothing_runs()


def test_code_that_cannot_be_loaded_is_one_clear_line(port: int) -> None:
    with project_copy() as project:
        definitions = project.root / "batch_platform" / "definitions.py"
        definitions.write_text("raise ImportError('no module named jandi')\n")
        code, said = project.run("batch-platform", "up", *up_ports(port))
        assert code == 1
        assert said.count("\n") == 1
        assert "The code cannot be loaded: ImportError: no module named jandi" in said
        assert str(Path("logs") / "code-server.log") in said
        project.wait_until_nothing_runs()
