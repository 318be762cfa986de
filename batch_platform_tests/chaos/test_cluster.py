"""Two workers, one night: a worker that is killed costs time, and nobody is asked about twice."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from batch_platform.sandbox.sample_users import write_sqlite
from batch_platform_tests.recording_model import RecordingModel, recording_model
from batch_platform_tests.running_platform import (
    ProjectCopy,
    Webserver,
    free_port,
    project_copy,
    require_redis,
    rows_of,
    up_ports,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("servers")]

BASE = date(2025, 6, 12)
DAY = BASE + timedelta(days=1)
USERS = 240
ELIGIBLE = USERS - 4
WORKERS_IN_FLIGHT = 2
"""Calls that each chunk step has in flight; a worker executes one step at a time here."""

ROWS = """
    SELECT count(*), sum(hashtextextended((to_jsonb(row_) - 'generated_at')::text, 0))
    FROM fortunes.daily_fortunes AS row_
"""


@dataclass
class Cluster:
    project: ProjectCopy
    webserver: Webserver
    model: RecordingModel

    def rows(self, statement: Any, home: str = "live") -> Sequence[tuple[Any, ...]]:
        return rows_of(self.project.root / "var" / home, "batch_platform", statement)

    def kill_a_worker_that_asks(self) -> None:
        """SIGKILL to a worker and all its processes, which nothing can prepare for."""
        ((name,),) = self.rows(
            "SELECT worker FROM operations.worker_steps WHERE step_key LIKE '%%ask[%%' LIMIT 1"
        )
        worker = psutil.Process(int(name.partition("@")[0].rpartition("-")[2]))
        for process in (worker, *worker.children(recursive=True)):
            process.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    require_redis()
    address = write_sqlite(tmp_path / "app.sqlite", BASE, count=USERS)
    shutil.copy(tmp_path / "app.sqlite", tmp_path / "app_of_one.sqlite")
    with recording_model(passes_for_real=True, delay=0.25) as model, project_copy() as project:
        variables = {
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
            "FORTUNES_WORKERS": str(WORKERS_IN_FLIGHT),
            "FORTUNES_FIRST_DAY": str(BASE),
            "CHUNK_ITEMS": "60",
        }
        port = free_port()
        command = project.start(
            *("batch-platform", "cluster", "--workers", "2", "--concurrency", "1"),
            *(*up_ports(port), "--proxy-port", str(free_port())),
            DATABASE_URL=address,
            **variables,
        )
        command.wait_for_output("준비됨", 120)
        with Webserver(f"http://127.0.0.1:{port}/dagster") as webserver:
            yield Cluster(project, webserver, model)
        assert command.end() == 0, command.output
        # One process, for comparison, with a database of its own.
        model.server.configure(delay=0.0)
        code, said = project.run(
            *("batch-platform", "fortunes", "generate", "--date", str(BASE)),
            BATCH_PLATFORM_HOME=str(project.root / "var" / "one"),
            DATABASE_URL=address.replace("app.sqlite", "app_of_one.sqlite"),
            **variables,
        )
        assert code == 0, said
        whole = Cluster(project, webserver, model)
        assert whole.rows(ROWS, "one") == whole.rows(ROWS), "one process makes other rows"
        project.wait_until_nothing_runs()


def test_a_night_on_two_workers_survives_the_death_of_one(cluster: Cluster) -> None:
    run_id = cluster.webserver.launch("fortunes_night_job", DAY.isoformat())
    wait_until(lambda: cluster.model.server.stats()["answered"] > 30, 90, "users are asked about")
    cluster.kill_a_worker_that_asks()

    def state() -> str:
        found = cluster.webserver.run_status(run_id)
        return found if found in {"SUCCESS", "FAILURE", "CANCELED"} else ""

    assert wait_until(state, 180, "the night is over", 0.5) == "SUCCESS"
    stats = cluster.model.server.stats()
    assert stats["distinct_items"] == ELIGIBLE
    # Only what was in flight at the kill may be asked about again.
    assert stats["items_asked_again"] <= WORKERS_IN_FLIGHT
    assert stats["peak_in_flight"] > WORKERS_IN_FLIGHT, "both workers asked"
    assert cluster.rows(
        "SELECT count(*), count(DISTINCT user_id), min(status) FROM fortunes.daily_fortunes"
    ) == [(ELIGIBLE, ELIGIBLE, "completed")]
    (lost,) = cluster.rows(
        "SELECT step_key, count(*) FROM operations.worker_steps GROUP BY step_key"
        " HAVING count(*) > 1"
    )
    assert "ask[" in lost[0]
