"""The emotions domain's steps in plain Python that need no provider: posts, analyses, history.

Choosing is in `selection`, sending in `submission`, asking after jobs in `polling`, taking results
in `collection`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice

import pyarrow as pa

from batch_platform.core.days import Clock
from batch_platform.core.errors import PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.logic import stage_of
from batch_platform.domains.emotions.models import (
    Batch,
    BatchCounts,
    BatchStage,
    EmotionAnswer,
    Job,
)
from batch_platform.domains.emotions.results import ResultFiles, result_files, writing
from batch_platform.domains.emotions.selection import OpenLlm, batched_calls
from batch_platform.domains.emotions.source import PostSource, Unreadable
from batch_platform.domains.emotions.store import (
    ANALYSES_SCHEMA,
    POSTS_SCHEMA,
    EmotionStore,
    analysis_row,
    post_row,
)
from batch_platform.gateways.llm import BatchedCalls
from batch_platform.gateways.platform_db import PlatformDb, Spool

_ROWS_AT_ONCE = 500
_PROGRESS_EVERY = 1000
_SHOWN_PROBLEMS = 5


@dataclass
class ReadPosts:
    """What came of reading a source.

    Attributes:
        rows: Rows of the source.
        by_day: Day → posts that were written.
        other_days: Posts of days that were not asked for.
        repeated: Rows with the key and day of one before.
        unreadable: Rows that are no posts: reason → rows.
    """

    rows: int = 0
    by_day: dict[date, int] = field(default_factory=dict[date, int])
    other_days: int = 0
    repeated: int = 0
    unreadable: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def posts(self) -> int:
        """Posts that were written."""
        return sum(self.by_day.values())

    @property
    def is_whole(self) -> bool:
        """Whether every row of the source is accounted for."""
        counted = self.posts + self.other_days + self.repeated + sum(self.unreadable.values())
        return counted == self.rows


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """All that is known of a batch."""

    batch: Batch
    stage: BatchStage
    counts: BatchCounts
    jobs: Sequence[Job]
    files: ResultFiles

    @property
    def cost_krw(self) -> float:
        """Won that its jobs cost so far."""
        return sum(job.cost_krw for job in self.jobs)

    @property
    def next_poll_at(self) -> datetime | None:
        """When the first of its jobs is asked after."""
        return min(
            (job.next_poll_at for job in self.jobs if job.is_running and job.next_poll_at),
            default=None,
        )


def read_posts(
    days: Sequence[date] | None,
    *,
    source: PostSource,
    db: PlatformDb,
    settings: Settings,
    today: date,
    progress: ProgressReport = unheard,
) -> ReadPosts:
    """Put the source's posts of some days in place of what was read of them before.

    Args:
        days: Which; None for every day that the source has. A source without dates has only
            `today`, or the last of the days.
        source: Where they come from.
        db: The platform's database.
        settings: The settings.
        today: The day of a source without dates.
        progress: Hears of rows.

    Raises:
        ConfigurationError: The source cannot be read.
        RetryableError: The source does not answer.
    """
    wanted = None if days is None else frozenset(days)
    read, seen = ReadPosts(), set[tuple[date, str]]()
    counted: Counter[date] = Counter()
    name = "all" if days is None else f"{days[0]}..{days[-1]}"
    with Spool(POSTS_SCHEMA) as rows:
        for found in source.posts(days[-1] if days else today):
            read.rows += 1
            if read.rows % _PROGRESS_EVERY == 0:
                progress(read.rows, None)
            if isinstance(found, Unreadable):
                read.unreadable[found.reason] = read.unreadable.get(found.reason, 0) + 1
            elif wanted is not None and found.post_date not in wanted:
                read.other_days += 1
            elif (found.post_date, found.key) in seen:
                read.repeated += 1
            else:
                seen.add((found.post_date, found.key))
                counted[found.post_date] += 1
                rows.add(post_row(found, is_made_up=settings.is_made_up))
        read.by_day = {day: counted[day] for day in sorted({*counted, *(days or ())})}
        with db.replacing("emotions/posts", name) as transaction:
            # A source without dates is read whole: what was there before is of no other day.
            EmotionStore(db).replace_posts(days, rows, transaction)
    progress(read.rows, read.rows)
    return read


def write_analyses(
    key: str,
    *,
    db: PlatformDb,
    open_llm: OpenLlm,
    settings: Settings,
    clock: Clock,
) -> tuple[int, ResultFiles]:
    """Put a batch's answers in place of its analyses, with a CSV and a Parquet file beside.

    Returns:
        How many, and where the files are.
    """
    store, batch = EmotionStore(db), JobStore(db).batch(key)
    files = result_files(settings.emotions_folder, key)
    llm = open_llm(batch.spec.provider, batch.spec.model)
    with (
        batched_calls(llm, key, settings) as ledger,
        writing(files) as writer,
        db.replacing("emotions/analyses", key) as transaction,
        db.connect("emotions answers") as reading,
        reading.transaction(),
    ):
        answered = store.answered(reading, key)
        rows = transaction.overwrite(
            "emotions.analyses",
            {"batch_key": key},
            writer.passing(_analyses(batch, answered, ledger, clock())),
        )
    return rows, files


def _analyses(
    batch: Batch,
    answered: Iterator[Sequence[object]],
    ledger: BatchedCalls[EmotionAnswer],
    now: datetime,
) -> Iterator[pa.RecordBatch]:
    while group := list(islice(answered, _ROWS_AT_ONCE)):
        answers = ledger.known({bytes(row[6]) for row in group})  # type: ignore[arg-type]
        rows: list[Mapping[str, object]] = []
        for row in group:
            answer = answers.get(bytes(row[6]))  # type: ignore[arg-type]
            if answer is None:
                raise PermanentError(
                    f"The ledger no longer holds the answer about {row[0]} of {batch.key}",
                    "Submit the post again in a new batch",
                )
            rows.append(
                analysis_row(
                    answer,
                    row,
                    batch_key=batch.key,
                    model=batch.spec.model,
                    prompt_version=batch.spec.prompt_version,
                    analysed_at=now,
                    is_made_up=batch.is_made_up,
                )
            )
        yield pa.RecordBatch.from_pylist(rows, ANALYSES_SCHEMA)


def enter_history(key: str, *, db: PlatformDb, settings: Settings, clock: Clock) -> int:
    """Enter a batch's analyses in the history, and end the batch when nothing of it is open.

    Returns:
        How many analyses were entered.
    """
    store, jobs = EmotionStore(db), JobStore(db)
    batch = jobs.batch(key)
    file = str(result_files(settings.emotions_folder, key).csv)
    with db.replacing("emotions/history", key) as transaction:
        rows = store.replace_history(transaction, key, batch.spec.mode, file)
    status = status_of(key, db=db, settings=settings)
    if batch.finished_at is None and status.counts.open == 0 and not _has_open_job(status.jobs):
        jobs.note_finished(key, clock(), _problem(status, rows))
    return rows


def status_of(key: str, *, db: PlatformDb, settings: Settings) -> BatchStatus:
    """All that is known of a batch.

    Raises:
        NotFoundError: There is none of this name.
    """
    jobs = JobStore(db)
    batch, counts, known = jobs.batch(key), EmotionStore(db).counts(key), jobs.jobs(key)
    return BatchStatus(
        batch,
        stage_of(batch, counts, known),
        counts,
        known,
        result_files(settings.emotions_folder, key),
    )


def _has_open_job(jobs: Sequence[Job]) -> bool:
    return any(job.collected_at is None for job in jobs)


def _problem(status: BatchStatus, analyses: int) -> str | None:
    """Why a batch without a single analysis failed; None when it did not."""
    if analyses or not status.counts.chosen or status.batch.cancelled_at is not None:
        return None
    refused = [job.error for job in status.jobs if job.is_permanent_failure and job.error]
    return refused[0] if refused else "no post could be analysed"


def shown_unreadable(read: ReadPosts) -> str:
    """Why rows are no posts, for a person; `none` when all are."""
    found = sorted(read.unreadable.items(), key=lambda each: -each[1])[:_SHOWN_PROBLEMS]
    return "; ".join(f"{count:,} x {reason}" for reason, count in found) or "none"
