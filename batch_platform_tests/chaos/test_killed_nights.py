"""Whatever is killed during a night, the night completes without help.

One `up` for all of it: each part is killed with SIGKILL, which nothing can prepare for, while the
chats of a day are being classified by a slow model.
"""

import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from batch_platform.gateways.embedded_postgres import lease_embedded_server
from batch_platform.sandbox.sample_chats import write_sqlite
from batch_platform_tests.recording_model import RecordingModel, recording_model
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

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("servers")]

FIRST_DAY = date(2026, 1, 5)
NIGHTS = 3
NIGHT_ASSETS = ["chats/raw_chats", "chats/classifications"]
QUESTIONS = 40


@dataclass
class Platform:
    """A served platform of a test's own, and what it reads from and asks."""

    project: ProjectCopy
    command: Command
    webserver: Webserver
    model: RecordingModel
    source: Path

    @property
    def home(self) -> Path:
        return self.project.root / "var" / "live"

    def begin(self, day: date) -> str:
        """Launch a night, and wait until its model was asked some questions; return its run."""
        asked = self.model.server.stats()["received"]
        self.model.server.configure(delay=0.8)
        run_id = self.webserver.launch("chats_night_job", day.isoformat(), NIGHT_ASSETS)
        wait_until(lambda: self.model.server.stats()["received"] > asked + 4, 60, "it is asked")
        return run_id

    def kill(self, words: str) -> int:
        """`kill -9` of the process in whose command line the words are."""
        victims = [pid for pid, line in self.project.processes().items() if words in line]
        assert victims, words
        os.kill(victims[0], signal.SIGKILL)
        return victims[0]

    def worker_of(self, run_id: str) -> int:
        """The process that executes a run and its steps."""
        statement = "SELECT event FROM event_logs WHERE run_id = %s AND event LIKE %s"
        rows = rows_of(self.home, "batch_platform_dagster", statement, run_id, "%in process (pid:%")
        return int(rows[0][0].partition("in process (pid: ")[2].partition(")")[0])

    def wait_for_night(self, day: date, seconds: float = 150) -> list[str]:
        """Wait until a day's night has ended well; return the states of its runs, in order."""
        self.model.server.configure(delay=0.0)
        statement = (
            "SELECT status FROM runs JOIN run_tags USING (run_id)"
            " WHERE key = 'dagster/partition' AND value = %s ORDER BY runs.id"
        )

        def states() -> list[str]:
            found = rows_of(self.home, "batch_platform_dagster", statement, day.isoformat())
            return [state for (state,) in found]

        wait_until(lambda: "SUCCESS" in states(), seconds, f"the night of {day}", 0.5)
        found = states()
        ((classified, questions),) = rows_of(
            self.home,
            "batch_platform",
            "SELECT count(DISTINCT question_id), count(*) FROM chats.classifications"
            " WHERE chat_date = %s",
            day,
        )
        assert classified == QUESTIONS, questions
        return found


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    source = tmp_path / "chats.sqlite"
    address = write_sqlite(source, FIRST_DAY, days=1)
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("DELETE FROM chattings")
        connection.executemany(
            "INSERT INTO chattings VALUES (?, ?, ?)",
            [
                (
                    night * QUESTIONS + number,
                    f"{night}-{number}번 학교의 전학 절차",
                    f"{FIRST_DAY + timedelta(days=night)} 10:00:00.000000",
                )
                for night in range(NIGHTS)
                for number in range(QUESTIONS)
            ],
        )
    port = free_port()
    with recording_model(passes_for_real=True) as model, project_copy() as project:
        variables: Mapping[str, str] = {
            "ENGINE_FOR_SQLALCHEMY": address,
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
            "PARALLEL_WORKERS": "2",
            "CHATS_QUESTIONS_PER_CALL": "1",
        }
        command = project.start("batch-platform", "up", *up_ports(port), **variables)
        command.wait_for_output("준비됨", 90)
        with Webserver(f"http://127.0.0.1:{port}") as webserver:
            yield Platform(project, command, webserver, model, source)
        assert command.end(signal.SIGTERM) == 0
        project.wait_until_nothing_runs()


def test_a_night_completes_whatever_is_killed_in_it(platform: Platform) -> None:
    # The API, the daemon, then the run's worker, which executes its steps too.
    first = FIRST_DAY
    run_id = platform.begin(first)
    platform.kill(" api ")
    platform.kill("dagster._daemon")
    os.kill(platform.worker_of(run_id), signal.SIGKILL)
    assert platform.wait_for_night(first) == ["FAILURE", "SUCCESS"]

    # The code server, with which its runs go.
    second = first + timedelta(days=1)
    platform.begin(second)
    platform.kill("batch_platform.code_server")
    assert platform.wait_for_night(second) == ["FAILURE", "SUCCESS"]

    # PostgreSQL, under everything.
    third = first + timedelta(days=2)
    platform.begin(third)
    lease, _ = lease_embedded_server(platform.home)
    os.kill(int(str(lease.description["server_process_id"])), signal.SIGKILL)
    lease.release()
    platform.wait_for_night(third, 200)
