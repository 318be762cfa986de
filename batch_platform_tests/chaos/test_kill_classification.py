"""Killed in the middle of a classification: the next start finishes the day and pays nothing twice.

Kills with SIGKILL, which nothing can prepare for: the command itself, and PostgreSQL under it.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
import pytest

from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE
from batch_platform.gateways.embedded_postgres import lease_embedded_server, server_folder
from batch_platform.gateways.leased_process import stop
from batch_platform.sandbox.sample_chats import write_sqlite
from batch_platform_tests.recording_model import RecordingModel, recording_model

DAY = date(2025, 6, 12)
QUESTIONS = 300
WORKERS = 8
COMMAND = [str(Path(sys.executable).with_name("batch-platform")), "chats", "batch"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


@dataclass(eq=False)
class Night:
    """A command's surroundings: an embedded PostgreSQL of its own, a source, a slow model."""

    folder: Path
    model: RecordingModel

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def start(self) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.Popen(
            [*COMMAND, "-d", str(DAY), "--workers", str(WORKERS), "--questions-per-call", "1"],
            env={
                **kept,
                ENV_FILE_VARIABLE: str(self.folder / "settings.env"),
                PROFILE_VARIABLE: "live",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_answers(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.model.server.stats()["answered"] < count:
            assert time.monotonic() < deadline, "the command never came so far"
            time.sleep(0.02)

    def finish(self) -> str:
        process = self.start()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def rows(self, query: str, database: str = "batch_platform") -> list[tuple[object, ...]]:
        lease, url = lease_embedded_server(self.home)
        with psycopg.connect(f"{url}{database}") as connection:
            found = connection.execute(query).fetchall()  # type: ignore[arg-type]
        lease.release()
        return found

    def assert_day_is_exact(self) -> None:
        with closing(sqlite3.connect(self.folder / "chats.sqlite")) as source:
            ((chats,),) = source.execute("SELECT count(*) FROM chattings").fetchall()
        assert self.rows("SELECT count(*) FROM chats.raw_chats") == [(chats,)]
        assert self.rows(
            "SELECT count(*), count(*) FILTER (WHERE state = 'classified'),"
            " sum(query_count)::int FROM chats.questions"
        ) == [(QUESTIONS, QUESTIONS, chats)]
        assert self.rows("SELECT count(DISTINCT question_id) FROM chats.classifications") == [
            (QUESTIONS,)
        ]

    def asked_again(self) -> int:
        """How often a question was put to the model that it had been put before."""
        stats = self.model.server.stats()
        assert stats["distinct_items"] == QUESTIONS
        return stats["items_asked_again"]


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    tmp_path.parent.chmod(0o755)
    source = tmp_path / "chats.sqlite"
    address = write_sqlite(source, DAY, days=1)
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("DELETE FROM chattings")
        connection.executemany(
            "INSERT INTO chattings VALUES (?, ?, ?)",
            [
                (number, f"{number % QUESTIONS}번 학교의 전학 절차", f"{DAY} 10:00:00.000000")
                for number in range(QUESTIONS + 50)
            ],
        )
    with recording_model(passes_for_real=True, delay=0.2) as model:
        variables = {
            "BATCH_PLATFORM_HOME": str(tmp_path / "home"),
            "ENGINE_FOR_SQLALCHEMY": address,
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
        }
        (tmp_path / "settings.env").write_text(
            "".join(f"{name}='{value}'\n" for name, value in variables.items())
        )
        yield Night(tmp_path, model)
    stop(server_folder(tmp_path / "home"))


def test_a_killed_command_is_finished_by_the_next(night: Night) -> None:
    process = night.start()
    night.wait_for_answers(60)
    process.kill()
    process.communicate(timeout=20)
    assert night.rows("SELECT count(*) FROM chats.classifications") == [(0,)]
    ((committed,),) = night.rows("SELECT count(*) FROM llm.calls")
    assert isinstance(committed, int)
    in_flight = night.model.server.stats()["received"] - committed
    assert in_flight <= WORKERS

    night.model.server.configure(delay=0.0)
    night.finish()

    night.assert_day_is_exact()
    # Each call is paid once, but for those whose answers nobody was there to take.
    assert night.asked_again() <= in_flight
    # The killed run does not count as running for ever: nightly runs wait for its place.
    assert night.rows("SELECT status FROM runs ORDER BY id", "batch_platform_dagster") == [
        ("FAILURE",),
        ("SUCCESS",),
    ]


def test_a_killed_database_costs_no_answer(night: Night) -> None:
    process = night.start()
    night.wait_for_answers(60)
    lease, _url = lease_embedded_server(night.home)
    os.kill(int(str(lease.description["server_process_id"])), signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    lease.release()
    assert "Traceback" not in output
    if process.returncode != 0:
        (line,) = [line for line in output.splitlines() if line.startswith("오류")]
        assert "database" in line
        assert process.returncode == 1

    night.model.server.configure(delay=0.0)
    night.finish()

    night.assert_day_is_exact()
    assert night.asked_again() <= WORKERS
