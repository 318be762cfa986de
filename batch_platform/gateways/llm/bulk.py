"""`BulkLlm`, what a workflow holds. Synchronous; each ask has an event loop in its own thread.

The caller's thread reads the items and gets the outcomes, so its database connections and Dagster's
context are used where they belong; the loop's thread only asks.
"""

import asyncio
import gc
import logging
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic
from zoneinfo import ZoneInfo

import psycopg

from batch_platform.core.errors import ConfigurationError, PlatformError, RetryableError
from batch_platform.core.settings import ModelSettings
from batch_platform.gateways.llm import ledger as ledger_module
from batch_platform.gateways.llm.batched import BatchedCalls
from batch_platform.gateways.llm.budget import Budget, SharedBudget
from batch_platform.gateways.llm.database import LoopSession, Session, new_owner
from batch_platform.gateways.llm.engine import Entry, Run, estimated_tokens, restored
from batch_platform.gateways.llm.ledger import Keys, Ledger, Provenance, prepared
from batch_platform.gateways.llm.models import (
    A,
    Answered,
    AskSummary,
    Estimate,
    Item,
    Outcome,
    Progress,
    Task,
)
from batch_platform.gateways.llm.pacing import Limits, Pacer, SharedSchedule
from batch_platform.gateways.llm.prices import UNKNOWN, Price, price_of
from batch_platform.gateways.llm.progress import ProgressRow
from batch_platform.gateways.llm.providers import Provider, choose_provider
from batch_platform.gateways.llm.retries import CircuitBreaker
from batch_platform.gateways.llm.structured import AnswerForm

SEOUL = ZoneInfo("Asia/Seoul")

_READ_AHEAD_ITEMS = 2000
_READ_AT_ONCE = 500
_PROGRESS_EVERY_SECONDS = 1.0
_BREAKER_PATIENCE_SECONDS = 60.0
_SECONDS_TO_END = 5.0
_SWITCH_SECONDS = 0.0005
"""How long the caller's thread may work before the loop's gets its turn. By default that is 5 ms,
and an answer that meets a portion of items being read would wait that long, several times."""
_HEAD_START_SECONDS = 0.08
"""How long the first calls have the processor to themselves before more items are read."""

if TYPE_CHECKING:
    from batch_platform.gateways.llm.client import ModelClient

_log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def open_bulk_llm(
    model: ModelSettings,
    database_url: str,
    *,
    is_made_up: bool,
    zone: ZoneInfo = SEOUL,
    now: Callable[[], datetime] = _utc_now,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    breaker_patience_seconds: float = _BREAKER_PATIENCE_SECONDS,
) -> "BulkLlm":
    """The bulk client of the provider that the settings choose. Opens no connection.

    Args:
        model: Which provider, and how much of it.
        database_url: libpq URL of the platform's database.
        is_made_up: Whether the provider is the sandbox.
        zone: Zone of the budget's day.
        now: Wall clock, aware of its zone.
        clock: Monotonic seconds.
        sleep: Waits some seconds.
        breaker_patience_seconds: How long nothing but failures is borne before a run ends.

    Raises:
        ConfigurationError: No provider is configured, the price file cannot be read, or there is a
            budget and no price to keep it by.
    """
    provider = choose_provider(model)
    price = price_of(provider.prices_id, provider.model, model.krw_per_usd, model.prices_file)
    if price.table == UNKNOWN:
        if model.daily_budget_krw is not None:
            raise ConfigurationError(
                f"LLM_DAILY_BUDGET_KRW is set, but no price of {provider.model} is known",
                "Give its price in LLM_PRICES_FILE, or take the budget away",
            )
        if not is_made_up:
            _log.warning(
                "No price of the model %s is known: its calls count as free."
                " LLM_PRICES_FILE can give it",
                provider.model,
            )
    return BulkLlm(
        provider,
        price,
        database_url,
        daily_budget_krw=model.daily_budget_krw,
        is_made_up=is_made_up,
        zone=zone,
        now=now,
        clock=clock,
        sleep=sleep,
        breaker_patience_seconds=breaker_patience_seconds,
    )


class BulkLlm:
    """Asks a model about many texts; made by `open_bulk_llm`."""

    def __init__(
        self,
        provider: Provider,
        price: Price,
        database_url: str,
        *,
        daily_budget_krw: float | None,
        is_made_up: bool,
        zone: ZoneInfo,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        breaker_patience_seconds: float,
    ) -> None:
        # Not before a model is about to be asked: its package takes most of a second to import,
        # which every other command and run would spend as well.
        from batch_platform.gateways.llm import client

        self.http = client
        self.provider = provider
        self.price = price
        self.database_url = database_url
        self.daily_budget_krw = daily_budget_krw
        self.is_made_up = is_made_up
        self.zone = zone
        self.now = now
        self.clock = clock
        self.sleep = sleep
        self.breaker_patience_seconds = breaker_patience_seconds

    @property
    def model(self) -> str:
        """The model's name, for rows and reports."""
        return self.provider.model

    def ask(
        self,
        task: Task[A],
        items: Iterable[Item],
        *,
        workers: int,
        partition: str,
        on_progress: Callable[[Progress], None] | None = None,
        asks_quarantined_again: bool = False,
    ) -> "Ask[A]":
        """Ask about every item; what the ledger holds is not asked again.

        Args:
            task: What is asked.
            items: Read lazily, in the caller's thread, a bounded number ahead.
            workers: Calls in flight at most.
            partition: Who uses the answers; what a live partition used is never pruned.
            on_progress: Called in the caller's thread, about once a second and at the end.
            asks_quarantined_again: Ask once more about items whose answers could not be used
                before; otherwise they are set aside again without a call, as they were paid for.

        Returns:
            An iterable of outcomes, in the order in which they come; nothing is asked before it is
            iterated. Iterating raises what ended the run early: `BudgetExceededError`,
            `ConfigurationError`, `PermanentError` or `RetryableError`, each saying how far it came.
        """
        if workers < 1:
            raise ValueError("An ask needs one worker or more")
        return Ask(self, task, items, workers, partition, on_progress, asks_quarantined_again)

    def estimate(self, task: Task[A], items: Iterable[Item]) -> Estimate:
        """What an ask would cost. Asks nothing and leaves no trace."""
        form = AnswerForm(task, self.provider.way)
        provenance = self._provenance(task, form, partition="")
        keys = Keys(provenance)
        overhead = len(form.instructions.encode()) + len(str(form.request_fields()).encode())
        seen: set[bytes] = set()
        item_count = in_ledger = to_ask = item_bytes = 0
        session = Session(self.database_url, "llm estimate")
        try:
            ledger = Ledger(session, provenance, self.price.table, owner=0)
            source = iter(items)
            while chunk := list(islice(source, _READ_AT_ONCE)):
                item_count += len(chunk)
                texts = {
                    keys.key(text): text for text in (prepared(each.text).text for each in chunk)
                }
                new = {key: text for key, text in texts.items() if key[:12] not in seen}
                seen.update(key[:12] for key in new)
                found = ledger.peek(new.keys())
                in_ledger += len(found)
                missing = [text for key, text in new.items() if key not in found]
                to_ask += len(missing)
                item_bytes += sum(
                    len(form.message([each]).encode()) for each in form.questions(missing)
                )
        finally:
            session.close()
        calls = -(-to_ask // task.items_per_call)
        input_tokens = estimated_tokens(item_bytes + overhead * calls) if calls else 0
        output_tokens = to_ask * task.typical_output_tokens
        cost = self.price.krw(input_tokens, output_tokens)
        return Estimate(item_count, in_ledger, to_ask, calls, input_tokens, output_tokens, cost)

    def batched(self, task: Task[A], *, partition: str, price_share: float) -> BatchedCalls[A]:
        """The ledger's side of asking by a provider's batch: same keys, so nothing is paid twice.

        Args:
            task: What is asked.
            partition: Who uses the answers.
            price_share: What a batch costs of the direct price, 0 to 1.
        """
        form = AnswerForm(task, self.provider.way)
        return BatchedCalls(
            task,
            form,
            self._provenance(task, form, partition),
            self.price,
            price_share,
            database_url=self.database_url,
            daily_budget_krw=self.daily_budget_krw,
            zone=self.zone,
        )

    def check_reachable(self) -> str:
        """Ask the provider for its models, which costs nothing.

        Returns:
            Provider and model, for a person.

        Raises:
            ConfigurationError: The key or the address is refused.
            RetryableError: The provider does not answer.
        """
        return self.http.check_reachable(self.provider, self.now)

    def retire_partition(self, task_name: str, partition: str) -> None:
        """Say that a partition is gone, so that `prune` may drop what only it used."""
        with psycopg.connect(self.database_url, application_name="llm retention") as connection:
            ledger_module.retire_partition(connection, task_name, partition)

    def prune(self, older_than: timedelta, *, dry_run: bool = False) -> int:
        """Delete answers that nothing used for a time, never what a live partition used.

        Returns:
            Answers that were deleted, or that would be.
        """
        with psycopg.connect(self.database_url, application_name="llm retention") as connection:
            return ledger_module.prune(connection, older_than, dry_run=dry_run)

    def _provenance(self, task: Task[A], form: AnswerForm[A], partition: str) -> Provenance:
        return Provenance(
            task=task.name,
            prompt_version=task.prompt_version,
            digest=form.digest,
            provider=self.provider.name,
            model=self.provider.model,
            parameters=self.provider.shaping,
            is_made_up=self.is_made_up,
            partition=partition,
        )


class _Channel(Generic[A]):
    """Between the caller's thread and the loop's."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._outcomes: deque[Outcome[A]] = deque()
        self._is_over = False
        self.problem: BaseException | None = None

    def put(self, outcomes: Sequence[Outcome[A]]) -> None:
        with self._condition:
            self._outcomes.extend(outcomes)
            self._condition.notify()

    def end(self, problem: BaseException | None) -> None:
        with self._condition:
            self._is_over = True
            self.problem = problem
            self._condition.notify()

    def get(self, timeout: float) -> tuple[list[Outcome[A]], bool]:
        """Whatever is there, after waiting for something; and whether nothing more will come."""
        with self._condition:
            if not self._outcomes and not self._is_over:
                self._condition.wait(timeout)
            outcomes = list(self._outcomes)
            self._outcomes.clear()
            return outcomes, self._is_over


class _Sessions:
    """An ask's connections: for the ledger, for recording answers in it, and for what all share."""

    def __init__(self, database_url: str, owner: int) -> None:
        self.owner = owner
        self.ledger = Session(database_url, "llm ledger", owner)
        self.recording = LoopSession(database_url, "llm recording", owner)
        self.control = Session(database_url, "llm control")

    async def close(self) -> None:
        """Close all; what their threads still do is waited for, as nothing else is left to do."""
        await self.recording.close()
        self.ledger.close()
        self.control.close()


class Ask(Generic[A]):
    """An ask: iterate it once. `summary` counts as it goes and is final after the last outcome."""

    def __init__(
        self,
        llm: BulkLlm,
        task: Task[A],
        items: Iterable[Item],
        workers: int,
        partition: str,
        on_progress: Callable[[Progress], None] | None,
        asks_quarantined_again: bool,
    ) -> None:
        self._llm = llm
        self._task = task
        self._items = items
        self._workers = workers
        self._on_progress = on_progress
        self._asks_quarantined_again = asks_quarantined_again
        self._form = AnswerForm(task, llm.provider.way)
        self._provenance = llm._provenance(task, self._form, partition)  # pyright: ignore[reportPrivateUsage]
        self._keys = Keys(self._provenance)
        self._channel: _Channel[A] = _Channel()
        self._total = len(items) if isinstance(items, Sized) else None
        self._started_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run: Run[A] | None = None
        self._inbox: deque[tuple[list[Entry], bool, bool]] = deque()
        self._source: Iterator[Item] = iter(())
        self._under_way: dict[int, Entry] = {}
        self._is_stopped = False
        self._has_begun = False
        self.ask_id = secrets.token_hex(16)
        self.summary = AskSummary()

    def __iter__(self) -> Iterator[Outcome[A]]:
        """Ask, and yield each outcome once its result is committed."""
        if self._has_begun:
            raise RuntimeError("An ask can be iterated once")
        self._has_begun = True
        return self._outcomes()

    def _outcomes(self) -> Iterator[Outcome[A]]:
        self._started_at = self._llm.clock()
        usual_switch_seconds = sys.getswitchinterval()
        sys.setswitchinterval(min(_SWITCH_SECONDS, usual_switch_seconds))
        # What is there stays out of the searches for garbage, each of which would hold up every
        # call in flight for a tenth of a second.
        gc.freeze()
        thread = threading.Thread(target=self._work_in_thread, name="llm ask", daemon=True)
        thread.start()
        is_finished = False
        try:
            yield from self._exchange()
            is_finished = True
        finally:
            self._stop()
            thread.join(
                None if is_finished else self._llm.provider.timeout_seconds + _SECONDS_TO_END
            )
            gc.unfreeze()
            sys.setswitchinterval(usual_switch_seconds)
            self.summary.seconds = self._llm.clock() - self._started_at
            self._show_progress(self._on_progress)
        problem = self._channel.problem
        if problem is not None:
            if isinstance(problem, PlatformError):
                yield from self._known_of_the_rest(problem)
            raise self._with_position(problem)

    def _known_of_the_rest(self, problem: PlatformError) -> Iterator[Outcome[A]]:
        """Yield what the ledger has on items that the run did not come to: it is paid for."""
        if isinstance(problem.__cause__, psycopg.Error):
            return  # the ledger is what does not answer
        rest = chain(list(self._under_way.values()), map(self._entry, self._source))
        session = Session(self._llm.database_url, "llm ledger")
        try:
            ledger = Ledger(session, self._provenance, self._llm.price.table, owner=0)
            while entries := list(islice(rest, _READ_AT_ONCE)):
                found = ledger.peek([entry.key for entry in entries])
                if found:
                    ledger.note_use(found)
                for entry in entries:
                    output = found.get(entry.key)
                    answer = self._form.from_ledger(entry.text, output) if output else None
                    if answer is not None:
                        self.summary.from_ledger += 1
                        answer = restored(answer, entry, self._task)
                        yield Answered(entry.item, answer, True, 0.0)
        finally:
            session.close()

    def _exchange(self) -> Iterator[Outcome[A]]:
        """Bring items while there is room, yield outcomes as they come."""
        source = self._source = iter(self._items)
        capacity = _READ_AHEAD_ITEMS + 2 * self._workers * self._task.items_per_call
        at_once = min(_READ_AT_ONCE, self._workers * self._task.items_per_call)
        under_way = self._under_way
        patience = _HEAD_START_SECONDS
        is_input_over = False
        shown_at = self._started_at
        while True:
            room = capacity - len(under_way)
            if not is_input_over and room >= _READ_AT_ONCE:
                entries = [self._entry(item) for item in islice(source, at_once)]
                is_input_over = len(entries) < at_once
                # The first portion is short, so that the first calls leave soon.
                at_once = _READ_AT_ONCE
                under_way.update((id(entry.item), entry) for entry in entries)
                may_more_come = capacity - len(under_way) >= _READ_AT_ONCE
                self._bring(entries, may_more_come=may_more_come, is_last=is_input_over)
                if may_more_come and not is_input_over:
                    outcomes, is_over = self._channel.get(patience)
                    patience = 0.0
                else:
                    outcomes, is_over = self._channel.get(_PROGRESS_EVERY_SECONDS)
            else:
                outcomes, is_over = self._channel.get(_PROGRESS_EVERY_SECONDS)
            for outcome in outcomes:
                under_way.pop(id(outcome.item), None)
            yield from outcomes
            now = self._llm.clock()
            if self._on_progress is not None and now - shown_at >= _PROGRESS_EVERY_SECONDS:
                shown_at = now
                self._show_progress(self._on_progress)
            if is_over and not outcomes:
                return

    def _entry(self, item: Item) -> Entry:
        masked = prepared(item.text)
        return Entry(item, masked, self._keys.key(masked.text))

    def _bring(self, entries: list[Entry], *, may_more_come: bool, is_last: bool) -> None:
        self._inbox.append((entries, may_more_come, is_last))
        self._call_in_loop(self._empty_inbox)

    def _stop(self) -> None:
        self._is_stopped = True
        self._call_in_loop(self._empty_inbox)

    def _call_in_loop(self, work: Callable[[], None]) -> None:
        """Have work done by the loop's thread, which looks at the inbox by itself at its start."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:
            # The loop has ended already; why is in the channel.
            return

    def progress(self) -> Progress:
        """How far it has come."""
        summary = self.summary
        done = summary.from_ledger + summary.asked
        settled = done + summary.quarantined
        seconds = self._llm.clock() - self._started_at
        rate = settled / seconds if seconds > 0 else 0.0
        remaining = self._total - settled if self._total is not None else None
        seconds_left = remaining / rate if remaining is not None and rate > 0 else None
        return Progress(
            done,
            summary.quarantined,
            self._total,
            remaining,
            rate,
            seconds_left,
            summary.cost_krw,
            seconds,
        )

    def _show_progress(self, show: Callable[[Progress], None] | None) -> None:
        if show is not None:
            show(self.progress())

    def _with_position(self, problem: BaseException) -> BaseException:
        if isinstance(problem, PlatformError):
            done = self.summary.from_ledger + self.summary.asked
            of = f" of {self._total}" if self._total is not None else ""
            problem.problem = f"{problem.problem} (after {done}{of} items)"
        return problem

    # -- the loop's thread ---------------------------------------------------------------------

    def _work_in_thread(self) -> None:
        problem: BaseException | None = None
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            problem = error
        finally:
            self._channel.end(problem)

    async def _work(self) -> None:
        llm = self._llm
        sessions = _Sessions(llm.database_url, new_owner())
        loop = asyncio.get_running_loop()

        async def in_control(work: Callable[..., Any], *arguments: Any) -> Any:
            return await loop.run_in_executor(sessions.control.executor, work, *arguments)

        ledger = Ledger(sessions.ledger, self._provenance, llm.price.table, sessions.owner)
        progress_row = ProgressRow(sessions.control, self.ask_id, self._provenance)
        client = llm.http.ModelClient(
            llm.provider,
            self._form.request_fields(),
            self._form.instructions,
            self._workers,
            llm.now,
            is_made_up=llm.is_made_up,
        )
        try:
            # All connections at once; whatever one of them dies of, none is left behind.
            opened = await asyncio.gather(
                loop.run_in_executor(sessions.ledger.executor, ledger.open_partition),
                in_control(progress_row.write, self.progress()),
                sessions.recording.open(),
                return_exceptions=True,
            )
            for each in opened:
                if isinstance(each, BaseException):
                    raise each
            run = self._make_run(client, ledger, sessions, in_control)
            reporter = loop.create_task(self._report(run, progress_row, in_control))
            self._loop, self._run = loop, run
            self._empty_inbox()
            problem: PlatformError | None = None
            try:
                await run.work()
            except PlatformError as error:
                problem = error
                raise
            finally:
                reporter.cancel()
                await in_control(progress_row.end, self.progress(), problem)
        finally:
            await client.close()
            await sessions.close()

    def _empty_inbox(self) -> None:
        run = self._run
        if run is None:
            return
        while self._inbox:
            entries, may_more_come, is_last = self._inbox.popleft()
            run.accept(entries, may_more_come=may_more_come, is_last=is_last)
        if self._is_stopped:
            run.stop()

    async def _report(
        self, run: Run[A], row: ProgressRow, in_control: Callable[..., Awaitable[Any]]
    ) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_EVERY_SECONDS)
            # Whoever needs the database to go on says so by himself.
            with suppress(RetryableError):
                await run.touch()
                await in_control(row.write, self.progress())

    def _make_run(
        self,
        client: "ModelClient",
        ledger: Ledger,
        sessions: "_Sessions",
        in_control: Callable[..., Awaitable[Any]],
    ) -> Run[A]:
        llm, provider = self._llm, self._llm.provider
        limits = Limits.per_minute(provider.requests_per_minute, provider.tokens_per_minute)
        schedule = SharedSchedule(sessions.control, provider.limit_key, limits)
        budget = (
            SharedBudget(sessions.control, self._task.domain, llm.daily_budget_krw, sessions.owner)
            if llm.daily_budget_krw is not None
            else None
        )
        return Run(
            self._task,
            self._form,
            client=client,
            ledger=ledger,
            ledger_session=sessions.ledger,
            recording_session=sessions.recording,
            pacer=Pacer(schedule, in_control, llm.clock, llm.sleep),
            budget=Budget(budget, in_control, lambda: llm.now().astimezone(llm.zone).date()),
            breaker=CircuitBreaker(max(10, self._workers // 2), llm.breaker_patience_seconds),
            price=llm.price,
            max_tokens=provider.max_tokens,
            workers=self._workers,
            zone=llm.zone,
            now=llm.now,
            clock=llm.clock,
            sleep=llm.sleep,
            deliver=self._channel.put,
            summary=self.summary,
            asks_quarantined_again=self._asks_quarantined_again,
        )
