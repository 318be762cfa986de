"""One ask, inside its event loop: from items to committed outcomes.

An item is looked up in the ledger and claimed, waits for a call, is asked (paced, within the
budget, again when that can help), and is settled once its result is committed. Until then its call
keeps its place among those in flight: whenever the process is killed, what was paid for and is lost
is at most a call for each worker. What the caller sees is in `bulk`; what a failure means in
`failures`; what an answer means in `structured`.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from batch_platform.core.errors import ConfigurationError, RetryableError
from batch_platform.core.personal_data import Masked, restore
from batch_platform.gateways.llm.budget import Budget
from batch_platform.gateways.llm.database import LoopSession, Session
from batch_platform.gateways.llm.failures import CallFailed, Kind
from batch_platform.gateways.llm.ledger import RECORD, Ledger, Record
from batch_platform.gateways.llm.models import (
    A,
    Answered,
    AskSummary,
    Item,
    Outcome,
    Quarantined,
    Task,
)
from batch_platform.gateways.llm.pacing import Pacer
from batch_platform.gateways.llm.prices import Price
from batch_platform.gateways.llm.retries import (
    LONGEST_DELAY_SECONDS,
    MAX_ATTEMPTS,
    MAX_REFUSALS,
    CircuitBreaker,
    backoff_seconds,
)
from batch_platform.gateways.llm.structured import AnswerForm, Problem

if TYPE_CHECKING:
    from batch_platform.gateways.llm.client import ModelClient, Reply

T = TypeVar("T")

_PATIENCE_BEFORE_CONTACT = 1 / 8
"""Of the breaker's patience, while nobody has been reached yet: a wrong address, most likely."""
_ATTEMPTS_OF_SHORT_BACKOFF = 3
_LONGEST_STEP_SECONDS = 0.003
_LONGEST_START_SECONDS = 0.064
_LOOK_ELSEWHERE_SECONDS = 0.3
_LOOK_UP_AT_ONCE = 1000
_BYTES_PER_TOKEN = 4
_MOST_COMPLAINTS = 2
_MOST_GARBLED = 4
_CALLS_THAT_PROVE_A_BAD_REQUEST = 5


@dataclass(slots=True, eq=False)
class Entry:
    """An item on its way.

    Attributes:
        text: As it is asked: normalised and masked.
        followers: Items with the same key: asked once, answered together.
        is_alone: Whether it must have a call of its own.
        complaints: Answers that did not fit the schema, broke the task's rule or were refused.
        garbled: Answers that were no answer about this item at all.
        remark: What was wrong with the last answer; told to the model.
    """

    item: Item
    masked: Masked
    key: bytes
    followers: list["Entry"] = field(default_factory=list["Entry"])
    is_alone: bool = False
    complaints: int = 0
    garbled: int = 0
    remark: str = ""
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_seconds: float = 0.0

    @property
    def text(self) -> str:
        """The text as it is asked."""
        return self.masked.text


@dataclass(frozen=True, slots=True)
class _Result(Generic[A]):
    """What waits for its commit."""

    entry: Entry
    record: Record
    answer: A | None
    reason: str


def estimated_tokens(byte_count: int) -> int:
    """Tokens of a text, near enough for pacing and estimates: a quarter of its UTF-8 bytes."""
    return byte_count // _BYTES_PER_TOKEN + 1


class Run(Generic[A]):
    """One ask. Everything but the constructor is called in the event loop.

    Args:
        deliver: Takes settled outcomes; thread-safe.
        workers: Calls in flight at most.
    """

    def __init__(
        self,
        task: Task[A],
        form: AnswerForm[A],
        *,
        client: "ModelClient",
        ledger: Ledger,
        ledger_session: Session,
        recording_session: LoopSession,
        pacer: Pacer,
        budget: Budget,
        breaker: CircuitBreaker,
        price: Price,
        max_tokens: int,
        workers: int,
        zone: ZoneInfo,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        deliver: Callable[[Sequence[Outcome[A]]], None],
        summary: AskSummary,
        asks_quarantined_again: bool,
    ) -> None:
        self._task = task
        self._form = form
        self._client = client
        self._ledger = ledger
        self._session = ledger_session
        self._recording_session = recording_session
        self._pacer = pacer
        self._budget = budget
        self._breaker = breaker
        self._price = price
        self._max_tokens = max_tokens
        self._workers = workers
        self._zone = zone
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._deliver = deliver
        self.summary = summary
        self._asks_quarantined_again = asks_quarantined_again

        self._loop = asyncio.get_running_loop()
        ledger_session.on_reopened = self._claim_again_from_thread
        recording_session.on_reopened = self._claim_again
        self._pending: dict[bytes, Entry] = {}
        self._to_look_up: deque[Entry] = deque()
        self._looking_up = False
        self._elsewhere: deque[Entry] = deque()
        self._is_watching = False
        self._ready: deque[Entry] = deque()
        self._alone: deque[Entry] = deque()
        self._is_input_over = False
        self._may_more_come = True
        self._results: list[_Result[A]] = []
        self._unwritten_krw = 0.0
        self._calls: set[asyncio.Task[None]] = set()
        self._on_wire: set[asyncio.Task[None]] = set()
        self._helpers: set[asyncio.Task[None]] = set()
        self._dirty = asyncio.Event()
        self._is_committing = True
        self._began_at = 0.0
        self._open_places = 0
        self._taken_places = 0
        self._held_places = 0
        self._over = asyncio.Event()
        self._problem: BaseException | None = None
        self._bad_requests = 0
        self._has_succeeded = False
        self._unreached_since: float | None = None

    # -- the caller's side ---------------------------------------------------------------------

    def accept(self, entries: Sequence[Entry], *, may_more_come: bool, is_last: bool) -> None:
        """Take items.

        Args:
            entries: The items, in the caller's order.
            may_more_come: Whether the caller will bring more without one being settled first; while
                it will, no call leaves with fewer items than it may hold.
            is_last: Whether these are the last.
        """
        self._is_input_over = is_last
        self._may_more_come = may_more_come and not is_last
        for entry in entries:
            self.summary.items += 1
            self.summary.count_masked(entry.masked.counts)
            leader = self._pending.get(entry.key)
            if leader is not None:
                leader.followers.append(entry)
            else:
                self._pending[entry.key] = entry
                self._to_look_up.append(entry)
        self._start_to_look_up()
        self._pump()
        self._finish_if_done()

    def stop(self, problem: BaseException | None = None) -> None:
        """End the run: nothing new is asked, what is on the wire may finish."""
        if self._problem is None:
            self._problem = problem
        if not self._over.is_set():
            self._over.set()
            for call in self._calls - self._on_wire:
                call.cancel()

    async def work(self) -> None:
        """Run until every item is settled or something ends the run.

        Raises:
            PlatformError: What ended it.
        """
        committer = self._loop.create_task(self._commit_as_results_come())
        committer.add_done_callback(self._watch)
        try:
            self._finish_if_done()
            self._began_at = self._loop.time()
            self._open_places_in_turn()
            await self._over.wait()
            while self._calls:
                await asyncio.wait(self._calls)
        finally:
            for helper in self._helpers:
                helper.cancel()
            await asyncio.gather(*self._helpers, return_exceptions=True)
            self._pacer.close()
            # The committer is never cancelled: it may hold results that are paid for.
            self._is_committing = False
            self._dirty.set()
            await asyncio.wait([committer])
            await self._commit()
            await self._in_session(self._ledger.release)
            await self._budget.release()
        if self._problem is not None:
            raise self._problem

    # -- ledger --------------------------------------------------------------------------------

    async def _in_session(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._loop.run_in_executor(self._session.executor, work, *arguments)

    def _claim_again(self) -> None:
        """Look up anew what waits to be asked about: our claims counted for nothing for a while.

        Both sessions of the owner may have been cut, and another process have taken over.
        """
        self._to_look_up.extend([*self._alone, *self._ready])
        self._alone.clear()
        self._ready.clear()
        self._start_to_look_up()

    def _claim_again_from_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._claim_again)

    def _start_to_look_up(self) -> None:
        if self._to_look_up and not self._looking_up and not self._over.is_set():
            self._looking_up = True
            self._help(self._look_up())

    async def touch(self) -> None:
        """Have the ledger's session live, which may not be used for long."""
        await self._in_session(self._session.touch)

    async def _look_up(self) -> None:
        while self._to_look_up:
            entries = [
                self._to_look_up.popleft()
                for _ in range(min(_LOOK_UP_AT_ONCE, len(self._to_look_up)))
            ]
            await self._take_over(entries)
        self._looking_up = False
        self._pump()

    async def _take_over(self, entries: Sequence[Entry]) -> None:
        """Settle what the ledger knows, queue what is ours, watch what is somebody else's."""
        taken = await self._in_session(self._ledger.take, [entry.key for entry in entries])
        in_vain = {} if self._asks_quarantined_again else taken.in_vain
        if in_vain:
            await self._note_in_vain(in_vain)
        settled: list[Outcome[A]] = []
        for entry in entries:
            if entry.key in in_vain:
                self._set_aside(entry, in_vain[entry.key], settled)
                continue
            output = taken.found.get(entry.key)
            answer = self._form.from_ledger(entry.text, output) if output is not None else None
            if answer is not None:
                self._settle(entry, answer, 0.0, settled, is_from_ledger=True)
            elif output is not None or entry.key in taken.ours:
                (self._alone if entry.is_alone else self._ready).append(entry)
            else:
                self._elsewhere.append(entry)
        if self._elsewhere and not self._is_watching:
            self._is_watching = True
            self._help(self._look_elsewhere())
        self._hand_over(settled)
        self._pump()

    async def _note_in_vain(self, in_vain: Mapping[bytes, str]) -> None:
        """What was set aside before stays so without a call."""
        quarantined = [
            (each.item.id, reason, key)
            for key, reason in in_vain.items()
            for each in (self._pending[key], *self._pending[key].followers)
        ]
        await self._record([], quarantined, 0.0)
        await self._in_session(self._ledger.give_back, in_vain)

    async def _look_elsewhere(self) -> None:
        """Wait for what another process is asking: its answer, or its end."""
        while self._elsewhere:
            await self._sleep(_LOOK_ELSEWHERE_SECONDS)
            count = min(_LOOK_UP_AT_ONCE, len(self._elsewhere))
            await self._take_over([self._elsewhere.popleft() for _ in range(count)])
        self._is_watching = False

    async def _commit_as_results_come(self) -> None:
        """Commit what is there as soon as the last commit is through: the more, the busier."""
        while self._is_committing:
            await self._dirty.wait()
            await self._commit()

    async def _commit(self) -> None:
        self._dirty.clear()
        results, self._results = self._results, []
        krw, self._unwritten_krw = self._unwritten_krw, 0.0
        if not results and not krw:
            return
        places, self._held_places = self._held_places, 0
        quarantined = [
            (entry.item.id, result.reason, result.entry.key)
            for result in results
            if result.answer is None
            for entry in (result.entry, *result.entry.followers)
        ]
        try:
            await self._record([each.record for each in results], quarantined, krw)
        except RetryableError:
            # The run ends by it, and tries to save them once more at its end.
            self._results, self._unwritten_krw = results + self._results, krw + self._unwritten_krw
            self._held_places += places
            raise
        self._taken_places -= places
        self._budget.committed(krw)
        settled: list[Outcome[A]] = []
        for result in results:
            if result.answer is None:
                self._set_aside(result.entry, result.reason, settled)
            else:
                self._settle(
                    result.entry,
                    result.answer,
                    result.record.cost_krw,
                    settled,
                    is_from_ledger=False,
                )
        self._hand_over(settled)
        self._pump()

    async def _record(
        self, records: Sequence[Record], quarantined: Sequence[tuple[str, str, bytes]], krw: float
    ) -> None:
        arguments = self._ledger.recording(records, quarantined, self._today(), krw)
        await self._recording_session.execute(RECORD, arguments)

    def _today(self) -> date:
        return self._now().astimezone(self._zone).date()

    # -- settling ------------------------------------------------------------------------------

    def _settle(
        self,
        entry: Entry,
        answer: A,
        cost_krw: float,
        settled: list[Outcome[A]],
        *,
        is_from_ledger: bool,
    ) -> None:
        del self._pending[entry.key]
        settled.append(
            Answered(entry.item, restored(answer, entry, self._task), is_from_ledger, cost_krw)
        )
        settled += [
            Answered(follower.item, restored(answer, follower, self._task), True, 0.0)
            for follower in entry.followers
        ]
        self.summary.from_ledger += len(entry.followers) + is_from_ledger
        self.summary.asked += not is_from_ledger

    def _set_aside(self, entry: Entry, reason: str, settled: list[Outcome[A]]) -> None:
        del self._pending[entry.key]
        for each in (entry, *entry.followers):
            settled.append(Quarantined(each.item, reason))
            self.summary.quarantined += 1

    def _hand_over(self, settled: list[Outcome[A]]) -> None:
        if settled:
            self._deliver(settled)
            self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._is_input_over and not self._pending:
            self.stop()

    # -- calls ---------------------------------------------------------------------------------

    def _help(self, work: Any) -> None:
        helper = self._loop.create_task(work)
        self._helpers.add(helper)
        helper.add_done_callback(self._helpers.discard)
        helper.add_done_callback(self._watch)

    def _watch(self, task: "asyncio.Task[None]") -> None:
        """End the run with whatever a task died of, so that nobody waits for it for ever."""
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.stop(problem)

    def _pump(self) -> None:
        while self._taken_places < self._open_places and not self._over.is_set():
            batch = self._next_batch()
            if not batch:
                return
            self._taken_places += 1
            call = self._loop.create_task(self._ask(batch))
            self._calls.add(call)
            call.add_done_callback(self._call_ended)

    def _open_places_in_turn(self) -> None:
        """Open the calls' places one after the other.

        Calls that start together end together, and then all wait for the same processor.
        """
        step = min(_LONGEST_STEP_SECONDS, _LONGEST_START_SECONDS / self._workers)
        due = 1 + int((self._loop.time() - self._began_at) / step)
        self._open_places = min(due, self._workers)
        self._pump()
        if self._open_places < self._workers and not self._over.is_set():
            self._loop.call_later(step, self._open_places_in_turn)

    def _call_ended(self, call: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        self._watch(call)
        self._pump()

    def _next_batch(self) -> list[Entry]:
        if self._alone:
            return [self._alone.popleft()]
        size = self._task.items_per_call
        is_waiting_for_more = self._may_more_come or self._looking_up
        if not self._ready or (len(self._ready) < size and is_waiting_for_more):
            return []
        return [self._ready.popleft() for _ in range(min(size, len(self._ready)))]

    async def _ask(self, batch: list[Entry]) -> None:
        try:
            await self._ask_about(batch)
        finally:
            if self._dirty.is_set():
                # What came of it is still to be committed, and lost if the process is killed now.
                self._held_places += 1
            else:
                self._taken_places -= 1

    async def _ask_about(self, batch: list[Entry]) -> None:
        questions = self._form.questions([entry.text for entry in batch])
        message = self._form.message(questions, batch[0].remark)
        reply = await self._reply_to(message, batch)
        if reply is None:
            return
        if reply.problem:
            problem = Problem(reply.problem, is_garbled=not reply.is_refusal)
            self._complain([(entry, problem) for entry in batch])
            return
        accepted, problems = self._form.read(reply.content, questions)
        complaints: list[tuple[Entry, Problem]] = []
        for entry, question in zip(batch, questions, strict=True):
            answer = accepted.get(question.id)
            if answer is None:
                complaints.append((entry, problems[question.id]))
            else:
                self._keep(entry, reply.call_id, answer.answer, answer.output, "")
        self._complain(complaints)

    async def _reply_to(self, message: str, batch: list[Entry]) -> "Reply | None":
        """The model's reply; None when the batch's items were queued again or set aside instead."""
        size = self._client.overhead_bytes + len(message.encode())
        tokens = estimated_tokens(size) + self._task.typical_output_tokens * len(batch)
        # No text has more tokens than bytes: what is set aside cannot be passed.
        most_krw = self._price.krw(size, self._max_tokens)
        attempts = refusals = 0
        began = self._clock()
        while True:
            await self._budget.reserve(most_krw)
            paid_krw = 0.0
            sent_at = began
            try:
                await self._pacer.acquire(tokens)
                sent_at = self._clock()
                reply = await self._send(message)
                paid_krw = self._charge(reply, batch, self._clock() - sent_at)
                self._pacer.used(tokens, reply.input_tokens + reply.output_tokens or tokens)
                self._breaker.succeeded(self._clock())
                self._has_succeeded = True
                return reply
            except CallFailed as failure:
                failed = failure
            finally:
                self._budget.settle(most_krw, paid_krw)
            match failed.kind:
                case Kind.FATAL:
                    raise failed.fatal or RetryableError(failed.reason)
                case Kind.BAD_REQUEST:
                    self._refuse_batch(batch, failed.reason)
                    return None
                case Kind.REFUSED:
                    refusals += 1
                    self.summary.refusals += 1
                    self._check_delay(failed)
                    if refusals > MAX_REFUSALS:
                        raise RetryableError(
                            f"The provider keeps refusing: {failed.reason}", "Run again later"
                        )
                    delay = failed.delay_seconds
                    if delay is None:
                        delay = min(30.0, 1.0 * 2 ** min(refusals - 1, 5))
                    await self._pacer.refused(delay, sent_at)
                case Kind.TRANSIENT | Kind.UNREACHABLE:
                    attempts += 1
                    self._check_reached(failed, sent_at)
                    if attempts >= MAX_ATTEMPTS and self._breaker.succeeded_at > began:
                        # Others got through meanwhile: it is this call.
                        self._give_up(batch, f"The model could not be asked: {failed.reason}")
                        return None
                    self._check_delay(failed)
                    await self._back_off(attempts, failed)
            self.summary.retries += 1

    async def _send(self, message: str) -> "Reply":
        call = cast("asyncio.Task[None]", asyncio.current_task())
        self.summary.calls += 1
        self._on_wire.add(call)
        try:
            return await self._client.send(message)
        finally:
            self._on_wire.discard(call)
            if self._over.is_set() and not call.cancelling():
                # Whatever came is kept, but nothing is waited for any more.
                self._loop.call_soon(self._cancel_if_waiting, call)

    def _cancel_if_waiting(self, call: "asyncio.Task[None]") -> None:
        if not call.done():
            call.cancel()

    async def _back_off(self, attempts: int, failure: CallFailed) -> None:
        now = self._clock()
        self._breaker.failed(now)
        if self._breaker.has_tripped(now):
            raise RetryableError(
                f"{self._breaker.failures} model calls in a row failed: {failure.reason}",
                "Run again later: what was answered is kept",
                failure.delay_seconds,
            )
        pause = self._breaker.pause_seconds()
        if pause:
            self._pacer.pause(pause)
        if failure.kind is Kind.UNREACHABLE:
            # It costs nobody anything to see soon whether somebody is there again.
            attempts = min(attempts, _ATTEMPTS_OF_SHORT_BACKOFF)
        delay = failure.delay_seconds or 0.0
        await self._sleep(max(delay, backoff_seconds(attempts, random.random)))

    def _check_reached(self, failure: CallFailed, sent_at: float) -> None:
        """End a run that cannot reach the provider: what was never there seldom comes back."""
        if failure.kind is not Kind.UNREACHABLE or self._has_succeeded:
            return
        if self._unreached_since is None:
            self._unreached_since = sent_at
        if (
            self._clock() - self._unreached_since
            >= self._breaker.patience_seconds * _PATIENCE_BEFORE_CONTACT
        ):
            raise RetryableError(
                f"The model provider cannot be reached: {failure.reason}",
                "Check its address and the network, then run again",
            )

    def _check_delay(self, failure: CallFailed) -> None:
        delay = failure.delay_seconds
        if delay is not None and delay > LONGEST_DELAY_SECONDS:
            raise RetryableError(
                f"The provider asks to wait {delay:.0f} s ({failure.reason})",
                "Run again after that: what was answered is kept",
                delay,
            )

    def _charge(self, reply: "Reply", batch: list[Entry], latency_seconds: float) -> float:
        summary = self.summary
        summary.input_tokens += reply.input_tokens
        summary.output_tokens += reply.output_tokens
        krw = self._price.krw(reply.input_tokens, reply.output_tokens)
        summary.cost_krw += krw
        self._unwritten_krw += krw
        if krw:
            # Charged soon even when the answer cannot be used: the budget waits to hear of it.
            self._dirty.set()
        count = len(batch)
        for number, entry in enumerate(batch):
            # Whole tokens that add up to the call's.
            entry.input_tokens += (reply.input_tokens + number) // count
            entry.output_tokens += (reply.output_tokens + number) // count
            entry.attempts += 1
            entry.latency_seconds = latency_seconds
        return krw

    # -- answers that are none -----------------------------------------------------------------

    def _complain(self, complaints: Sequence[tuple[Entry, Problem]]) -> None:
        for entry, problem in complaints:
            if problem.is_garbled:
                entry.garbled += 1
            else:
                entry.complaints += 1
            if entry.complaints >= _MOST_COMPLAINTS or entry.garbled >= _MOST_GARBLED:
                self._quarantine(entry, f"No answer could be used: {problem.reason}")
            else:
                entry.is_alone = True
                entry.remark = (
                    f"Your last answer about this item could not be used: {problem.reason}. "
                    "Answer again."
                )
                self._alone.append(entry)
                self.summary.retries += 1
        self._pump()

    def _refuse_batch(self, batch: list[Entry], reason: str) -> None:
        """Take in that the provider calls a call wrong: one item of it may be, or every call."""
        if not self._has_succeeded:
            self._bad_requests += 1
            if self._bad_requests >= _CALLS_THAT_PROVE_A_BAD_REQUEST:
                raise ConfigurationError(
                    f"The provider takes no call of the task {self._task.name}: {reason}",
                    "Check the model, its parameters and LLM_STRUCTURED_OUTPUT",
                )
        self._give_up(batch, f"The provider does not take this text: {reason}")

    def _give_up(self, batch: list[Entry], reason: str) -> None:
        for entry in batch:
            if len(batch) > 1:
                entry.is_alone = True
                self._alone.append(entry)
                self.summary.retries += 1
            else:
                self._quarantine(entry, reason)
        self._pump()

    def _quarantine(self, entry: Entry, reason: str) -> None:
        self._keep(entry, "", None, None, reason)

    def _keep(
        self, entry: Entry, call_id: str, answer: A | None, output: str | None, reason: str
    ) -> None:
        price = self._price
        record = Record(
            entry.key,
            output,
            reason if output is None else None,
            call_id,
            entry.input_tokens,
            entry.output_tokens,
            price.krw(entry.input_tokens, entry.output_tokens),
            price.usd(entry.input_tokens, entry.output_tokens),
            entry.latency_seconds,
            entry.attempts,
            entry.masked.counts,
        )
        self._results.append(_Result(entry, record, answer, reason))
        self._dirty.set()


def restored(answer: A, entry: Entry, task: Task[A]) -> A:
    """An answer with the item's own personal data where the task wants it, and where it fits."""
    originals = entry.masked.originals
    if not originals or not task.restores_personal_data:
        return answer
    fields = _restored(answer.model_dump(), originals)
    try:
        return task.answer.model_validate(fields)
    except ValidationError:
        # The original is too long for the field, say: the masked answer is right as well.
        return answer


def _restored(value: Any, originals: Any) -> Any:
    if isinstance(value, str):
        return restore(value, originals)
    if isinstance(value, list):
        return [_restored(each, originals) for each in cast(list[Any], value)]
    if isinstance(value, dict):
        return {
            key: _restored(each, originals) for key, each in cast(dict[Any, Any], value).items()
        }
    return value
