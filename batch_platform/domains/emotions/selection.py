"""Choosing a batch's posts: who is asked about, what is left out, what it should cost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from batch_platform.core.days import Clock
from batch_platform.core.errors import NoDataError, NotFoundError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.logic import (
    batch_key,
    corrected_sample_size,
    custom_id,
    mode_of,
    sample_size,
    size_of,
    stratified_sample,
)
from batch_platform.domains.emotions.models import (
    Batch,
    BatchCounts,
    BatchSpec,
    Candidate,
    CostEstimate,
    EmotionAnswer,
    LeftOut,
    Mode,
    Post,
    RequestState,
)
from batch_platform.domains.emotions.prompts import PROMPT_VERSION, analysis_task, question
from batch_platform.domains.emotions.store import (
    EVERY_BATCH,
    REQUESTS_SCHEMA,
    EmotionStore,
    lately,
)
from batch_platform.gateways.llm import BatchedCalls, BulkLlm, PreparedText
from batch_platform.gateways.platform_db import PlatformDb, Spool

OpenLlm = Callable[[str, str], BulkLlm]
"""Opens the way to a model for a provider and a model's name."""

_AT_ONCE = 500
_MOST_NUMBERS = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """What a batch is going to take.

    Attributes:
        counts: What becomes of the posts.
        population: Posts that could be chosen.
        corrected_size: What would do with the finite population correction; None for no sample.
    """

    posts_read: int
    population: int
    corrected_size: int | None
    counts: BatchCounts
    estimate: CostEstimate


def spec_of(
    mode: Mode,
    settings: Settings,
    *,
    provider: str,
    model: str,
    is_direct: bool = False,
    **chosen: object,
) -> BatchSpec:
    """What is asked for, with what the settings say of samples; `chosen`: days and a likeness."""
    emotions = settings.emotions
    return BatchSpec(
        mode=mode,
        is_direct=is_direct,
        provider=provider,
        model=model,
        prompt_version=PROMPT_VERSION,
        seed=emotions.seed,
        confidence_level=emotions.confidence_level,
        margin_of_error=emotions.margin_of_error,
        **chosen,  # type: ignore[arg-type]
    )


def register(spec: BatchSpec, *, db: PlatformDb, settings: Settings, clock: Clock) -> str:
    """Write that somebody wants a batch, under a name that nobody else has.

    Raises:
        NotFoundError: The batch whose posts it is to take does not exist.
    """
    jobs, now = JobStore(db), clock()
    if spec.like_batch is not None:
        jobs.batch(spec.like_batch)
    for number in range(1, _MOST_NUMBERS):
        key = batch_key(spec.mode, now, settings.platform.zone, number)
        if jobs.register(key, spec, now, is_made_up=settings.is_made_up):
            return key
    raise NotFoundError(f"No name is left for a batch of {now:%H:%M}", "Try again in a minute")


def register_named(
    key: str, spec: BatchSpec, *, db: PlatformDb, settings: Settings, clock: Clock
) -> Batch:
    """The batch of a name, made when it is not there: a partition that was added in the webserver.

    Raises:
        NotFoundError: It is no name of a batch.
    """
    mode_of(key)
    jobs = JobStore(db)
    jobs.register(key, spec, clock(), is_made_up=settings.is_made_up)
    return jobs.batch(key)


def choose_posts(
    key: str,
    *,
    db: PlatformDb,
    open_llm: OpenLlm,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport = unheard,
) -> Selection:
    """Choose a batch's posts and claim them, unless some were sent already.

    Batches choose one after another, so that two that are asked for at once share no post.

    Raises:
        NoDataError: There are no posts at all.
        BudgetExceededError: It would cost more than the day's budget has left.
    """
    jobs, store = JobStore(db), EmotionStore(db)
    batch = jobs.batch(key)
    if batch.chosen_at is not None and _has_begun(jobs, store, batch):
        return _stored(batch, store)
    with (
        _batched(batch, open_llm, settings) as ledger,
        db.replacing("emotions/batch_requests", EVERY_BATCH) as transaction,
        Spool(REQUESTS_SCHEMA) as rows,
    ):
        candidates = store.candidates(
            transaction.connection, batch, lately(clock(), settings.emotions.skip_days)
        )
        if not candidates:
            raise NoDataError(
                "There are no posts to analyse", "Read posts first, or widen the days"
            )
        ledger.open_partition()
        chooser = _Chooser(batch, ledger, rows, progress)
        selection = chooser.choose(
            candidates,
            lambda keys: store.posts_named(transaction.connection, batch, keys),
        )
        if not batch.spec.is_direct:
            ledger.require_budget(
                selection.estimate.batch_krw + jobs.expected_krw_in_flight(but_for=key), clock()
            )
        transaction.overwrite("emotions.batch_requests", {"batch_key": key}, rows.batches())
        jobs.note_chosen(
            transaction.connection,
            key,
            posts_read=selection.posts_read,
            population=selection.population,
            corrected_size=selection.corrected_size,
            estimate=selection.estimate,
            now=clock(),
        )
    return selection


def preview(
    spec: BatchSpec, *, db: PlatformDb, open_llm: OpenLlm, settings: Settings, clock: Clock
) -> Selection:
    """What a batch would take and cost now. Nothing is written, claimed or sent."""
    store, now = EmotionStore(db), clock()
    batch = Batch(
        key="",
        spec=spec,
        registered_at=now,
        chosen_at=None,
        cancelled_at=None,
        finished_at=None,
        work_requested_at=None,
        work_requests=0,
        posts_read=0,
        population=0,
        corrected_size=None,
        estimate=CostEstimate(),
        problem=None,
        is_made_up=settings.is_made_up,
    )
    with (
        _batched(batch, open_llm, settings) as ledger,
        db.connect("emotions preview") as connection,
        connection.transaction(),
        Spool(REQUESTS_SCHEMA) as rows,
    ):
        candidates = store.candidates(connection, batch, lately(now, settings.emotions.skip_days))
        return _Chooser(batch, ledger, rows, unheard).choose(
            candidates, lambda keys: store.posts_named(connection, batch, keys)
        )


def _has_begun(jobs: JobStore, store: EmotionStore, batch: Batch) -> bool:
    counts = store.counts(batch.key)
    is_sent = counts.of(RequestState.SENT) + counts.of(RequestState.QUARANTINED) > 0
    return bool(is_sent or batch.finished_at or batch.cancelled_at or jobs.jobs(batch.key))


def _stored(batch: Batch, store: EmotionStore) -> Selection:
    return Selection(
        batch.posts_read,
        batch.population,
        batch.corrected_size,
        store.counts(batch.key),
        batch.estimate,
    )


def _batched(batch: Batch, open_llm: OpenLlm, settings: Settings) -> BatchedCalls[EmotionAnswer]:
    return batched_calls(open_llm(batch.spec.provider, batch.spec.model), batch.key, settings)


def batched_calls(llm: BulkLlm, key: str, settings: Settings) -> BatchedCalls[EmotionAnswer]:
    """The ledger as a batch sees it."""
    share = 1 - settings.emotions.cost_savings_percentage / 100
    return llm.batched(analysis_task(), partition=key, price_share=share)


class _Chooser:
    """Turns candidates into the rows of a batch's requests."""

    def __init__(
        self,
        batch: Batch,
        ledger: BatchedCalls[EmotionAnswer],
        rows: Spool,
        progress: ProgressReport,
    ) -> None:
        self._batch = batch
        self._ledger = ledger
        self._rows = rows
        self._progress = progress
        self._asked_as: dict[bytes, str] = {}
        self._states: dict[RequestState, int] = {}
        self._left_out: dict[str, int] = {}
        self._line_bytes = 0
        self._lines = 0

    def choose(
        self,
        candidates: Sequence[Candidate],
        posts: Callable[[Sequence[str]], Iterator[Post]],
    ) -> Selection:
        """Choose, and add a row for every post that is chosen or left out for a reason."""
        spec = self._batch.spec
        eligible = [each for each in candidates if each.left_out is None]
        reasons = {each.key: each.left_out for each in candidates if each.left_out is not None}
        size = len(eligible)
        if spec.like_batch is None:
            size = size_of(spec.mode, spec.confidence_level, spec.margin_of_error) or size
        chosen = stratified_sample(eligible, size, spec.seed)
        self._add_left_out(posts(sorted(reasons)), reasons)
        self._add_chosen(posts(chosen), len(chosen))
        input_tokens, output_tokens = self._ledger.tokens_of(self._line_bytes, self._lines)
        tokens = (input_tokens, output_tokens)
        corrected = None
        if spec.mode is Mode.SAMPLING and spec.like_batch is None:
            needed = sample_size(spec.confidence_level, spec.margin_of_error)
            corrected = corrected_sample_size(needed, len(eligible))
        return Selection(
            len(candidates),
            len(eligible),
            corrected,
            BatchCounts(self._states, self._left_out),
            CostEstimate(
                self._lines, *tokens, self._ledger.krw(*tokens), self._ledger.direct_krw(*tokens)
            ),
        )

    def _add_left_out(self, posts: Iterator[Post], reasons: dict[str, LeftOut]) -> None:
        for post in posts:
            reason = reasons[post.key].value
            self._left_out[reason] = self._left_out.get(reason, 0) + 1
            self._add(post, RequestState.LEFT_OUT, reason=reason)

    def _add_chosen(self, posts: Iterator[Post], total: int) -> None:
        done = 0
        while group := list(islice(posts, _AT_ONCE)):
            asked = [self._ledger.prepare(question(post.title, post.content)) for post in group]
            known = self._ledger.known([each.key for each in asked])
            for post, prepared in zip(group, asked, strict=True):
                self._add_one(post, prepared, is_known=prepared.key in known)
            done += len(group)
            self._progress(done, total)

    def _add_one(self, post: Post, prepared: PreparedText, *, is_known: bool) -> None:
        if not prepared.text:
            self._left_out[LeftOut.EMPTY] = self._left_out.get(LeftOut.EMPTY, 0) + 1
            self._add(post, RequestState.LEFT_OUT, reason=LeftOut.EMPTY.value)
            return
        name = custom_id(post.key)
        asked_as = self._asked_as.setdefault(prepared.key, name)
        if asked_as == name and not is_known:
            self._lines += 1
            self._line_bytes += self._ledger.line_bytes(prepared.text)
        state = RequestState.ANSWERED if is_known else RequestState.WAITING
        self._add(post, state, prepared=prepared, asked_as=asked_as)

    def _add(
        self,
        post: Post,
        state: RequestState,
        *,
        reason: str | None = None,
        prepared: PreparedText | None = None,
        asked_as: str | None = None,
    ) -> None:
        self._states[state] = self._states.get(state, 0) + 1
        self._rows.add(
            {
                "batch_key": self._batch.key,
                "post_key": post.key,
                "post_date": post.post_date,
                "custom_id": custom_id(post.key),
                "asked_as": asked_as,
                "model": self._batch.spec.model,
                "kind": post.kind,
                "state": state.value,
                "reason": reason,
                "text": prepared.text if prepared else None,
                "ledger_key": f"\\x{prepared.key.hex()}" if prepared else None,
                "is_made_up": self._batch.is_made_up,
            }
        )
