"""Killed in the middle of the night: the next start gives every user one fortune, paid for once."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE
from batch_platform.gateways.embedded_postgres import server_folder
from batch_platform.gateways.leased_process import stop
from batch_platform.sandbox.sample_users import write_sqlite
from batch_platform_tests.recording_model import RecordingModel, recording_model
from batch_platform_tests.running_platform import rows_of

BASE = date(2025, 6, 12)
DAY = BASE + timedelta(days=1)
USERS = 120
ELIGIBLE = USERS - 4
WORKERS = 8
COMMAND = [str(Path(sys.executable).with_name("batch-platform")), "fortunes", "generate"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


@dataclass(eq=False)
class Night:
    """A command's surroundings: an embedded PostgreSQL of its own, the app, a slow model."""

    folder: Path
    model: RecordingModel

    def start(self) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        settings = str(self.folder / "settings.env")
        return subprocess.Popen(
            [*COMMAND, "--date", str(BASE), "--workers", str(WORKERS)],
            env={**kept, ENV_FILE_VARIABLE: settings, PROFILE_VARIABLE: "live"},
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

    def in_app(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "app.sqlite")) as app:
            return app.execute(query).fetchall()


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    tmp_path.parent.chmod(0o755)
    address = write_sqlite(tmp_path / "app.sqlite", BASE, count=USERS)
    with recording_model(passes_for_real=True, delay=0.2) as model:
        variables = {
            "BATCH_PLATFORM_HOME": str(tmp_path / "home"),
            "DATABASE_URL": address,
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
        }
        (tmp_path / "settings.env").write_text(
            "".join(f"{name}='{value}'\n" for name, value in variables.items())
        )
        yield Night(tmp_path, model)
    stop(server_folder(tmp_path / "home"))


def test_a_killed_night_is_finished_by_the_next_start(night: Night) -> None:
    process = night.start()
    night.wait_for_answers(40)
    process.kill()
    process.communicate(timeout=20)
    assert night.in_app("SELECT count(*) FROM core_fortuneresult") == [(0,)]

    night.model.server.configure(delay=0.0)
    process = night.start()
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    assert night.in_app(
        "SELECT count(*), count(DISTINCT user_id), min(status), max(status)"
        f" FROM core_fortuneresult WHERE for_date = '{DAY}'"
    ) == [(ELIGIBLE, ELIGIBLE, "completed", "completed")]
    home = night.folder / "home"
    assert rows_of(
        home,
        "batch_platform",
        "SELECT count(*), count(DISTINCT user_id) FROM fortunes.daily_fortunes",
    ) == [(ELIGIBLE, ELIGIBLE)]
    # Only what was in flight at the kill may be asked again; each is in the ledger once.
    stats = night.model.server.stats()
    assert stats["distinct_items"] == ELIGIBLE
    assert stats["items_asked_again"] <= WORKERS
    assert rows_of(home, "batch_platform", "SELECT count(*) FROM llm.calls") == [(ELIGIBLE,)]
