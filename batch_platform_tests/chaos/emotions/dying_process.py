"""Processes that do a batch's next steps and are killed with SIGKILL where a test says.

Run as `python -m batch_platform_tests.chaos.emotions.dying_process`, it imports everything once and
forks a process for each line of JSON that it reads: `{"world": PATH, "point": P, "key": BATCH}`,
answered by its number; `{"wait": NUMBER}` is answered by how it ended, as `subprocess` tells it.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.store import EmotionStore
from batch_platform.gateways.llm.batched import BatchedCalls
from batch_platform.gateways.llm_batch import openai_batches  # noqa: F401 - slow: before forks
from batch_platform.gateways.llm_batch.models import BatchJob, BatchLine
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.batch_server import RunningBatchServer
from batch_platform_tests.emotion_world import Clock, EmotionWorld

POINTS = (
    "while choosing",
    "before upload",
    "after upload",
    "before create",
    "after create",
    "after the id is stored",
    "while downloading",
    "while parsing",
    "after the ledger",
    "after the last line",
)
LINES_BEFORE_THE_END = 7


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingClient:
    """A client whose process dies around one of its calls."""

    def __init__(self, client: Any, point: str) -> None:
        self._client = client
        self._point = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def _dies_at(self, point: str) -> None:
        if self._point == point:
            die()

    def upload(self, file: Path, run_key: str) -> str:
        self._dies_at("before upload")
        found = self._client.upload(file, run_key)
        self._dies_at("after upload")
        return found

    def create(self, file_ref: str, run_key: str) -> BatchJob:
        self._dies_at("before create")
        found = self._client.create(file_ref, run_key)
        self._dies_at("after create")
        return found

    def results(self, job: BatchJob, folder: Path) -> Iterator[BatchLine]:
        for number, line in enumerate(self._client.results(job, folder)):
            if number == LINES_BEFORE_THE_END:
                self._dies_at("while downloading")
            yield line


def before(owner: Any, name: str) -> None:
    setattr(owner, name, die)


def after(owner: Any, name: str) -> None:
    work: Callable[..., Any] = getattr(owner, name)

    def and_die(*given: Any, **named: Any) -> Any:
        work(*given, **named)
        die()

    setattr(owner, name, and_die)


def world_of(description: Path) -> EmotionWorld:
    said = json.loads(description.read_text())
    return EmotionWorld(
        PlatformDb(said["db"]),
        Path(said["folder"]),
        RunningBatchServer(said["port"]),
        Clock(datetime.fromisoformat(said["now"])),
        said["variables"],
    )


def work(world: EmotionWorld, point: str, key: str) -> None:
    world.changes_client = lambda client: DyingClient(client, point)
    match point:
        case "while choosing":
            before(JobStore, "note_chosen")
        case "after the id is stored":
            after(JobStore, "note_seen")
        case "while parsing":
            before(BatchedCalls, "record")
        case "after the ledger":
            before(EmotionStore, "settle")
        case "after the last line":
            before(JobStore, "note_collected")
        case _:
            pass
    world.finish(key)
    world.close()


def forked(world: Path, point: str, key: str) -> int:
    number = os.fork()
    if number:
        return number
    log = os.open(world.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        work(world_of(world), point, key)
    except BaseException:  # noqa: BLE001 - whatever it is, the test is told
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        said = json.loads(line)
        if "wait" in said:
            _, status = os.waitpid(said["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = forked(Path(said["world"]), said["point"], said["key"])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
