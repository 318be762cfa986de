"""The schedule: no window holds more than the limit, whoever asks, and nearly all of it is used."""

from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from batch_platform.gateways.llm.pacing import (
    GRACE_SECONDS,
    HORIZON_SECONDS,
    UTILISATION,
    Block,
    Limits,
    Schedule,
    grant,
    rate_at,
    refuse,
)


def run(
    per_minute: int, demands: list[int], seconds: float, late: list[float]
) -> tuple[list[float], Schedule]:
    """Several processes that always want slots, each used up to `late` seconds after its time."""
    limits = Limits.per_minute(per_minute, None)
    schedule = Schedule()
    sent: list[float] = []
    now = 1_000_000.0
    next_ask = dict.fromkeys(range(len(demands)), now)
    while (now := min(next_ask.values())) < 1_000_000.0 + seconds:
        process = min(next_ask, key=next_ask.__getitem__)
        schedule, granted = grant(schedule, limits, now, demands[process], 1, 0)
        if granted.block is None:
            next_ask[process] = max(granted.retry_at, now + 0.001)
            continue
        block = granted.block
        for number in range(block.count):
            jitter = late[len(sent) % len(late)] * GRACE_SECONDS
            sent.append(block.start + number * block.step + jitter)
        next_ask[process] = max(now + 0.001, block.ends_at - 0.05)
    return sorted(sent), schedule


@settings(max_examples=60, deadline=None)
@given(
    per_minute=st.integers(30, 6000),
    demands=st.lists(st.integers(1, 64), min_size=1, max_size=4),
    late=st.lists(st.floats(0, 1), min_size=1, max_size=7),
)
def test_no_minute_holds_more_than_the_limit(
    per_minute: int, demands: list[int], late: list[float]
) -> None:
    sent, _ = run(per_minute, demands, 130, late)
    busiest = max(bisect_left(sent, start + 60) - place for place, start in enumerate(sent))
    assert busiest <= per_minute
    in_the_middle = bisect_left(sent, sent[0] + 110) - bisect_left(sent, sent[0] + 50)
    assert in_the_middle >= 0.9 * per_minute - 1


@settings(max_examples=40, deadline=None)
@given(per_second=st.integers(5, 100), late=st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_no_second_holds_more_than_its_share(per_second: int, late: list[float]) -> None:
    """For providers that count a limit by the minute in seconds."""
    sent, _ = run(60 * per_second, [16, 16], 5, late)
    busiest = max(bisect_left(sent, start + 1 - 1e-6) - place for place, start in enumerate(sent))
    assert busiest <= per_second


def test_tokens_are_paced_and_corrected() -> None:
    limits = Limits.per_minute(None, 60_000)
    schedule, granted = grant(Schedule(), limits, 100.0, 10, 500, 0)
    assert granted.block is not None
    assert granted.block.step == 500 / (1000 * UTILISATION)
    # The calls took twice as many: what comes next comes that much later.
    debt = 500 * granted.block.count
    later, _ = grant(schedule, limits, 100.1, 10, 500, debt)
    assert later.token_at - schedule.token_at >= debt / 1000


def test_an_unknown_limit_is_felt_out_and_a_refusal_pauses_everyone() -> None:
    limits = Limits(None, None)
    schedule, granted = grant(Schedule(), limits, 5000.0, 64, 1, 0)
    assert granted.block is not None
    assert granted.block.step > 0
    faster, again = grant(schedule, limits, 5000.25, 64, 1, 0)
    assert again.block is not None
    assert again.block.step < granted.block.step
    paused = refuse(faster, limits, 5000.3, delay=2.0, sent_at=5000.29)
    assert grant(paused, limits, 5000.4, 64, 1, 0)[1].block is None
    assert grant(paused, limits, 5002.31, 64, 1, 0)[1].block is not None
    rate = rate_at(paused, limits, 5002.31)
    assert rate is not None
    # Requests that left before the cut say nothing new.
    assert refuse(paused, limits, 5000.31, 1.0, sent_at=5000.2).rate == paused.rate
    assert refuse(paused, limits, 5003.0, 1.0, sent_at=5002.9).rate < rate  # type: ignore[operator]


def test_a_known_limit_is_never_passed_by_growth() -> None:
    limits = Limits.per_minute(600, None)
    schedule = refuse(Schedule(granted_at=100.0), limits, 100.0, 1.0, sent_at=99.9)
    assert rate_at(schedule, limits, 100.0 + 100_000) == limits.requests


def test_a_slot_missed_by_more_than_the_grace_is_dropped() -> None:
    block = Block(start=10.0, step=0.1, count=3, ends_at=10.3, tokens_each=1)
    assert block.next_at(9.0) == 10.0
    assert block.next_at(10.04) == 10.0
    assert block.next_at(10.06) == 10.1
    assert block.lapsed == 1
    block.take()
    assert block.next_at(10.06) == 10.2
    assert block.next_at(11.0) is None
    assert block.lapsed == 2


def test_a_block_is_no_longer_than_the_horizon() -> None:
    _, granted = grant(Schedule(), Limits(100.0, None), 50.0, 10_000, 1, 0)
    assert granted.block is not None
    assert granted.block.ends_at - granted.block.start <= HORIZON_SECONDS + 1e-9
