"""How fast a night's fortunes are written, against workers ÷ delay; whether memory stays flat.

10,000 sample users and a model that takes 200 ms, one call a user as in the old system. Each number
of workers has a process and a database of its own; users are read and charts computed before the
clock starts, as a night does that once. The clock runs from the first user handed to the model to
the partition's commit.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from batch_platform.core.days import utc_now
from batch_platform.core.progress import unheard
from batch_platform.core.settings import PROJECT_ROOT, Profile, Section, Settings
from batch_platform.domains.fortunes.store import FortuneStore
from batch_platform.domains.fortunes.workflow import compute_charts, read_users, write_fortunes
from batch_platform.gateways.llm import open_bulk_llm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.sandbox.model_server import running_model_server
from batch_platform.sandbox.sample_users import write_sqlite
from benchmarks.figures import Figure
from benchmarks.scratch_database import scratch_database

USERS = 10_000
DELAY_SECONDS = 0.2
OLD_RATES: Mapping[int, int | None] = {5: 30, 10: 50, 20: 80, 64: None}
"""Workers → users a second of the old system at about 0.2 s a call."""

_BASE = date(2026, 11, 21)
_DAY = date(2026, 11, 22)
_AIM_OF_IDEAL = 0.95
_AIM_OF_GROWTH = 1.2
_SAMPLE_SECONDS = 0.5
_SHORT_FROM_WORKERS = 64
_SHORT_TURNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A night to be written."""

    database_url: str
    app_url: str
    model_url: str
    workers: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a night came to.

    Attributes:
        first_bytes: Median resident memory over the first fifth of the time after the start.
        last_bytes: The same of the last fifth.
    """

    users: int
    completed: int
    seconds: float
    first_bytes: float
    last_bytes: float


def throughput_figures(console: Console, *, small: bool) -> Mapping[str, Figure]:
    """Measure, print the table beside the old figures, and return the figures."""
    users = 400 if small else USERS
    with tempfile.TemporaryDirectory() as folder:
        app_url = write_sqlite(Path(folder) / "app.sqlite", _BASE, count=users)
        runs = {workers: _median_run(workers, app_url) for workers in OLD_RATES}
    table = Table(
        title=f"{users:,} users, {DELAY_SECONDS * 1000:.0f} ms a call", title_justify="left"
    )
    for heading in ("workers", "users/s", "ideal", "of ideal", "old users/s", "memory growth"):
        table.add_column(heading, justify="right")
    figures: dict[str, Figure] = {}
    for workers, told in runs.items():
        ideal = workers / DELAY_SECONDS
        rate = told.completed / told.seconds
        old = OLD_RATES[workers]
        growth = told.last_bytes / told.first_bytes
        table.add_row(
            str(workers),
            f"{rate:.1f}",
            f"{ideal:.0f}",
            f"{rate / ideal:.1%}",
            str(old) if old else "-",
            f"{growth:.2f} x",
        )
        figures[f"fortunes_of_ideal_at_{workers}"] = {
            "value": round(rate / ideal, 3),
            "aim": _AIM_OF_IDEAL,
            "better": "higher",
        }
    most = max(told.last_bytes / told.first_bytes for told in runs.values())
    console.print(table)
    console.print(
        "The old 30 users/s at 5 workers are more than 5 / 0.2 s allow: its calls took less time."
    )
    return figures | {
        "fortunes_memory_growth": {
            "value": round(most, 3),
            "aim": _AIM_OF_GROWTH,
            "better": "lower",
        },
        "fortunes_failed": {
            "value": sum(told.users - told.completed for told in runs.values()),
            "aim": 0,
            "better": "lower",
        },
    }


def _median_run(workers: int, app_url: str) -> Told:
    """The night of median length; a short one, which noise weighs on more, is made three times."""
    turns = _SHORT_TURNS if workers >= _SHORT_FROM_WORKERS else 1
    runs = sorted((_run(workers, app_url) for _ in range(turns)), key=lambda told: told.seconds)
    return runs[turns // 2]


def _run(workers: int, app_url: str) -> Told:
    with (
        scratch_database() as db,
        running_model_server(as_process=True, delay=DELAY_SECONDS) as server,
    ):
        job = Job(database_url=db.url, app_url=app_url, model_url=server.url, workers=workers)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fortunes_throughput", json.dumps(asdict(job))],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return Told(**json.loads(done.stdout.splitlines()[-1]))


def _settings(job: Job) -> Settings:
    variables = {
        "DATABASE_URL": job.app_url,
        "LLM_PROVIDER": "compatible",
        "LLM_BASE_URL": job.model_url,
        "LLM_MODEL": "sandbox-1",
        "FORTUNES_WORKERS": job.workers,
    }
    sections = {
        name: field.annotation(_env_file=None, **variables)  # type: ignore[misc]
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }
    return Settings.model_validate({"profile": Profile.DEMO, **sections})


def _work(job: Job) -> Told:
    settings, db = _settings(job), PlatformDb(job.database_url)
    source = SourceDatabase(job.app_url, settings.platform.zone)
    read_users(_DAY, db=db, source=source, settings=settings, clock=utc_now)
    compute_charts(_DAY, db=db, settings=settings, clock=utc_now)
    llm = open_bulk_llm(settings.model, job.database_url, is_made_up=True)
    memory: list[int] = []
    is_over = threading.Event()

    def watch() -> None:
        process = psutil.Process()
        while not is_over.wait(_SAMPLE_SECONDS):
            memory.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    outcome = write_fortunes(
        _DAY, db=db, llm=llm, settings=settings, clock=utc_now, progress=unheard
    )
    seconds = time.perf_counter() - started
    is_over.set()
    watcher.join()
    # The first samples are of what is imported and opened at the start.
    fifth = max(len(memory) // 5, 1)
    first, last = memory[fifth : 2 * fifth] or memory, memory[-fifth:]
    return Told(
        FortuneStore(db).counts(_DAY).eligible,
        outcome.completed,
        seconds,
        statistics.median(first),
        statistics.median(last),
    )


if __name__ == "__main__":
    print(json.dumps(asdict(_work(Job(**json.loads(sys.argv[1]))))))
