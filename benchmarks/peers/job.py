"""What every peer is given and what it has to tell: the job, its answers' form, the stopwatch.

The peers' scripts run in environments of their own, each beside this file: nothing but pydantic and
the standard library is imported here, and nothing of the platform's.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel


class Classification(BaseModel):
    """What is asked about a text."""

    category: Literal["전학", "급식", "방과후", "성적", "시설", "기타"]
    keyword: str


class Answer(Classification):
    """One item's answer on the wire."""

    id: str
    head: str


class Answers(BaseModel):
    """A call's answer."""

    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Job:
    """One run: every message is one call.

    Attributes:
        base_url: Of a server that speaks chat completions; it takes any key.
        in_flight: Calls in flight at most.
        response_format: The field of a request's body that asks for `Answers` as a strict schema.
        messages: The user's message of each call.
    """

    base_url: str
    model: str
    in_flight: int
    instructions: str
    response_format: dict[str, Any]
    messages: tuple[str, ...]

    def chat(self, message: str) -> list[dict[str, str]]:
        """A call's two messages."""
        return [
            {"role": "system", "content": self.instructions},
            {"role": "user", "content": message},
        ]


@dataclass(slots=True)
class Spent:
    """What a run took.

    Attributes:
        seconds: By the wall's clock.
        cpu_seconds: User and system time of this process, all its threads.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def stopwatch() -> Generator[Spent]:
    """Measure the block; the figures are there once it has ended."""
    spent = Spent()
    cpu, start = _cpu_seconds(), time.perf_counter()
    yield spent
    spent.seconds = time.perf_counter() - start
    spent.cpu_seconds = _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def read_job() -> Job:
    """The job in the file that the command line names."""
    fields = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    return Job(**fields | {"messages": tuple(fields["messages"])})


def tell(spent: Spent, answers: Iterable[Answers]) -> None:
    """Say what a run took, in the last line of the output."""
    valid = sum(len(each.answers) == 1 and bool(each.answers[0].head) for each in answers)
    sys.stdout.write(
        "\n"
        + json.dumps({"seconds": spent.seconds, "cpu_seconds": spent.cpu_seconds, "items": valid})
        + "\n"
    )


async def ask_all(job: Job, ask: Callable[[str], Awaitable[Answers]]) -> None:
    """Run a job with a client that asks once a call, as many at once as the job allows, and tell.

    The first call is made before the stopwatch starts: what a library imports late is not its pace.
    """
    await ask(job.messages[0])
    gate = asyncio.Semaphore(job.in_flight)

    async def at_its_turn(message: str) -> Answers:
        async with gate:
            return await ask(message)

    with stopwatch() as spent:
        answers = await asyncio.gather(*[at_its_turn(message) for message in job.messages])
    tell(spent, answers)
