"""Gemini's batches and files, in the provider's own form over plain HTTP.

Reference: https://ai.google.dev/api/batch-api, https://ai.google.dev/api/files. Not through the
`google-genai` package: its upload starts over when a connection breaks, and what it makes of a job
leaves out the counts and the reason of a failure. A test has that package speak to our stand-in,
so that the form is the one its makers know.
"""

import hashlib
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx2
from pydantic import BaseModel
from pydantic_core import from_json

from batch_platform.core.days import utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.gateways.llm.providers import Provider
from batch_platform.gateways.llm.structured import strict_schema
from batch_platform.gateways.llm_batch.creation import created_once
from batch_platform.gateways.llm_batch.failures import LostAnswerError, Refusals
from batch_platform.gateways.llm_batch.jsonl import json_bytes, lines_of
from batch_platform.gateways.llm_batch.models import (
    BatchJob,
    BatchLimits,
    BatchLine,
    BatchRequest,
    BatchState,
)
from batch_platform.gateways.llm_batch.transfers import (
    Body,
    Patience,
    fetched,
    keep,
    remembered,
)

_LIMITS = BatchLimits(1_000_000, 2_000_000_000)
"""The provider names no limit of requests: one that no file of 2 GB reaches."""
_CHUNK_BYTES = 8 * 1024 * 1024
"""A resumable upload's pieces must be multiples of 256 KiB, but the last."""
_PAGE = 100
_TIMEOUT = httpx2.Timeout(120.0, connect=8.0)
_MIME_TYPE = "application/jsonl"
_NOT_THERE = (403, 404)
"""Gemini says of a file that is not there that one may not see it."""
_NOTHING_LEFT = 416
_CAN_STOP_THINKING = re.compile(r"gemini-2\.5-flash")
"""Others refuse a budget of 0, or know none (https://ai.google.dev/gemini-api/docs/thinking)."""
_STATES = {
    "PENDING": BatchState.PENDING,
    "QUEUED": BatchState.PENDING,
    "RUNNING": BatchState.RUNNING,
    "CANCELLING": BatchState.RUNNING,
    "SUCCEEDED": BatchState.SUCCEEDED,
    "PARTIALLY_SUCCEEDED": BatchState.SUCCEEDED,
    "FAILED": BatchState.FAILED,
    "CANCELLED": BatchState.CANCELLED,
    "EXPIRED": BatchState.EXPIRED,
}
# Numbers of google.rpc.Code: unknown, deadline exceeded, resource exhausted, aborted, internal,
# unavailable.
_PASSING_CODES = frozenset((2, 4, 8, 10, 13, 14))
_EXPIRED_CODE = 4


@dataclass
class _Session:
    """A resumable upload, kept in a file so that another process can go on with it."""

    name: str
    url: str


class GeminiBatches:
    """Implements `client.BatchClient`.

    Args:
        provider: Whom to ask.
        is_made_up: Whether answers of the sandbox are welcome.
        limits: What a file may hold.
        chunk_bytes: Length of an upload's pieces; a multiple of 256 KiB.
        patience: How pieces of files are repeated, and how waiting is done.
        now: Clock.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        is_made_up: bool,
        limits: BatchLimits = _LIMITS,
        chunk_bytes: int = _CHUNK_BYTES,
        patience: Patience | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._provider = provider
        self._limits = limits
        self._chunk_bytes = chunk_bytes
        self._patience = patience or Patience()
        self._refusals = Refusals(provider, is_made_up=is_made_up, now=now)
        self._http = httpx2.Client(timeout=_TIMEOUT)
        self._key = {"x-goog-api-key": provider.api_key.get_secret_value()}
        # The settings hold the address of the form that OpenAI's clients speak.
        base = provider.base_url.rstrip("/").removesuffix("/openai")
        host, _, version = base.rpartition("/")
        self._base = base
        self._upload_base = f"{host}/upload/{version}"
        self._download_base = f"{host}/download/{version}"
        self._frame = lru_cache(maxsize=8)(self._new_frame)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._provider.name

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._provider.model

    @property
    def limits(self) -> BatchLimits:
        """What the provider takes in one file."""
        return self._limits

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def line(self, request: BatchRequest) -> bytes:
        """A request as one line of JSONL."""
        start, end = self._frame(request.instructions, request.answer, request.max_tokens)
        key, text = json_bytes(request.custom_id), json_bytes(request.text)
        return b"".join((b'{"key":', key, start, text, end))

    def _new_frame(
        self, instructions: str, answer: type[BaseModel], max_tokens: int
    ) -> tuple[bytes, bytes]:
        """What every line of a batch has before and after its text."""
        config: dict[str, Any] = {
            **self._provider.shaping,
            "maxOutputTokens": max_tokens,
            "responseMimeType": "application/json",
            "responseJsonSchema": strict_schema(answer),
        }
        if _CAN_STOP_THINKING.match(self.model.removeprefix("models/")):
            # Thoughts are billed, and count among the most tokens: they would cut answers off.
            config["thinkingConfig"] = {"thinkingBudget": 0}
        request = {
            "systemInstruction": {"parts": [{"text": instructions}]},
            "generationConfig": config,
        }
        start = json_bytes({"request": request})[1:].removesuffix(b"}}")
        return b"," + start + b',"contents":[{"role":"user","parts":[{"text":', b"}]}]}}\n"

    def upload(self, file: Path, run_key: str) -> str:
        """Bring a file there, or find it by its name, which is made of its content."""
        length = file.stat().st_size
        name = _file_name(run_key, file)
        if self._is_there(name, length):
            return name
        memory = file.with_suffix(".upload")
        session = _begun_before(memory, name)
        if session is not None:
            try:
                return self._sent(session, file, length, memory)
            except PermanentError:
                # The provider has forgotten it, or wants no more of it.
                memory.unlink()
        session = self._begun(name, run_key, length)
        keep(memory, asdict(session))
        return self._sent(session, file, length, memory)

    def _is_there(self, name: str, length: int) -> bool:
        with self._refusals.told("tell of a file"):
            response = self._http.get(f"{self._base}/{name}", headers=self._key)
        if response.status_code in _NOT_THERE:
            return False
        said = self._read(response, "tell of a file")
        return said.get("state") != "FAILED" and int(said.get("sizeBytes") or 0) == length

    def _begun(self, name: str, run_key: str, length: int) -> _Session:
        headers = {
            **self._key,
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(length),
            "X-Goog-Upload-Header-Content-Type": _MIME_TYPE,
        }
        asked = {"file": {"name": name, "displayName": run_key, "mimeType": _MIME_TYPE}}
        with self._refusals.told("begin an upload"):
            response = self._http.post(f"{self._upload_base}/files", headers=headers, json=asked)
        self._check(response, "begin an upload")
        url = response.headers.get("x-goog-upload-url")
        if not url:
            raise LostAnswerError(f"{self.provider} did not say where the file may be sent")
        return _Session(name, url)

    def _sent(self, session: _Session, file: Path, length: int, memory: Path) -> str:
        with file.open("rb") as content:
            send = partial(self._is_last_chunk_sent, session, content, length)
            while not self._patience.repeated(send):
                pass
        memory.unlink()
        return session.name

    def _is_last_chunk_sent(self, session: _Session, content: BinaryIO, length: int) -> bool:
        """Send what follows upon what has arrived: safe however the last try ended."""
        # The address alone gives the right to write: the key stays here.
        query = {"X-Goog-Upload-Command": "query"}
        state = self._upload_post(session, query, b"")
        if state.headers.get("x-goog-upload-status") == "final":
            return True
        offset = int(state.headers.get("x-goog-upload-size-received") or 0)
        content.seek(offset)
        piece = content.read(self._chunk_bytes)
        is_last = offset + len(piece) >= length
        headers = {
            "X-Goog-Upload-Command": "upload, finalize" if is_last else "upload",
            "X-Goog-Upload-Offset": str(offset),
        }
        answer = self._upload_post(session, headers, piece)
        return answer.headers.get("x-goog-upload-status") == "final"

    def _upload_post(
        self, session: _Session, headers: Mapping[str, str], content: bytes
    ) -> httpx2.Response:
        with self._refusals.told("take a file"):
            response = self._http.post(session.url, headers=dict(headers), content=content)
        self._check(response, "take a file", f"{self.provider} has forgotten the upload")
        return response

    def find(self, run_key: str) -> BatchJob | None:
        """Look for our job through the whole list, newest first."""
        found: BatchJob | None = None
        query: dict[str, Any] = {"pageSize": _PAGE}
        while True:
            page = self._get("batches", "list its batches", query)
            for each in cast(Sequence[Mapping[str, Any]], page.get("operations") or []):
                if _metadata(each).get("displayName") == run_key:
                    found = self._job(each)
            if not page.get("nextPageToken"):
                return found
            query["pageToken"] = page["nextPageToken"]

    def create(self, file_ref: str, run_key: str) -> BatchJob:
        """Create the job, unless there is one of this key."""
        asked = {"batch": {"displayName": run_key, "inputConfig": {"fileName": file_ref}}}
        address = f"models/{self.model.removeprefix('models/')}:batchGenerateContent"

        def create() -> BatchJob:
            return self._job(self._post(address, "create a batch", asked))

        return created_once(run_key, self.find, create, self._patience.sleep)

    def job(self, name: str) -> BatchJob:
        """Ask how a job is."""
        missing = f"{self.provider} has no batch {name}"
        return self._job(self._get(name, "tell of a batch", missing=missing))

    def cancel(self, name: str) -> BatchJob:
        """Ask for a job's end, unless it has ended."""
        job = self.job(name)
        if job.state.is_final:
            return job
        try:
            self._post(f"{name}:cancel", "cancel a batch", {})
        except (PermanentError, LostAnswerError):
            # It ended between the two requests, or the answer was lost.
            if not self.job(name).state.is_final:
                raise
        return self.job(name)

    def results(self, job: BatchJob, folder: Path) -> Iterator[BatchLine]:
        """Bring the answers here and read them; failed lines are among them."""
        if job.output_ref is not None:
            opened = partial(self._opened, job.output_ref)
            yield from lines_of(
                [fetched(job.output_ref, folder, opened, self._patience)], read_line
            )

    @contextmanager
    def _opened(self, ref: str, headers: Mapping[str, str]) -> Generator[Body]:
        missing = f"{self.provider} has no file {ref} any more"
        url = f"{self._download_base}/{ref}:download"
        with (
            self._refusals.told("give a file"),
            self._http.stream(
                "GET", url, params={"alt": "media"}, headers={**self._key, **headers}
            ) as response,
        ):
            if response.is_error and response.status_code != _NOTHING_LEFT:
                response.read()
                self._check(response, "give a file", missing)
            self._refusals.check_real(response.headers)
            yield response

    def _get(
        self, address: str, doing: str, query: Mapping[str, Any] | None = None, missing: str = ""
    ) -> dict[str, Any]:
        with self._refusals.told(doing):
            response = self._http.get(
                f"{self._base}/{address}", headers=self._key, params=dict(query or {})
            )
        return self._read(response, doing, missing)

    def _post(self, address: str, doing: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with self._refusals.told(doing):
            response = self._http.post(f"{self._base}/{address}", headers=self._key, json=body)
        return self._read(response, doing)

    def _check(self, response: httpx2.Response, doing: str, missing: str = "") -> None:
        self._refusals.check_real(response.headers)
        if response.is_error:
            raise self._refusals.refusal(response, doing, missing)

    def _read(self, response: httpx2.Response, doing: str, missing: str = "") -> dict[str, Any]:
        self._check(response, doing, missing)
        try:
            value: Any = from_json(response.content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise LostAnswerError(f"{self.provider} answered no JSON when asked to {doing}")
        return cast(dict[str, Any], value)

    def _job(self, operation: Mapping[str, Any]) -> BatchJob:
        metadata, name = _metadata(operation), str(operation.get("name"))
        said = str(metadata.get("state"))
        state = _STATES.get(said.removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_"))
        if state is None:
            raise PermanentError(
                f"{self.provider} says that the batch {name} is {said!r}: nobody here knows what"
                " that means",
                "Look at the batch in the provider's console; a newer version may know the state",
            )
        stats = cast(Mapping[str, Any], metadata.get("batchStats") or {})
        error = cast(Mapping[str, Any], operation.get("error") or metadata.get("error") or {})
        output: Any = operation.get("response") or metadata.get("output") or {}
        is_failed = state is BatchState.FAILED
        return BatchJob(
            name=name,
            state=state,
            run_key=str(metadata.get("displayName") or ""),
            # Numbers of 64 bits are texts in Google's JSON.
            requests_total=int(stats.get("requestCount") or 0),
            requests_completed=int(stats.get("successfulRequestCount") or 0),
            requests_failed=int(stats.get("failedRequestCount") or 0),
            output_ref=cast(str | None, output.get("responsesFile") or None),
            error=f"{error.get('code')}: {error.get('message')}" if is_failed and error else None,
            created_at=_time(metadata.get("createTime")),
            ended_at=_time(metadata.get("endTime") or metadata.get("updateTime"))
            if state.is_final
            else None,
            is_permanent_failure=is_failed and error.get("code") not in _PASSING_CODES,
        )


def read_line(raw: bytes) -> BatchLine:
    """Read a line of an output file."""
    try:
        line: Any = from_json(raw)
        custom_id = str(line["key"] or "")
    except (ValueError, KeyError, TypeError):
        return BatchLine("", raw, None, "the line is not in the form of a batch's", 0, 0)
    try:
        error: Any = line.get("error") or line.get("status")
        if error:
            reason = f"{error.get('code')}: {error.get('message')}"
            is_expired = error.get("code") == _EXPIRED_CODE
            return BatchLine(custom_id, raw, None, reason, 0, 0, is_expired)
        return _answered(custom_id, raw, line["response"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        problem = "the answer is not in the form of a completion"
        return BatchLine(custom_id, raw, None, problem, 0, 0)


def _answered(custom_id: str, raw: bytes, response: Mapping[str, Any]) -> BatchLine:
    usage: Any = response.get("usageMetadata") or {}
    candidates: Any = response.get("candidates") or [{}]
    candidate = cast(Mapping[str, Any], candidates[0])
    said = cast(Mapping[str, Any], candidate.get("content") or {})
    parts = cast(Sequence[Mapping[str, Any]], said.get("parts") or [])
    content = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    problem = None
    if not content:
        feedback: Any = response.get("promptFeedback") or {}
        why = feedback.get("blockReason") or candidate.get("finishReason") or "no reason given"
        problem = f"the answer is empty ({why})"
    answered = int(usage.get("candidatesTokenCount") or 0)
    thought = int(usage.get("thoughtsTokenCount") or 0)
    return BatchLine(
        custom_id,
        raw,
        content or None,
        problem,
        int(usage.get("promptTokenCount") or 0),
        answered + thought,
    )


def _metadata(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], operation.get("metadata") or {})


def _file_name(run_key: str, file: Path) -> str:
    """A name that only this content of this run has: 40 lower-case letters and digits at most."""
    digest = hashlib.sha256(f"{run_key}\n".encode())
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return f"files/batch-{digest.hexdigest()[:32]}"


def _begun_before(memory: Path, name: str) -> _Session | None:
    try:
        session = _Session(**remembered(memory))
    except TypeError:
        return None
    return session if session.name == name else None


def _time(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
