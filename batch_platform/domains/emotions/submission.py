"""Sending a batch's texts to the provider, so that whatever happens each is sent once a round."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from batch_platform.core.days import Clock
from batch_platform.core.errors import RetryableError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.logic import poll_after, run_key
from batch_platform.domains.emotions.models import Batch, Job, RequestState
from batch_platform.domains.emotions.prompts import MAX_OUTPUT_TOKENS, analysis_task, as_asked
from batch_platform.domains.emotions.store import EmotionStore, Request
from batch_platform.gateways.files import usable_folder
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.jsonl import write_chunks
from batch_platform.gateways.llm_batch.models import BatchRequest, Chunk
from batch_platform.gateways.platform_db import PlatformDb

OpenClient = Callable[[str, str], BatchClient]
"""Opens the way to a provider's batches, for a provider and a model's name."""

CANCELLED = "cancelled by a person"

_MILLION = 1_000_000
_SETTLES_AFTER = timedelta(seconds=60)
"""After so long a request to make a job has arrived at the provider, or never will."""


def send_batch(
    key: str,
    *,
    db: PlatformDb,
    open_client: OpenClient,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport = unheard,
) -> list[Job]:
    """Send what waits, and finish what a run that died had begun to send.

    Every job is written down before anything of it leaves, and looked for at the provider by its
    name before it is made.

    Returns:
        All jobs of the batch.

    Raises:
        RetryableError: The provider does not answer, or may still be making a job.
    """
    jobs, store = JobStore(db), EmotionStore(db)
    batch = jobs.batch(key)
    if not batch.spec.is_direct:
        client = open_client(batch.spec.provider, batch.spec.model)
        sender = _Sender(batch, jobs, store, client, settings, clock)
        sender.finish_begun()
        sender.send_waiting(progress)
    return jobs.jobs(key)


class _Sender:
    """Sends one batch's texts."""

    def __init__(
        self,
        batch: Batch,
        jobs: JobStore,
        store: EmotionStore,
        client: BatchClient,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._batch = batch
        self._jobs = jobs
        self._store = store
        self._client = client
        self._emotions = settings.emotions
        self._clock = clock
        self._folder = work_folder(settings, batch.key) / "requests"

    def finish_begun(self) -> None:
        """Find or send the jobs that are written down and not known to be at the provider."""
        for job in self._jobs.jobs(self._batch.key):
            if not job.is_begun:
                continue
            if self._batch.cancelled_at is None:
                self._send(job)
            else:
                self._take_back(job)

    def send_waiting(self, progress: ProgressReport) -> None:
        """Write down the jobs of the next round and send them."""
        known = self._jobs.jobs(self._batch.key)
        round_number = max((job.round for job in known), default=0) + 1
        if self._batch.cancelled_at is not None:
            self._store.end_open(self._batch.key, RequestState.CANCELLED, CANCELLED)
            return
        if round_number > self._emotions.max_rounds:
            self._store.end_open(
                self._batch.key,
                RequestState.QUARANTINED,
                f"no answer in {self._emotions.max_rounds} rounds",
            )
            return
        limit = int(self._emotions.max_file_size_mb * _MILLION)
        chunks = self._write(
            self._store.waiting(self._batch.key), self._emotions.max_batch_size, limit
        )
        prepared = [
            (
                run_key(self._batch.key, round_number, number, chunk.custom_ids),
                number,
                chunk.bytes,
                chunk.custom_ids,
            )
            for number, chunk in enumerate(chunks, 1)
        ]
        self._jobs.prepare(self._batch, round_number, prepared, self._clock())
        for (name, *_), chunk in zip(prepared, chunks, strict=True):
            chunk.file.replace(self._file(name))
        new = [job for job in self._jobs.jobs(self._batch.key) if job.is_begun]
        for done, job in enumerate(new, 1):
            self._send(job)
            progress(done, len(new))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, run_key: str) -> Path:
        return self._folder / f"{run_key}.jsonl"

    def _send(self, job: Job) -> None:
        found = self._client.find(job.run_key)
        if found is None:
            self._require_settled(job)
            file_ref = job.file_ref
            if file_ref is None:
                file_ref = self._client.upload(self._written(job), job.run_key)
                self._jobs.note_uploaded(job.run_key, file_ref)
            self._jobs.note_creating(job.run_key, self._clock())
            found = self._client.create(file_ref, job.run_key)
        now = self._clock()
        due = poll_after(job, now, self._emotions.poll_interval_seconds)
        self._jobs.note_seen(job.run_key, found, now, due)

    def _take_back(self, job: Job) -> None:
        """End a job of a cancelled batch, or forget one that never came to be."""
        found = self._client.find(job.run_key)
        if found is None:
            self._require_settled(job)
            self._store.release(job.run_key)
            self._jobs.note_collected(job.run_key, self._clock(), 0, 0, 0.0)
            return
        now = self._clock()
        self._jobs.note_seen(job.run_key, self._client.cancel(found.name), now, now)
        self._jobs.note_cancel_requested(job.run_key, now)

    def _require_settled(self, job: Job) -> None:
        """Wait out a request to make the job that may still be on its way."""
        if job.create_started_at is None:
            return
        left = job.create_started_at + _SETTLES_AFTER - self._clock()
        if left > timedelta():
            raise RetryableError(
                f"The provider may still be making the job {job.run_key}",
                "It is looked for again before another one is made",
                retry_after_seconds=left.total_seconds(),
            )

    def _written(self, job: Job) -> Path:
        """The job's file: as it was written down, or written again when it is gone."""
        file = self._file(job.run_key)
        if not file.is_file() or file.stat().st_size != job.file_bytes:
            limit = self._client.limits.max_file_bytes
            (chunk,) = self._write(self._store.sent_in(job.run_key), job.requests, limit)
            chunk.file.replace(file)
        return file

    def _write(
        self, requests: Iterable[Request], max_requests: int, max_bytes: int
    ) -> Sequence[Chunk]:
        usable_folder(self._folder, setting="BATCH_PLATFORM_HOME")
        return write_chunks(
            self._as_asked(requests), self._client, self._folder, max_requests, max_bytes
        )

    @staticmethod
    def _as_asked(requests: Iterable[Request]) -> Iterator[BatchRequest]:
        task = analysis_task()
        for each in requests:
            yield BatchRequest(
                custom_id=each.custom_id,
                instructions=task.instructions,
                text=as_asked(each.text),
                answer=task.answer,
                max_tokens=MAX_OUTPUT_TOKENS,
            )


def work_folder(settings: Settings, key: str) -> Path:
    """Where a batch's request and result files are while they are needed."""
    return settings.home / "emotions" / key
