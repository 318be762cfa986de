"""A night of fortunes on `batch-platform cluster`, and what each of its parts took.

Used by `cluster` and `scale_simulation`: both start the real topology as processes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil

from batch_platform.sandbox.sample_users import write_sqlite
from batch_platform_tests.recording_model import RecordingModel
from batch_platform_tests.running_platform import (
    ProjectCopy,
    Webserver,
    free_port,
    rows_of,
    up_ports,
    wait_until,
)

BASE = date(2025, 6, 12)
DAY = BASE + timedelta(days=1)
MODEL_DELAY_SECONDS = 0.2
CALLS_PER_STEP = 10
"""In flight at once in each chunk step: 50 a second at 200 ms, an eighth of one core's client."""

_NIGHT_SECONDS = 3000
_ASSET = "fortunes__daily_fortunes"
_STEPS = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run {
  status startTime endTime stepStats { stepKey startTime endTime } } } }
"""
_ROWS = """
    SELECT count(*), sum(hashtextextended((to_jsonb(row_) - 'generated_at')::text, 0))
    FROM fortunes.daily_fortunes AS row_
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a night is made.

    Attributes:
        workers: Worker processes, each executing one step at a time.
        calls_per_step: In flight at once in each chunk step.
        requests_per_minute: The provider's limit, which the platform is told; None for none.
        is_one_killed: Whether a worker is killed when a third is done.
    """

    users: int
    workers: int
    chunk_items: int
    calls_per_step: int = CALLS_PER_STEP
    requests_per_minute: int | None = None
    is_one_killed: bool = False


@dataclass(frozen=True, slots=True)
class Night:
    """What a night took and left.

    Attributes:
        seconds: Part of the night → seconds: each step's name without its chunk; `asking` from the
            first chunk's start to the last one's end; `night` the whole run.
        asked: The model server's counts.
        checksum: Rows and their hash.
    """

    users: int
    seconds: Mapping[str, float]
    asked: Mapping[str, Any]
    checksum: tuple[Any, ...]
    chunk_seconds: list[float] = field(default_factory=list[float])

    @property
    def made_seconds(self) -> float:
        """From the first chunk's start to the partition's commit."""
        return self.seconds["asking"] + self.seconds["write"]


def variables_of(setup: Setup, model: RecordingModel) -> dict[str, str]:
    """The platform's settings."""
    variables = {
        "LLM_PROVIDER": "compatible",
        "LLM_BASE_URL": model.server.url,
        "LLM_MODEL": "sandbox-1",
        "FORTUNES_WORKERS": str(setup.calls_per_step),
        "FORTUNES_FIRST_DAY": str(BASE),
        "CHUNK_ITEMS": str(setup.chunk_items),
    }
    if setup.requests_per_minute is not None:
        variables["LLM_MAX_REQUESTS_PER_MINUTE"] = str(setup.requests_per_minute)
    return variables


def make_night(project: ProjectCopy, model: RecordingModel, setup: Setup, name: str) -> Night:
    """Serve a cluster of its own home, make the night, end it.

    Raises:
        SystemExit: The night failed.
    """
    home = project.root / "var" / name
    app = write_sqlite(project.root / f"{name}.sqlite", BASE, count=setup.users + 4)
    model.received.clear()
    model.server.reset()
    model.server.configure(delay=MODEL_DELAY_SECONDS, requests_per_minute=setup.requests_per_minute)
    port = free_port()
    command = project.start(
        *("batch-platform", "cluster", "--workers", str(setup.workers), "--concurrency", "1"),
        *(*up_ports(port), "--proxy-port", str(free_port())),
        DATABASE_URL=app,
        BATCH_PLATFORM_HOME=str(home),
        **variables_of(setup, model),
    )
    try:
        command.wait_for_output("준비됨", 180)
        with Webserver(f"http://127.0.0.1:{port}/dagster") as webserver:
            run_id = webserver.launch("fortunes_night_job", DAY.isoformat())
            if setup.is_one_killed:
                _kill_one(home, model, setup.users // 3)
            wait_until(
                lambda: webserver.run_status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"},
                _NIGHT_SECONDS,
                "the night is over",
                0.5,
            )
            run = webserver.ask(_STEPS, id=run_id)["runOrError"]
        if run["status"] != "SUCCESS":
            raise SystemExit(f"the night {name} ended as {run['status']}")
        (checksum,) = rows_of(home, "batch_platform", _ROWS)
    finally:
        command.end(seconds=90)
    return _night(setup, run, model.server.stats(), checksum)


def checksum_of_one_process(
    project: ProjectCopy, model: RecordingModel, setup: Setup
) -> tuple[Any, ...]:
    """The rows that one process makes of the same users, in a database of its own."""
    model.server.reset()
    model.server.configure(delay=0.0, requests_per_minute=None)
    home = project.root / "var" / "one"
    variables = {**variables_of(setup, model), "FORTUNES_WORKERS": "32"}
    variables.pop("LLM_MAX_REQUESTS_PER_MINUTE", None)
    code, said = project.run(
        *("batch-platform", "fortunes", "generate", "--date", str(BASE)),
        seconds=_NIGHT_SECONDS,
        DATABASE_URL=write_sqlite(project.root / "one.sqlite", BASE, count=setup.users + 4),
        BATCH_PLATFORM_HOME=str(home),
        **variables,
    )
    if code != 0:
        raise SystemExit(said)
    (checksum,) = rows_of(home, "batch_platform", _ROWS)
    return checksum


def _night(
    setup: Setup, run: Mapping[str, Any], asked: Mapping[str, Any], checksum: tuple[Any, ...]
) -> Night:
    spans = {step["stepKey"]: (step["startTime"], step["endTime"]) for step in run["stepStats"]}
    chunks = [span for key, span in spans.items() if "__ask[" in key]
    seconds = {
        re.sub(rf"^{_ASSET}\.{_ASSET}__|^fortunes__", "", key): end - start
        for key, (start, end) in spans.items()
        if "__ask[" not in key
    }
    if chunks:
        seconds["asking"] = max(end for _, end in chunks) - min(start for start, _ in chunks)
    seconds["night"] = run["endTime"] - run["startTime"]
    return Night(setup.users, seconds, asked, checksum, [end - start for start, end in chunks])


def _kill_one(home: Path, model: RecordingModel, after: int) -> None:
    wait_until(lambda: model.server.stats()["answered"] >= after, _NIGHT_SECONDS, "a third", 0.5)
    ((name,),) = rows_of(
        home,
        "batch_platform",
        "SELECT worker FROM operations.worker_steps WHERE step_key LIKE '%%ask[%%'"
        " ORDER BY started_at DESC LIMIT 1",
    )
    worker = psutil.Process(int(name.partition("@")[0].rpartition("-")[2]))
    for process in (worker, *worker.children(recursive=True)):
        process.kill()
