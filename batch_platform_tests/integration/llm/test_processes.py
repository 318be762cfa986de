"""Several processes, and processes that are killed: one limit for all, nothing paid for twice."""

import random
import time

import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.model_server import RunningModelServer, running_model_server
from batch_platform_tests.integration.llm.asking import classify, questions
from batch_platform_tests.integration.llm.asking_process import Told, start
from batch_platform_tests.integration.llm.conftest import MakeLlm


def test_processes_share_one_limit(platform_db: PlatformDb) -> None:
    """Two processes, then three: together never above it, and near it all the time."""
    limit, shares = 30, (65, 65, 45)
    with running_model_server() as server:
        running = []
        for number, share in enumerate(shares):
            if number == 2:
                time.sleep(2.0)
            running.append(
                start(
                    platform_db,
                    server,
                    count=share,
                    workers=16,
                    per_minute=60 * limit,
                    first=1000 * number,
                )
            )
        results = [process.finish() for process in running]
        # A minute, scaled down: what a process may be late by counts for more.
        stats = server.stats(2.0)
    assert [result.answered for result in results] == list(shares)
    assert sum(result.refusals for result in results) == 0
    assert stats["max_calls_in_window"] <= 2 * limit
    busy = stats["calls_per_second"][1:-2]
    assert sum(busy) / len(busy) >= 0.9 * limit


def test_processes_that_ask_the_same_pay_once(platform_db: PlatformDb) -> None:
    with running_model_server(delay=0.02) as server:
        running = [start(platform_db, server, count=300, workers=8) for _ in range(2)]
        results = [process.finish() for process in running]
        stats = server.stats()
    assert [result.answered for result in results] == [300, 300]
    assert stats["received"] == 300


def test_a_killed_run_goes_on_where_it_stopped(
    platform_db: PlatformDb, make_llm: MakeLlm, model_server: RunningModelServer
) -> None:
    model_server.configure(delay=0.05)
    process = start(platform_db, model_server, count=300, workers=16)
    while model_server.stats()["answered"] < 100:
        time.sleep(0.01)
    process.kill()
    lost = lost_calls(platform_db, model_server)
    assert 0 < lost <= 16
    ask = make_llm().ask(classify(), questions(300), workers=16, partition="p")
    assert len({outcome.item.id for outcome in ask}) == 300
    assert model_server.stats()["received"] == 300 + lost
    again = make_llm().ask(classify(), questions(300), workers=16, partition="p")
    assert len(list(again)) == 300
    assert again.summary.calls == 0


@pytest.mark.slow
def test_twenty_kills_cost_at_most_the_calls_in_flight(platform_db: PlatformDb) -> None:
    """As an operator's worst night: the job is killed again and again at random moments."""
    moments = random.Random(20261120)
    items, workers = 2000, 32
    lost: list[int] = []
    with running_model_server(delay=0.06) as server:
        for _ in range(20):
            seen = server.stats()["received"]
            process = start(platform_db, server, count=items, workers=workers)
            while server.stats()["received"] == seen:
                assert process.is_running()
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 0.25))
            assert process.is_running(), "the job is too short for twenty kills"
            process.kill()
            lost.append(lost_calls(platform_db, server) - sum(lost))
        assert max(lost) <= workers
        last = start(platform_db, server, count=items, workers=workers).finish()
        assert last.answered == items
        assert server.stats()["received"] == items + sum(lost)
        rerun = start(platform_db, server, count=items, workers=workers).finish()
        assert rerun == Told(answered=items, calls=0, refusals=0)
    with platform_db.connect("test") as connection:
        assert connection.execute("SELECT count(*), count(output) FROM llm.calls").fetchone() == (
            items,
            items,
        )


def lost_calls(db: PlatformDb, server: RunningModelServer) -> int:
    """Calls that reached the server, and whose answers will never be in the ledger, up to now."""
    with db.connect("test") as connection:
        # What a killed process had sent on its way arrives all the same: calls, and a commit.
        while connection.execute(
            """
            SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'llm %'
            """
        ).fetchone():
            time.sleep(0.01)
        while server.stats()["in_flight"]:
            time.sleep(0.01)
        row = connection.execute("SELECT count(*) FROM llm.calls").fetchone()
        return server.stats()["received"] - (row[0] if row else 0)
