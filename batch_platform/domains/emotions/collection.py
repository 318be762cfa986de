"""Taking what the provider made of a batch: every line judged, stored once, paid for once."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from batch_platform.core.days import Clock
from batch_platform.core.errors import NotFoundError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.models import Batch, EmotionAnswer, Job, RequestState
from batch_platform.domains.emotions.prompts import analysis_task
from batch_platform.domains.emotions.selection import OpenLlm, batched_calls
from batch_platform.domains.emotions.store import EmotionStore, Request, Unanswered
from batch_platform.domains.emotions.submission import CANCELLED, OpenClient, work_folder
from batch_platform.gateways.files import usable_folder
from batch_platform.gateways.llm import (
    Answered,
    BatchedCalls,
    BatchedResult,
    BulkLlm,
    Item,
)
from batch_platform.gateways.llm.structured import Accepted
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.models import BatchLine
from batch_platform.gateways.platform_db import PlatformDb

_LINES_AT_ONCE = 500
_LONGEST_RAW_LINE = 20_000

_log = logging.getLogger(__name__)


@dataclass
class Collected:
    """What was taken.

    Attributes:
        lines: Lines read.
        to_ask_again: Texts whose line failed, expired or is missing.
        unknown: Lines that name no text of their job.
    """

    lines: int = 0
    answered: int = 0
    quarantined: int = 0
    to_ask_again: int = 0
    unknown: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_krw: float = 0.0
    model_calls: int = 0
    problems: list[str] = field(default_factory=list[str])


def collect_results(
    key: str,
    *,
    db: PlatformDb,
    open_client: OpenClient,
    open_llm: OpenLlm,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport = unheard,
) -> Collected:
    """Take what ended jobs made, or ask at once when the batch is a direct one.

    Killed anywhere, it goes on where it stopped: what is stored of a line is stored whole, and a
    line that was charged is not charged again.

    Raises:
        RetryableError: The provider does not answer.
    """
    jobs, store = JobStore(db), EmotionStore(db)
    batch = jobs.batch(key)
    llm = open_llm(batch.spec.provider, batch.spec.model)
    collected = Collected()
    if batch.spec.is_direct:
        _ask_directly(batch, llm, store, settings, collected, progress)
        return collected
    ended = [job for job in jobs.jobs(key) if job.is_to_collect]
    if not ended:
        return collected
    client = open_client(batch.spec.provider, batch.spec.model)
    with batched_calls(llm, key, settings) as ledger:
        collector = _Collector(store, jobs, ledger, client, settings, clock, collected)
        for job in ended:
            collector.take(job, progress)
    return collected


class _Collector:
    """Takes one job after the other."""

    def __init__(
        self,
        store: EmotionStore,
        jobs: JobStore,
        ledger: BatchedCalls[EmotionAnswer],
        client: BatchClient,
        settings: Settings,
        clock: Clock,
        total: Collected,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._ledger = ledger
        self._client = client
        self._settings = settings
        self._clock = clock
        self._total = total

    def take(self, job: Job, progress: ProgressReport) -> None:
        """Store every line of a job, and what becomes of the texts that have none."""
        taken = Collected()
        try:
            lines = self._lines(job)
            while group := list(islice(lines, _LINES_AT_ONCE)):
                self._store_lines(job, group, taken)
                progress(taken.lines, job.requests, job.run_key)
        except NotFoundError as error:
            # What the provider no longer has is asked again, like what it never answered.
            _log.warning("%s: %s", job.run_key, error)
        self._settle_rest(job, taken)
        self._jobs.note_collected(
            job.run_key, self._clock(), taken.input_tokens, taken.output_tokens, taken.cost_krw
        )
        if taken.unknown:
            _log.warning("%s lines of %s name no text of it", taken.unknown, job.run_key)
        self._add(taken)
        shutil.rmtree(self._folder(job), ignore_errors=True)

    def _folder(self, job: Job) -> Path:
        return work_folder(self._settings, job.batch_key) / job.run_key

    def _lines(self, job: Job) -> Iterator[BatchLine]:
        if job.job_name is None:
            return iter(())
        folder = usable_folder(self._folder(job), setting="BATCH_PLATFORM_HOME")
        return self._client.results(self._client.job(job.job_name), folder)

    def _store_lines(self, job: Job, group: Sequence[BatchLine], taken: Collected) -> None:
        lines = {line.custom_id: line for line in reversed(group)}
        texts = self._store.texts_of(job.run_key, lines.keys())
        results: list[BatchedResult] = []
        answered: list[str] = []
        others: list[Unanswered] = []
        for name, request in texts.items():
            result, unanswered = self._judge(job, lines[name], request)
            if result is not None:
                results.append(result)
            if unanswered is None:
                answered.append(name)
            else:
                others.append(unanswered)
        self._ledger.record(results, self._clock())
        self._store.settle(job.batch_key, answered, others)
        taken.lines += len(group)
        taken.answered += len(answered)
        quarantined = sum(each.state is RequestState.QUARANTINED for each in others)
        taken.quarantined += quarantined
        taken.to_ask_again += len(others) - quarantined
        self._charge(group, taken)

    def _charge(self, group: Sequence[BatchLine], taken: Collected) -> None:
        # Of every line, also those stored by a run that died: the job's cost is all of its lines'.
        input_tokens = sum(line.input_tokens for line in group)
        output_tokens = sum(line.output_tokens for line in group)
        taken.input_tokens += input_tokens
        taken.output_tokens += output_tokens
        taken.cost_krw += self._ledger.krw(input_tokens, output_tokens)

    def _judge(
        self, job: Job, line: BatchLine, request: Request
    ) -> tuple[BatchedResult | None, Unanswered | None]:
        if line.content is None:
            reason = "expired" if line.is_expired else (line.error or "no answer")
            waiting = Unanswered(line.custom_id, RequestState.WAITING, reason, _raw(line))
            return None, waiting
        judged = self._ledger.read(line.content, request.text)
        is_accepted = isinstance(judged, Accepted)
        result = BatchedResult(
            key=request.ledger_key,
            item_id=line.custom_id,
            call_id=f"{job.job_name}:{line.custom_id}",
            output=judged.output if is_accepted else None,
            error=None if is_accepted else judged.reason,
            input_tokens=line.input_tokens,
            output_tokens=line.output_tokens,
            is_set_aside=not is_accepted,
        )
        if is_accepted:
            return result, None
        return result, Unanswered(
            line.custom_id, RequestState.QUARANTINED, judged.reason, _raw(line)
        )

    def _settle_rest(self, job: Job, taken: Collected) -> None:
        """Give the texts without a line an end, or another round."""
        state = RequestState.WAITING
        reason = f"no line in a job that is {job.state}"
        if job.is_permanent_failure:
            state = RequestState.QUARANTINED
            reason = f"the provider refused the job: {job.error or 'no reason given'}"
            taken.problems.append(reason)
        rest = self._store.sent_in(job.run_key)
        while group := list(islice(rest, _LINES_AT_ONCE)):
            self._store.settle(
                job.batch_key,
                (),
                [Unanswered(each.custom_id, state, reason) for each in group],
            )
            if state is RequestState.WAITING:
                taken.to_ask_again += len(group)
            else:
                taken.quarantined += len(group)

    def _add(self, taken: Collected) -> None:
        total = self._total
        total.lines += taken.lines
        total.answered += taken.answered
        total.quarantined += taken.quarantined
        total.to_ask_again += taken.to_ask_again
        total.unknown += taken.unknown
        total.input_tokens += taken.input_tokens
        total.output_tokens += taken.output_tokens
        total.cost_krw += taken.cost_krw
        total.model_calls += taken.lines
        total.problems += taken.problems


def _ask_directly(
    batch: Batch,
    llm: BulkLlm,
    store: EmotionStore,
    settings: Settings,
    collected: Collected,
    progress: ProgressReport,
) -> None:
    if batch.cancelled_at is not None:
        store.end_open(batch.key, RequestState.CANCELLED, CANCELLED)
        return
    items = [Item(each.custom_id, each.text) for each in store.waiting(batch.key)]
    ask = llm.ask(analysis_task(), items, workers=settings.emotions.workers, partition=batch.key)
    for done, outcome in enumerate(ask, 1):
        if isinstance(outcome, Answered):
            store.settle(batch.key, [outcome.item.id], ())
            collected.answered += 1
        else:
            unanswered = Unanswered(outcome.item.id, RequestState.QUARANTINED, outcome.reason)
            store.settle(batch.key, (), [unanswered])
            collected.quarantined += 1
        progress(done, len(items))
    collected.lines = len(items)
    collected.input_tokens = ask.summary.input_tokens
    collected.output_tokens = ask.summary.output_tokens
    collected.cost_krw = ask.summary.cost_krw
    collected.model_calls = ask.summary.calls


def _raw(line: BatchLine) -> str:
    """A line as it came, as far as PostgreSQL can hold it."""
    text = line.raw.decode("utf-8", "replace").replace("\x00", "")
    return text[:_LONGEST_RAW_LINE]
