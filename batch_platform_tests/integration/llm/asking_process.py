"""Processes that ask, for tests that kill one or run several: forked, with everything imported."""

import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from batch_platform.gateways.llm import Answered, open_bulk_llm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.model_server import RunningModelServer
from batch_platform_tests.integration.llm.asking import classify, model_settings, questions

_LONGEST_SECONDS = 60

# A process of its own for each ask, but imports that take longer than the ask only once.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Told:
    """What an ask came to."""

    answered: int
    calls: int
    refusals: int


class AskingProcess:
    """An ask in a process of its own, started by `start`."""

    def __init__(self, process: BaseProcess, result: Connection) -> None:
        self._process = process
        self._result = result

    def is_running(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        """Kill it with SIGKILL, which nothing can prepare for."""
        self._process.kill()
        self._process.join(_LONGEST_SECONDS)

    def finish(self) -> Told:
        assert self._result.poll(_LONGEST_SECONDS), "the process does not come to an end"
        told = self._result.recv()
        self._process.join(_LONGEST_SECONDS)
        return told


def start(
    db: PlatformDb,
    server: RunningModelServer,
    *,
    count: int,
    workers: int,
    per_minute: int = 0,
    first: int = 0,
) -> AskingProcess:
    """Start asking the first `count` questions from number `first` on."""
    result, its_end = _processes.Pipe(duplex=False)
    process = _processes.Process(
        target=_ask,
        args=(its_end, db.url, server.url, count, workers, per_minute, first),
        daemon=True,
    )
    process.start()
    its_end.close()
    return AskingProcess(process, result)


def _ask(
    result: Connection,
    database_url: str,
    server_url: str,
    count: int,
    workers: int,
    per_minute: int,
    first: int,
) -> None:
    limit = {"LLM_MAX_REQUESTS_PER_MINUTE": per_minute} if per_minute else {}
    llm = open_bulk_llm(model_settings(server_url, **limit), database_url, is_made_up=True)
    ask = llm.ask(classify(), questions(count, first), workers=workers, partition="p")
    answered = sum(isinstance(outcome, Answered) for outcome in ask)
    result.send(Told(answered, ask.summary.calls, ask.summary.refusals))
