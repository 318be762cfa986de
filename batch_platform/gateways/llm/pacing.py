"""How fast requests may leave: one schedule for all processes, kept in the database.

The schedule hands out evenly spaced slots (a virtual-scheduling meter, as ITU-T I.371's GCRA
without burst), so that the limit holds in any window, whatever kind of limiter the provider has. A
process takes a block of slots at a time. `grant`, `refuse` and `Block` are pure; `Pacer` applies
them.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from batch_platform.gateways.llm.database import Session, value_of

UTILISATION = 0.96
"""Share of a known limit that is used. What is left swallows jitter: with requests that leave up to
`GRACE_SECONDS` late, no second can hold more than the limit as long as grace < 1 / share - 1."""
GRACE_SECONDS = 0.04
HORIZON_SECONDS = 0.25
"""Seconds of the schedule that a process takes in one block; a pause reaches everyone this soon."""

_FETCH_AHEAD_SECONDS = 0.1
"""Calls that started together end together: what comes after their pause finds slots at hand."""
_FIRST_RATE = 160.0
_DOUBLING_SECONDS = 0.1
_UNBOUNDED_RATE = 2000.0
_FREE_SECONDS = 1.0
_REMEMBERED_SECONDS = 60
_FORGOTTEN_AFTER_SECONDS = 1800.0
_DEFAULT_PAUSE_SECONDS = 1.0
_HIGHEST_GROWTH = 0.02
_LEAST_HOLD_SECONDS = 3.0
_LEAST_RATE = 1 / 60


@dataclass(frozen=True, slots=True)
class Limits:
    """What the provider allows, a second; None where it is not known."""

    requests: float | None
    tokens: float | None

    @classmethod
    def per_minute(cls, requests: int | None, tokens: int | None) -> "Limits":
        """From the settings' figures."""
        return cls(
            requests / 60 * UTILISATION if requests else None,
            tokens / 60 * UTILISATION if tokens else None,
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """The shared state. Times are seconds of the database's clock.

    Attributes:
        request_at: When the next slot may begin for the limit on requests.
        token_at: The same for the limit on tokens.
        blocked_until: Nobody sends before: the provider asked for it.
        rate: Requests a second learned from refusals; None while none was met.
        pause_seconds: Delay that came with the last refusal.
        cut_at: When the rate was last cut.
        began_at: When asking began, from which an unknown rate is felt out.
        granted_at: When the last slot was given out.
        recent: (second, slots given out less refusals) of the last minute.
    """

    request_at: float = 0.0
    token_at: float = 0.0
    blocked_until: float = 0.0
    rate: float | None = None
    pause_seconds: float = 0.0
    cut_at: float = 0.0
    began_at: float = 0.0
    granted_at: float = 0.0
    recent: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Block:
    """Evenly spaced slots of one process.

    Attributes:
        start: When the first slot may be used, on the process's own clock.
        step: Seconds between slots; 0 lets everything pass until `ends_at`.
        ends_at: When the block is over.
        tokens_each: Tokens that a slot is accounted with.
    """

    start: float
    step: float
    count: int
    ends_at: float
    tokens_each: float
    _next: int = field(default=0, init=False)
    lapsed: int = field(default=0, init=False)

    def next_at(self, now: float) -> float | None:
        """When the next slot may be used; None when the block is used up.

        A slot that was missed by more than the grace is dropped: used late, it would come too close
        to another process's.
        """
        if self.step <= 0:
            return now if now < self.ends_at else None
        grace = max(GRACE_SECONDS, self.step / 2)
        earliest = math.ceil((now - grace - self.start) / self.step)
        if earliest > self._next:
            self.lapsed += min(earliest, self.count) - self._next
            self._next = earliest
        if self._next >= self.count:
            return None
        return self.start + self._next * self.step

    def take(self) -> None:
        """Use the slot that `next_at` named."""
        self._next += 1


@dataclass(frozen=True, slots=True)
class Granted:
    """What `grant` gave: a block whose times are the database's, or when to ask again."""

    block: Block | None
    retry_at: float = 0.0


def rate_at(schedule: Schedule, limits: Limits, now: float) -> float | None:
    """Requests a second that may leave now; None for no bound.

    An unknown limit is felt out: the rate doubles until the first refusal. After a refusal it grows
    again, the slower the longer the provider's delay: that is what the next refusal would cost.
    """
    if schedule.rate is None:
        if limits.requests is not None:
            return limits.requests
        felt = _FIRST_RATE * 2 ** min(40.0, (now - schedule.began_at) / _DOUBLING_SECONDS)
        return felt if felt < _UNBOUNDED_RATE else None
    pause = max(schedule.pause_seconds, 0.1)
    grown_for = max(0.0, now - schedule.cut_at - max(_LEAST_HOLD_SECONDS, 6 * pause))
    rate = schedule.rate * (1 + grown_for * min(_HIGHEST_GROWTH, 0.01 / pause))
    return rate if limits.requests is None else min(rate, limits.requests)


def grant(
    schedule: Schedule,
    limits: Limits,
    now: float,
    wanted: int,
    tokens_each: float,
    token_debt: float,
) -> tuple[Schedule, Granted]:
    """Give out the next slots.

    Args:
        schedule: The schedule before.
        limits: What the provider allows.
        now: Seconds of the database's clock.
        wanted: Slots that the process has use for.
        tokens_each: Tokens that a call of the process takes, estimated.
        token_debt: Tokens its calls took beyond the estimates since the last grant; negative when
            they took less.
    """
    if now - schedule.granted_at > _FORGOTTEN_AFTER_SECONDS:
        schedule = replace(schedule, rate=None, began_at=now, recent=())
    token_at = schedule.token_at
    if limits.tokens:
        token_at = max(token_at, now) + token_debt / limits.tokens
        schedule = replace(schedule, token_at=token_at)
    begin = max(now, schedule.blocked_until, schedule.request_at, token_at)
    if begin > now + HORIZON_SECONDS:
        return schedule, Granted(None, begin - HORIZON_SECONDS / 2)
    rate = rate_at(schedule, limits, now)
    request_step = 1 / rate if rate else 0.0
    token_step = tokens_each / limits.tokens if limits.tokens else 0.0
    step = max(request_step, token_step)
    if step <= 0:
        block = Block(begin, 0.0, 0, now + _FREE_SECONDS, tokens_each)
        return replace(schedule, granted_at=now), Granted(block)
    count = max(1, min(wanted, int(HORIZON_SECONDS / step)))
    second = int(now)
    recent = dict(_recent(schedule, now))
    recent[second] = recent.get(second, 0) + count
    schedule = replace(
        schedule,
        request_at=begin + (count - 1) * step + request_step,
        token_at=begin + (count - 1) * step + token_step if limits.tokens else 0.0,
        granted_at=now,
        recent=tuple(recent.items()),
    )
    return schedule, Granted(Block(begin, step, count, begin + count * step, tokens_each))


def refuse(
    schedule: Schedule, limits: Limits, now: float, delay: float | None, sent_at: float
) -> Schedule:
    """Take in a refusal: everyone pauses, and the rate is cut to what was let through before.

    The window over which that is counted is the provider's delay, at least a second: a limit by
    the minute asks for a wait of up to a minute, one by the second for less.

    Args:
        schedule: The schedule before.
        limits: What the provider allows.
        now: Seconds of the database's clock.
        delay: What the provider asked for; a second when it said nothing.
        sent_at: When the refused request left. Refusals of requests that left before the last cut
            say nothing new about the rate.
    """
    pause = _DEFAULT_PAUSE_SECONDS if delay is None else delay
    recent = dict(_recent(schedule, now))
    recent[int(now)] = recent.get(int(now), 0) - 1
    blocked_until = max(schedule.blocked_until, now + pause)
    schedule = replace(schedule, recent=tuple(recent.items()), blocked_until=blocked_until)
    if sent_at <= schedule.cut_at:
        return schedule
    window = min(max(pause, 1.0), float(_REMEMBERED_SECONDS))
    # Of the second in which the window begins, the part inside it.
    passed = sum(
        count * min(1.0, max(0.0, second + 1 - (now - window))) for second, count in recent.items()
    )
    measured = max(passed, 0.0) / window * UTILISATION
    current = rate_at(schedule, limits, now)
    highest = measured if current is None else min(measured, current * 0.9)
    return replace(
        schedule,
        rate=max(highest, _LEAST_RATE),
        pause_seconds=pause,
        cut_at=now,
        request_at=blocked_until,
    )


def _recent(schedule: Schedule, now: float) -> list[tuple[int, int]]:
    return [each for each in schedule.recent if each[0] > now - _REMEMBERED_SECONDS]


class SharedSchedule:
    """The schedule of one provider in the database, changed under its row's lock."""

    def __init__(self, session: Session, limit_key: str, limits: Limits) -> None:
        self._session = session
        self._limit_key = limit_key
        self._limits = limits

    def grant(self, wanted: int, tokens_each: float, token_debt: float) -> tuple[Granted, float]:
        """`grant` on the shared schedule; also returns the database's time at the end."""

        def change(schedule: Schedule, now: float) -> tuple[Schedule, Granted]:
            return grant(schedule, self._limits, now, wanted, tokens_each, token_debt)

        return self._session.run(lambda connection: self._change(connection, change))

    def refuse(self, delay: float | None, seconds_since_sent: float) -> tuple[None, float]:
        """`refuse` on the shared schedule."""

        def change(schedule: Schedule, now: float) -> tuple[Schedule, None]:
            sent_at = now - seconds_since_sent
            return refuse(schedule, self._limits, now, delay, sent_at), None

        return self._session.run(lambda connection: self._change(connection, change))

    def _change(
        self,
        connection: psycopg.Connection,
        change: Callable[[Schedule, float], tuple[Schedule, Any]],
    ) -> tuple[Any, float]:
        with connection.transaction():
            # The insert takes the row's lock as well, and comes before the clock is read.
            state: dict[str, Any] = value_of(
                connection,
                """
                INSERT INTO llm.pace AS shared (limit_key, state) VALUES (%s, '{}')
                ON CONFLICT (limit_key) DO UPDATE SET limit_key = excluded.limit_key
                RETURNING state
                """,
                (self._limit_key,),
            )
            now: float = value_of(
                connection, "SELECT extract(epoch FROM clock_timestamp())::float8"
            )
            schedule, result = change(_loaded(state), now)
            connection.execute(
                "UPDATE llm.pace SET state = %s, updated_at = now() WHERE limit_key = %s",
                (Jsonb(asdict(schedule)), self._limit_key),
            )
        return result, now


def _loaded(state: dict[str, Any]) -> Schedule:
    recent = tuple((int(second), int(count)) for second, count in state.pop("recent", ()))
    return Schedule(**state, recent=recent)


class Pacer:
    """Lets calls of one process pass at the shared schedule's pace. Lives in an event loop.

    Args:
        schedule: The shared schedule.
        run: Runs the schedule's synchronous methods.
        clock: Monotonic seconds.
        sleep: Waits some seconds.
    """

    def __init__(
        self,
        schedule: SharedSchedule,
        run: Callable[..., Awaitable[Any]],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._schedule = schedule
        self._run = run
        self._clock = clock
        self._sleep = sleep
        self._blocks: deque[Block] = deque()
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()
        self._server: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._retry_at = 0.0
        self._blocked_until = 0.0
        self._token_debt = 0.0
        self._tokens_each = 0.0
        self._taken = 0
        self._counted_from = clock()

    async def acquire(self, tokens: float) -> None:
        """Wait for a slot for a call of that many tokens, estimated."""
        if not self._waiting:
            now = self._clock()
            at = self._next_at(now)
            if at is not None and at <= now:
                self._take(tokens, now)
                return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, tokens))
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
            self._server.add_done_callback(self._pass_on)
        await turn

    def used(self, estimated: float, actual: float) -> None:
        """Correct what a call was accounted with."""
        self._token_debt += actual - estimated

    async def refused(self, delay: float | None, sent_at: float) -> None:
        """Pause everyone. Other processes learn of it with their next block."""
        now = self._clock()
        self._blocks.clear()
        self.pause(_DEFAULT_PAUSE_SECONDS if delay is None else delay)
        await self._run(self._schedule.refuse, delay, now - sent_at)

    def pause(self, seconds: float) -> None:
        """Let nothing of this process pass for a while."""
        self._blocked_until = max(self._blocked_until, self._clock() + seconds)

    def close(self) -> None:
        """Stop serving."""
        for task in (self._server, self._renewal):
            if task is not None:
                task.cancel()

    def _next_at(self, now: float) -> float | None:
        """When the next slot at hand may be used; None when there is none or a pause is on."""
        if now < self._blocked_until:
            return None
        while self._blocks:
            block = self._blocks[0]
            at = block.next_at(now)
            if at is not None:
                return at
            # Slots nobody used took no tokens.
            self._token_debt -= block.lapsed * block.tokens_each
            self._blocks.popleft()
        return None

    def _take(self, tokens: float, now: float) -> None:
        block = self._blocks[0]
        block.take()
        self._taken += 1
        self._token_debt += tokens - block.tokens_each
        self._tokens_each += (tokens - self._tokens_each) * (0.1 if self._tokens_each else 1.0)
        # The next block is fetched before this one ends, so that nobody waits for the database.
        if self._blocks[-1].ends_at - now < _FETCH_AHEAD_SECONDS and now >= self._retry_at:
            self._renew()

    async def _serve(self) -> None:
        while self._waiting:
            now = self._clock()
            at = self._next_at(now)
            if at is not None and at <= now:
                turn, tokens = self._waiting.popleft()
                if not turn.cancelled():
                    self._take(tokens, now)
                    turn.set_result(None)
            elif at is not None:
                await self._sleep(at - now)
            elif now < (until := max(self._blocked_until, self._retry_at)):
                await self._sleep(until - now)
            else:
                await self._renew()

    def _renew(self) -> "asyncio.Task[None]":
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._fetch())
            self._renewal.add_done_callback(self._pass_on)
        return self._renewal

    async def _fetch(self) -> None:
        now = self._clock()
        elapsed = max(now - self._counted_from, 0.02)
        # What the last block's time took, and somewhat more: a fast run asks once for many calls.
        expected = int(self._taken / elapsed * HORIZON_SECONDS * 1.2)
        tokens = self._tokens_each or (self._waiting[0][1] if self._waiting else 0.0)
        debt, self._token_debt = self._token_debt, 0.0
        self._taken, self._counted_from = 0, now
        granted, server_now = await self._run(
            self._schedule.grant, max(len(self._waiting), expected), tokens, debt
        )
        # The database read its clock some time before this: the offset errs to the late side.
        offset = self._clock() - server_now
        block: Block | None = granted.block
        if block is None:
            self._retry_at = granted.retry_at + offset
            return
        block.start += offset
        block.ends_at += offset
        self._blocks.append(block)

    def _pass_on(self, task: "asyncio.Task[None]") -> None:
        """Give what the task died of to those who wait for it."""
        if task.cancelled() or (problem := task.exception()) is None:
            return
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(problem)
