"""What steps on several machines rely on: holds that they share, messages executed once."""

import pytest

from batch_platform.core.errors import PartitionBusyError
from batch_platform.gateways.llm import AskSummary
from batch_platform.gateways.llm.asked_chunks import asked_in_chunks, note_chunk
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.run_locks import RunLock
from batch_platform.gateways.platform_db.worker_steps import (
    is_executed,
    is_left_behind,
    step_lock,
    take_step,
    worker_of,
)

ASSET, DAY = "fortunes/daily_fortunes", "2026-11-21"


def test_steps_of_one_run_hold_a_partition_together_and_nobody_else_gets_it(
    platform_db: PlatformDb,
) -> None:
    with (
        platform_db.hold_together(ASSET, DAY, holder="run one"),
        platform_db.hold_together(ASSET, DAY, holder="run one"),
    ):
        with (
            pytest.raises(PartitionBusyError, match="run one"),
            platform_db.hold_together(ASSET, DAY, holder="run two"),
        ):
            pass
        with (
            pytest.raises(PartitionBusyError, match="run one"),
            platform_db.hold(ASSET, DAY, holder="run two"),
        ):
            pass
        with platform_db.hold_together(ASSET, "2026-11-22", holder="run two"):
            pass
    with (
        platform_db.hold(ASSET, DAY, holder="run two"),
        pytest.raises(PartitionBusyError, match="run two"),
        platform_db.hold_together(ASSET, DAY, holder="run one"),
    ):
        pass


def test_a_message_that_comes_twice_is_taken_once(platform_db: PlatformDb) -> None:
    assert worker_of(platform_db, "m1") is None
    assert take_step(platform_db, "m1", "run", "step", "worker@one")
    assert not take_step(platform_db, "m1", "run", "step", "worker@two")
    assert worker_of(platform_db, "m1") == "worker@one"


def test_a_worker_shows_that_it_executes_a_message(platform_db: PlatformDb) -> None:
    assert not is_executed(platform_db, "m1")
    with step_lock(platform_db, "m1"):
        assert is_executed(platform_db, "m1")
        assert not is_executed(platform_db, "m2")
    assert not is_executed(platform_db, "m1")


def test_a_step_whose_run_is_gone_is_waited_for(platform_db: PlatformDb) -> None:
    take_step(platform_db, "m1", "dead", "chats__classifications.ask[0]", "worker")
    step = "chats__classifications.ask[1]"
    assert not is_left_behind(platform_db, "next", step)
    with step_lock(platform_db, "m1"):
        assert is_left_behind(platform_db, "next", step)
        assert not is_left_behind(platform_db, "next", "chats__report")
        with RunLock(platform_db, "dead"):
            assert not is_left_behind(platform_db, "next", step)


def test_what_chunks_took_is_added_up_for_their_run_and_day(platform_db: PlatformDb) -> None:
    took = AskSummary(asked=3, calls=4, retries=1, input_tokens=30, output_tokens=9, cost_krw=1.5)
    for run, day, chunk in (("a", DAY, 0), ("a", DAY, 1), ("a", DAY, 1), ("b", DAY, 0)):
        note_chunk(platform_db, run, ASSET, day, chunk, took)
    # A chunk that was asked about twice, as its worker died, has cost twice.
    found = asked_in_chunks(platform_db, "a", ASSET, DAY)
    assert found == AskSummary(
        asked=9, calls=12, retries=3, input_tokens=90, output_tokens=27, cost_krw=4.5
    )
    assert asked_in_chunks(platform_db, "a", ASSET, "2026-11-22") is None
