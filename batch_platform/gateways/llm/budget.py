"""Won that a domain may spend in a day, over all processes: set aside, then charged."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import psycopg

from batch_platform.core.errors import BudgetExceededError
from batch_platform.gateways.llm.database import Session, value_of

_CALLS_AHEAD = 8
_NOTHING_KRW = 1e-6  # sums of floats seldom come back to 0


class SharedBudget:
    """A domain's budget in the database, for one owner."""

    def __init__(self, session: Session, domain: str, limit_krw: float, owner: int) -> None:
        self._session = session
        self._domain = domain
        self._limit_krw = limit_krw
        self._owner = owner

    def hold(self, day: date, least_krw: float, wanted_krw: float) -> float:
        """Make this owner's reservation of the day as much as wanted, or what is left.

        Returns:
            What the reservation is now: 0 and unchanged when not even the least is left.
        """

        def work(connection: psycopg.Connection) -> float:
            with connection.transaction():
                key = (self._domain, day)
                connection.execute(
                    "INSERT INTO llm.spending VALUES (%s, %s, 0) ON CONFLICT DO NOTHING", key
                )
                spent: float = value_of(
                    connection,
                    """
                    SELECT spent_krw FROM llm.spending
                    WHERE domain = %s AND spent_on = %s FOR UPDATE
                    """,
                    key,
                )
                others: float = value_of(
                    connection,
                    """
                    SELECT coalesce(sum(reserved_krw), 0) FROM llm.reservations
                    WHERE domain = %s AND spent_on = %s AND owner <> %s
                      AND owner IN (SELECT owner FROM llm.live_owners)
                    """,
                    (*key, self._owner),
                )
                held = min(wanted_krw, self._limit_krw - spent - others)
                if held < least_krw:
                    return 0.0
                connection.execute(
                    """
                    INSERT INTO llm.reservations VALUES (%s, %s, %s, %s)
                    ON CONFLICT (owner, domain, spent_on)
                    DO UPDATE SET reserved_krw = excluded.reserved_krw
                    """,
                    (self._owner, *key, held),
                )
                return held

        return self._session.run(work)

    def release(self) -> None:
        """Give back what is reserved."""
        self._session.run(
            lambda connection: connection.execute(
                "DELETE FROM llm.reservations WHERE owner = %s", (self._owner,)
            )
        )


class Budget:
    """The budget of one ask. Lives in an event loop.

    What is set aside for a call is the most it can cost, so that the budget is never passed; what
    it cost is known after it, and the rest is free again.

    Args:
        shared: The domain's budget; None for no bound.
        run: Runs the shared budget's synchronous methods.
        today: The day whose budget is charged.
    """

    def __init__(
        self,
        shared: SharedBudget | None,
        run: Callable[..., Awaitable[Any]],
        today: Callable[[], date],
    ) -> None:
        self._shared = shared
        self._run = run
        self._today = today
        self._day = today()
        self._held = 0.0
        self._in_flight = 0.0
        self._calls = 0
        self._uncommitted = 0.0
        self._freed = asyncio.Event()
        self._times_freed = 0
        self._one_at_a_time = asyncio.Lock()

    async def reserve(self, most_krw: float) -> None:
        """Set a call's highest cost aside; waits for calls in flight while that may free enough.

        Raises:
            BudgetExceededError: The call could pass the budget.
        """
        if self._shared is None or most_krw <= 0:
            return
        while True:
            self._freed.clear()
            if self._take(most_krw):
                return
            async with self._one_at_a_time:
                if self._take(most_krw):
                    return
                times_freed = self._times_freed
                if await self._ask_for_more(self._shared, most_krw):
                    continue
            if self._times_freed != times_freed:
                continue  # what was refused counted calls that have ended since
            if not self._calls and self._uncommitted < _NOTHING_KRW:
                raise BudgetExceededError(
                    "The next model call could pass the day's budget",
                    "Run again tomorrow or raise LLM_DAILY_BUDGET_KRW: what was answered is kept",
                )
            await self._freed.wait()

    def _take(self, krw: float) -> bool:
        if self._today() != self._day:
            self._day, self._held = self._today(), 0.0
        if self._in_flight + self._uncommitted + krw > self._held:
            return False
        self._in_flight += krw
        self._calls += 1
        return True

    async def _ask_for_more(self, shared: SharedBudget, krw: float) -> bool:
        used = self._in_flight + self._uncommitted
        held = await self._run(shared.hold, self._day, used + krw, used + krw * _CALLS_AHEAD)
        if held:
            self._held = held
        return bool(held)

    def settle(self, most_krw: float, paid_krw: float) -> None:
        """Say what a call cost for which `most_krw` had been set aside."""
        if self._shared is None or most_krw <= 0:
            return
        self._in_flight -= most_krw
        self._calls -= 1
        self._uncommitted += paid_krw
        self._note_freed()

    def committed(self, krw: float) -> None:
        """Say that the ledger has charged this much of what was paid."""
        if self._shared is not None:
            self._uncommitted = max(0.0, self._uncommitted - krw)
            # What was charged is no longer this owner's to hold.
            self._held = max(0.0, self._held - krw)
            self._note_freed()

    def _note_freed(self) -> None:
        self._times_freed += 1
        self._freed.set()

    async def release(self) -> None:
        """Give back what is set aside."""
        if self._shared is not None:
            await self._run(self._shared.release)
