"""The budget of one ask while its calls come and go, without a database."""

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any, cast

import pytest

from batch_platform.core.errors import BudgetExceededError
from batch_platform.gateways.llm.budget import Budget, SharedBudget

DAY = date(2026, 11, 21)
BUDGET_KRW = 300.0
MOST_KRW = 148.5


class Shared:
    """The domain's budget, which is asked while something else happens."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def hold(self, _day: date, least: float, most: float) -> float:
        free = BUDGET_KRW - self.spent
        held = min(most, free) if least <= free else 0.0
        self.meanwhile()
        return held


def budget_of(shared: Shared) -> Budget:
    async def run(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    return Budget(cast(SharedBudget, shared), run, lambda: DAY)


def test_a_call_that_ends_while_more_is_asked_for_lets_the_next_go() -> None:
    shared = Shared()

    async def third_of_three() -> None:
        budget = budget_of(shared)
        await budget.reserve(MOST_KRW)
        await budget.reserve(MOST_KRW)

        def both_end() -> None:
            shared.meanwhile = lambda: None
            for _ in range(2):
                budget.settle(MOST_KRW, 4.0)
                shared.spent += 4.0
                budget.committed(4.0)

        shared.meanwhile = both_end
        await budget.reserve(MOST_KRW)

    asyncio.run(asyncio.wait_for(third_of_three(), 5))


def test_with_nothing_in_flight_a_call_that_could_pass_it_is_refused() -> None:
    shared = Shared()
    shared.spent = 200.0

    async def one() -> None:
        await budget_of(shared).reserve(MOST_KRW)

    with pytest.raises(BudgetExceededError):
        asyncio.run(asyncio.wait_for(one(), 5))
