"""A job for the model engine, run in a process of its own and measured from inside it.

`start` runs it and `finish` takes what it tells; the process itself is
`python -m benchmarks.llm_job '<JSON of a Job>'`. Everything is on as in a night: ledger, claims,
pacing, masking, retries, progress. What is compared with it is elsewhere.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr

from batch_platform.core.settings import PROJECT_ROOT, ModelSettings, load_settings
from batch_platform.gateways.llm import Answered, Item, Task, open_bulk_llm
from benchmarks.peers.job import Classification, stopwatch

MODEL = "sandbox-1"
SLICE_ITEMS = 2_000

_PRICES = Path(__file__).parent / "llm_prices.json"
"""Of the made-up model, so that costs are worked out and charged as in a night."""
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of whom.

    Attributes:
        first: Number of the first item; items of the same number have the same text.
        requests_per_minute: The provider's limit as far as the client knows it.
    """

    database_url: str
    model_url: str
    items: int
    workers: int = 64
    items_per_call: int = 1
    first: int = 0
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a job came to.

    Attributes:
        cpu_seconds: User and system time of the job's process, all its threads; neither the
            database's nor the model server's.
        items: Items answered.
        peak_bytes: Most resident memory of the process.
        slice_seconds: Time of each `SLICE_ITEMS` outcomes in turn.
    """

    seconds: float
    cpu_seconds: float
    items: int
    calls: int
    refusals: int
    peak_bytes: int
    slice_seconds: list[float]

    @property
    def items_per_second(self) -> float:
        """By the wall's clock."""
        return self.items / self.seconds


def task(items_per_call: int = 1) -> Task[Classification]:
    """What every job asks."""
    return Task(
        name="benchmark.classify",
        instructions="Say which category each question to a school belongs to, and its keyword.",
        prompt_version="1",
        answer=Classification,
        typical_output_tokens=40,
        items_per_call=items_per_call,
    )


def question(number: int) -> str:
    """An item's text."""
    return f"{number}번 학생이 다음 달에 전학을 갑니다. 서류는 무엇이 필요하고 어디에 내면 되나요?"


def start(job: Job) -> "subprocess.Popen[str]":
    """Start a job in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.llm_job", json.dumps(asdict(job))],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> Told:
    """Wait for a job and take what it tells.

    Raises:
        RuntimeError: It failed; why stands above.
    """
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"A job of the engine ended with exit code {process.returncode}")
    return Told(**json.loads(output.splitlines()[-1]))


def run(job: Job) -> Told:
    """Run a job in a process of its own."""
    return finish(start(job))


def _settings(job: Job) -> ModelSettings:
    return load_settings().model.model_copy(
        update={
            "provider": "compatible",
            "compatible_base_url": job.model_url,
            "compatible_api_key": SecretStr("sandbox"),
            "compatible_model": MODEL,
            "requests_per_minute": job.requests_per_minute,
            "prices_file": _PRICES,
        }
    )


def _items(job: Job) -> Iterator[Item]:
    for number in range(job.first, job.first + job.items):
        yield Item(str(number), question(number))


def _work(job: Job) -> Told:
    llm = open_bulk_llm(_settings(job), job.database_url, is_made_up=True)
    # What is imported late is not the engine's pace; the peers make a first call as well.
    list(llm.ask(task(), [Item("first", question(-1))], workers=1, partition="first"))
    ask = llm.ask(
        task(job.items_per_call), _items(job), workers=job.workers, partition=f"from {job.first}"
    )
    answered, passed = 0, [time.perf_counter()]
    with stopwatch() as spent:
        for number, outcome in enumerate(ask, 1):
            answered += isinstance(outcome, Answered)
            if number % SLICE_ITEMS == 0:
                passed.append(time.perf_counter())
    return Told(
        spent.seconds,
        spent.cpu_seconds,
        answered,
        ask.summary.calls,
        ask.summary.refusals,
        _peak_bytes(),
        [end - begin for begin, end in pairwise(passed)],
    )


def _peak_bytes() -> int:
    """Most resident memory of this process; `ru_maxrss` begins with its parent's on Linux."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if "VmHWM" in line)
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(asdict(_work(Job(**json.loads(sys.argv[1]))))))
