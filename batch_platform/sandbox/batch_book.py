"""What the batch server keeps: files, jobs, and what became of each line. Knows no provider's form.

Everything is on disk as soon as it is told, so that a server that was killed goes on.
"""

import hashlib
import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from batch_platform.sandbox import chat_calls
from batch_platform.sandbox.batch_options import BatchOptions
from batch_platform.sandbox.chat_calls import ChatCall
from batch_platform.sandbox.made_up_emotions import settled

OPENAI, GEMINI = "openai", "gemini"


class Stage(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens."""
        return self not in (Stage.PENDING, Stage.RUNNING, Stage.CANCELLING)


@dataclass
class StoredFile:
    """A file that was sent here, or that the server wrote."""

    id: str
    provider: str
    name: str
    purpose: str
    bytes: int
    created_at: float


@dataclass
class Job:
    """A job. Times are seconds since the epoch on the server's clock."""

    id: str
    number: int
    provider: str
    key: str
    model: str
    input_id: str
    created_at: float
    runs_at: float
    ends_at: float
    lines: int
    stage: Stage = Stage.PENDING
    ended_at: float | None = None
    cancel_asked_at: float | None = None
    answered: int = 0
    failed: int = 0
    output_id: str | None = None
    error_id: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A line of a job, read; `problem` says why it cannot be."""

    id: str
    call: ChatCall | None
    problem: str = ""


class WireForm(Protocol):
    """How a provider writes its lines."""

    def read(self, line: bytes, model: str) -> Asked:
        """Read a request."""
        ...

    def answered(self, asked: Asked, text: str, number: int) -> dict[str, Any]:
        """The line of an answer."""
        ...

    def failed(self, asked: Asked, code: str, message: str) -> dict[str, Any]:
        """The line of a failure."""
        ...

    @property
    def has_error_file(self) -> bool:
        """Whether failures have a file of their own."""
        ...

    @property
    def keeps_partial_results(self) -> bool:
        """Whether an expired or cancelled job gives what was finished."""
        ...


@dataclass
class _Contents:
    files: dict[str, StoredFile] = field(default_factory=dict[str, StoredFile])
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    calls: Counter[str] = field(default_factory=Counter[str])
    asked: Counter[str] = field(default_factory=Counter[str])


class BatchBook:
    """Files and jobs.

    Args:
        folder: Where everything is kept.
        forms: Provider → its form.
        clock: Seconds since the epoch.

    Attributes:
        options: How jobs fare.
    """

    def __init__(
        self,
        folder: Path,
        options: BatchOptions,
        forms: dict[str, WireForm],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self._folder, self._forms, self._clock = folder, forms, clock
        self._answerers = chat_calls.Answerers()
        folder.mkdir(parents=True, exist_ok=True)
        self._contents = self._loaded()

    @property
    def calls(self) -> Counter[str]:
        """Times each operation was asked for."""
        return self._contents.calls

    @property
    def asked(self) -> Counter[str]:
        """Times each line's id was in a job that was created."""
        return self._contents.asked

    def now(self) -> float:
        """The server's clock."""
        return self._clock() + self.options.clock_offset_seconds

    def path(self, file_id: str) -> Path:
        """Where a file's content is."""
        return self._folder / file_id.replace("/", "_")

    def file(self, file_id: str, provider: str) -> StoredFile | None:
        """A file by its id."""
        found = self._contents.files.get(file_id)
        return found if found is not None and found.provider == provider else None

    def files(self, provider: str) -> list[StoredFile]:
        """All files, newest first."""
        return [
            each for each in reversed(self._contents.files.values()) if each.provider == provider
        ]

    def keep_file(self, file_id: str, provider: str, name: str, purpose: str) -> StoredFile:
        """Enter a file whose content is in its place."""
        length = self.path(file_id).stat().st_size
        stored = StoredFile(file_id, provider, name, purpose, length, self.now())
        self._contents.files[file_id] = stored
        self.save()
        return stored

    def create(self, provider: str, key: str, model: str, input_id: str) -> Job:
        """Enter a job."""
        form = self._forms[provider]
        ids: list[str] = []
        with self.path(input_id).open("rb") as content:
            for line in content:
                if line.strip():
                    ids.append(form.read(line, model).id)
        now = self.now()
        job = Job(
            new_id("batches/" if provider == GEMINI else "batch_"),
            len(self._contents.jobs),
            provider,
            key,
            model,
            input_id,
            now,
            now + self.options.start_seconds,
            now + self.options.start_seconds + self.options.run_seconds,
            len(ids),
        )
        if len(set(ids)) < len(ids):
            job.error_code = "duplicate_custom_id"
        elif len(ids) > self.options.max_requests:
            job.error_code = "too_many_tasks"
        elif self.options.whole_failure:
            job.error_code = self.options.whole_failure
        self.asked.update(ids)
        self._contents.jobs[job.id] = job
        self.save()
        return job

    def jobs(self, provider: str) -> list[Job]:
        """All that are listed yet, newest first."""
        newest = self.now() - self.options.list_delay_seconds
        return [
            self.brought_up(each)
            for each in reversed(self._contents.jobs.values())
            if each.provider == provider and each.created_at <= newest
        ]

    def job(self, job_id: str, provider: str) -> Job | None:
        """A job by its id, as it is now."""
        found = self._contents.jobs.get(job_id)
        return self.brought_up(found) if found is not None and found.provider == provider else None

    def brought_up(self, job: Job) -> Job:
        """Let happen what should have happened by now."""
        now = self.now()
        if job.stage.is_final:
            return job
        if job.cancel_asked_at is not None:
            self._end_cancelled(job, job.cancel_asked_at)
        elif now >= job.runs_at:
            job.stage = Stage.RUNNING
            if job.error_code:
                self._end(job, Stage.FAILED, job.runs_at)
            elif now >= job.ends_at:
                expires = self.options.expires_after
                self._finish(
                    job,
                    Stage.SUCCEEDED if expires is None else Stage.EXPIRED,
                    1.0 if expires is None else expires,
                    job.ends_at,
                )
            else:
                done = (now - job.runs_at) / max(job.ends_at - job.runs_at, 1e-9)
                job.answered = int(job.lines * done)
        return job

    def cancel(self, job: Job) -> Job:
        """Ask a job to end; what was finished until now is kept where the provider does so."""
        if not self.brought_up(job).stage.is_final:
            job.stage, job.cancel_asked_at = Stage.CANCELLING, self.now()
            self.save()
        return self.brought_up(job)

    def _end_cancelled(self, job: Job, asked_at: float) -> None:
        ends_at = asked_at + self.options.cancel_seconds
        if self.now() >= ends_at:
            done = (asked_at - job.runs_at) / max(job.ends_at - job.runs_at, 1e-9)
            self._finish(job, Stage.CANCELLED, min(max(done, 0.0), 1.0), ends_at)

    def _finish(self, job: Job, stage: Stage, share: float, ended_at: float) -> None:
        form = self._forms[job.provider]
        if stage is Stage.SUCCEEDED or form.keeps_partial_results:
            self._write_results(job, form, stage, share)
        else:
            job.answered = job.failed = 0
        self._end(job, stage, ended_at)

    def _end(self, job: Job, stage: Stage, ended_at: float) -> None:
        job.stage, job.ended_at = stage, ended_at
        if stage is Stage.FAILED:
            job.answered = job.failed = 0
        self.save()

    def _write_results(self, job: Job, form: WireForm, stage: Stage, share: float) -> None:
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        finished = round(job.lines * share)
        late = "batch_expired" if stage is Stage.EXPIRED else "batch_cancelled"
        for number, asked in enumerate(self._lines(job, form)):
            if number >= finished:
                bad.append(form.failed(asked, late, "This request was not executed in time."))
            elif (problem := self._problem(job, asked)) is not None:
                bad.append(form.failed(asked, *problem))
            else:
                good.append(form.answered(asked, self._answer(job, asked), number))
        job.answered, job.failed = len(good), len(bad)
        files = [("output", good), ("error", bad)]
        if not form.has_error_file:
            files = [("output", [*good, *bad])]
        for kind, lines in files:
            if not lines:
                continue
            if self.options.is_shuffled:
                random.Random(f"{self.options.seed}:{job.number}").shuffle(lines)  # noqa: S311
            file_id = self._written(job, kind, lines)
            if kind == "output":
                job.output_id = file_id
            else:
                job.error_id = file_id

    def _written(self, job: Job, kind: str, lines: list[dict[str, Any]]) -> str:
        file_id = new_id("files/" if job.provider == GEMINI else "file-")
        with self.path(file_id).open("wb") as output:
            for line in lines:
                output.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        name = f"{job.id.replace('/', '_')}_{kind}.jsonl"
        return self.keep_file(file_id, job.provider, name, f"batch_{kind}").id

    def _lines(self, job: Job, form: WireForm) -> Iterator[Asked]:
        with self.path(job.input_id).open("rb") as content:
            for line in content:
                if line.strip():
                    yield form.read(line, job.model)

    def _problem(self, job: Job, asked: Asked) -> tuple[str, str] | None:
        if asked.call is None:
            return "invalid_request", asked.problem
        if self.options.has_no_output:
            return "server_error", "The server had an error while processing your request."
        text = asked.call.items[0].text
        if self.options.poison is not None and self.options.poison in text:
            return "content_policy", "The request was refused."
        if self._drawn(job, asked, "error") < self.options.error_share:
            return "server_error", "The server had an error while processing your request."
        return None

    def _answer(self, job: Job, asked: Asked) -> str:
        call = asked.call
        if call is None or call.schema is None:
            return chat_calls.made_up_sentence(call) if call is not None else ""
        if self._drawn(job, asked, "spoiled") < self.options.spoiled_share:
            return '{"plutchik_emotions": {"기쁨": 7'
        answerer = self._answerers.of(call)
        return json.dumps(settled(answerer.one(call.items[0])), ensure_ascii=False)

    def _drawn(self, job: Job, asked: Asked, what: str) -> float:
        # The job's number, not its id: the same lines fail from run to run.
        drawn = f"{self.options.seed}:{what}:{job.number}:{asked.id}"
        mixed = hashlib.blake2b(drawn.encode(), digest_size=8)
        return int.from_bytes(mixed.digest()) / 2**64

    def save(self) -> None:
        """Put everything on disk."""
        unfinished = self._folder / "book.json.unfinished"
        kept = {
            "files": {name: asdict(each) for name, each in self._contents.files.items()},
            "jobs": {name: asdict(each) for name, each in self._contents.jobs.items()},
            "calls": self.calls,
            "asked": self.asked,
        }
        unfinished.write_text(json.dumps(kept))
        os.replace(unfinished, self._folder / "book.json")

    def _loaded(self) -> _Contents:
        try:
            said = json.loads((self._folder / "book.json").read_text())
        except FileNotFoundError:
            return _Contents()
        return _Contents(
            {name: StoredFile(**each) for name, each in said["files"].items()},
            {
                name: Job(**{**each, "stage": Stage(each["stage"])})
                for name, each in said["jobs"].items()
            },
            Counter(said["calls"]),
            Counter(said["asked"]),
        )

    def summary(self) -> dict[str, Any]:
        """What happened, as plain JSON."""
        jobs = [self.brought_up(each) for each in self._contents.jobs.values()]
        return {
            "made_up": True,
            "calls": dict(self.calls),
            "jobs": [
                {"id": each.id, "provider": each.provider, "key": each.key, "stage": each.stage}
                | {"lines": each.lines, "answered": each.answered, "failed": each.failed}
                for each in jobs
            ],
            "jobs_by_key": dict(Counter(each.key for each in jobs)),
            "lines_asked": self.asked.total(),
            "lines_asked_again": sum(count - 1 for count in self.asked.values()),
        }


def new_id(prefix: str) -> str:
    """An id that nobody has."""
    return f"{prefix}{uuid.uuid4().hex[:24]}"
