"""How the model server counts its limits."""

from hypothesis import given
from hypothesis import strategies as st

from batch_platform.sandbox.limits import LimiterKind, limiter

gaps = st.lists(st.floats(min_value=0, max_value=0.7), min_size=1, max_size=80)


def passed_at(kind: LimiterKind, limit: int, window: float, steps: list[float]) -> list[float]:
    counted = limiter(kind, limit, window)
    now, passed = 1000.0, []
    for step in steps:
        now += step
        if counted.wait_seconds(now) == 0:
            passed.append(now)
    return passed


def busiest(passed: list[float], window: float) -> int:
    return max((sum(start <= at < start + window for at in passed) for start in passed), default=0)


@given(gaps, st.integers(1, 6))
def test_a_sliding_window_never_lets_more_through_than_its_limit(steps, limit):
    assert busiest(passed_at(LimiterKind.SLIDING, limit, 1.0, steps), 1.0) <= limit


@given(gaps, st.integers(1, 6))
def test_a_fixed_window_counts_by_the_clock(steps, limit):
    seconds = [int(at) for at in passed_at(LimiterKind.FIXED, limit, 1.0, steps)]
    assert all(seconds.count(second) <= limit for second in seconds)


@given(gaps, st.integers(1, 6))
def test_a_bucket_lets_through_its_content_and_what_it_gained(steps, limit):
    passed = passed_at(LimiterKind.BUCKET, limit, 1.0, steps)
    for start in passed:
        for end in (at for at in passed if at >= start):
            between = sum(start <= at <= end for at in passed)
            assert between <= limit + (end - start) * limit + 1e-6


def test_a_fixed_window_lets_twice_its_limit_through_around_its_edge_and_a_sliding_one_does_not():
    steps = [0.95, 0, 0, 0.1, 0, 0]
    assert len(passed_at(LimiterKind.FIXED, 3, 1.0, steps)) == 6
    assert len(passed_at(LimiterKind.SLIDING, 3, 1.0, steps)) == 3


@given(gaps, st.integers(1, 6), st.sampled_from(LimiterKind))
def test_a_call_that_waits_as_long_as_it_was_told_gets_through(steps, limit, kind):
    counted = limiter(kind, limit, 1.0)
    now = 1000.0
    for step in steps:
        now += step
        wait = counted.wait_seconds(now)
        if wait > 0:
            now += wait + 1e-6
            assert counted.wait_seconds(now) == 0


def test_tokens_count_by_their_number():
    counted = limiter(LimiterKind.SLIDING, 100, 60.0)
    assert counted.wait_seconds(0.0, 60) == 0
    assert counted.wait_seconds(1.0, 60) == 59.0
    assert counted.wait_seconds(1.0, 40) == 0
