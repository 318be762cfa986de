"""Several processes, and processes that are killed: one limit for all, nothing paid for twice."""

import random
import subprocess
import sys
import time

import pytest

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.model_server import RunningModelServer, running_model_server
from batch_platform_tests.integration.llm.asking import classify, questions
from batch_platform_tests.integration.llm.conftest import MakeLlm


def start(
    db: PlatformDb,
    server: RunningModelServer,
    *,
    count: int,
    workers: int,
    per_minute: int = 0,
    first: int = 0,
) -> subprocess.Popen[str]:
    module = "batch_platform_tests.integration.llm.asking_process"
    numbers = [str(number) for number in (count, workers, per_minute, first)]
    return subprocess.Popen(
        [sys.executable, "-m", module, db.url, server.url, *numbers],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_one_limit(platform_db: PlatformDb, processes: int) -> None:
    limit, seconds = 30, 5
    share = limit * seconds // processes
    with running_model_server() as server:
        running = [
            start(
                platform_db,
                server,
                count=share,
                workers=16,
                per_minute=60 * limit,
                first=1000 * number,
            )
            for number in range(processes)
        ]
        results = [process.communicate(timeout=60)[0].split() for process in running]
        # A minute, scaled down: what a process may be late by counts for more.
        stats = server.stats(2.0)
    assert [int(result[0]) for result in results] == [share] * processes
    assert stats["max_calls_in_window"] <= 2 * limit
    busy = stats["calls_per_second"][1:-2]
    assert sum(busy) / len(busy) >= 0.9 * limit


def test_processes_that_ask_the_same_pay_once(platform_db: PlatformDb) -> None:
    with running_model_server(delay=0.02) as server:
        running = [start(platform_db, server, count=300, workers=8) for _ in range(2)]
        results = [process.communicate(timeout=60)[0].split() for process in running]
        stats = server.stats()
    assert [result[0] for result in results] == ["300", "300"]
    assert stats["received"] == 300


def test_a_killed_run_goes_on_where_it_stopped(
    platform_db: PlatformDb, make_llm: MakeLlm, model_server: RunningModelServer
) -> None:
    model_server.configure(delay=0.05)
    process = start(platform_db, model_server, count=300, workers=16)
    while model_server.stats()["answered"] < 100:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    received = model_server.stats()["received"]
    assert received < 300
    ask = make_llm().ask(classify(), questions(300), workers=16, partition="p")
    assert len({outcome.item.id for outcome in ask}) == 300
    # In flight at the kill, and what came in the 50 ms before it.
    assert model_server.stats()["received"] <= 300 + 2 * 16
    again = make_llm().ask(classify(), questions(300), workers=16, partition="p")
    assert len(list(again)) == 300
    assert again.summary.calls == 0


@pytest.mark.slow
def test_twenty_kills_cost_at_most_the_calls_in_flight(
    platform_db: PlatformDb, make_llm: MakeLlm
) -> None:
    """As an operator's worst night: the job is killed again and again at random moments."""
    moments = random.Random(20261120)
    workers = 32
    with running_model_server(delay=0.1) as server:
        in_flight = 0
        for _ in range(20):
            seen = server.stats()["received"]
            process = start(platform_db, server, count=2000, workers=workers)
            while server.stats()["received"] == seen and process.poll() is None:
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 0.5))
            process.kill()
            process.communicate()
            # What the engine guarantees: an answer on its way to its commit is in flight as well,
            # and there are never more of both together.
            in_flight += 2 * workers - 1
        process = start(platform_db, server, count=2000, workers=workers)
        answered, _, _ = process.communicate(timeout=60)[0].split()
        received = server.stats()["received"]
        rerun = start(platform_db, server, count=2000, workers=workers)
        assert rerun.communicate(timeout=60)[0].split() == ["2000", "0", "0"]
    assert answered == "2000"
    assert received <= 2000 + in_flight
    with platform_db.connect("test") as connection:
        assert connection.execute("SELECT count(*), count(output) FROM llm.calls").fetchone() == (
            2000,
            2000,
        )
