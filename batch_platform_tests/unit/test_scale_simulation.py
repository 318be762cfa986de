"""The simulation of large nights agrees with what can be worked out by hand."""

from dataclasses import replace

import pytest

from benchmarks.scale_simulation import Costs, Plan, asking_seconds, fitted, simulate

COSTS = Costs(fixed=30, per_item=0.01, per_chunk=2, rate_per_step=80)
PLAN = Plan(items=16_000, steps=1, chunk_items=2000)


def test_chunks_are_asked_about_one_after_the_other_by_one_step() -> None:
    assert asking_seconds(PLAN, COSTS) == pytest.approx(8 * (2 + 2000 / 80), rel=0.001)


def test_two_steps_take_half_the_time_and_sixteen_no_less_than_a_chunk() -> None:
    alone = asking_seconds(PLAN, COSTS)
    assert asking_seconds(replace(PLAN, steps=2), COSTS) == pytest.approx(alone / 2, rel=0.001)
    assert asking_seconds(replace(PLAN, steps=16), COSTS) == pytest.approx(alone / 8, rel=0.001)


def test_the_providers_limit_bounds_all_steps_together() -> None:
    bound = replace(PLAN, steps=8, limit_per_second=100)
    assert asking_seconds(bound, COSTS) == pytest.approx(2 + 16_000 / 100, rel=0.001)


def test_a_lost_worker_costs_time_and_no_items() -> None:
    dying = replace(PLAN, steps=2, deaths_per_hour=200)
    calm = asking_seconds(replace(PLAN, steps=2), COSTS)
    assert calm < asking_seconds(dying, COSTS) < 3 * calm


def test_costs_are_found_again_in_the_nights_that_they_made() -> None:
    nights = [Plan(items=items, steps=2, chunk_items=items // 4) for items in (1000, 4000)]
    found = fitted(
        (1000, 4000),
        tuple(simulate(night, COSTS) - asking_seconds(night, COSTS) for night in nights),
        chunk_items=(250, 1000),
        chunk_seconds=(2 + 250 / 80, 2 + 1000 / 80),
        calls_a_second=100,
    )
    assert found.fixed == pytest.approx(COSTS.fixed)
    assert found.per_item == pytest.approx(COSTS.per_item)
    assert found.per_chunk == pytest.approx(COSTS.per_chunk)
    assert found.rate_per_step == pytest.approx(COSTS.rate_per_step)
