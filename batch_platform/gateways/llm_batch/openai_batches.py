"""OpenAI's batches, and those of servers that speak like it, through the `openai` package.

Reference: https://platform.openai.com/docs/api-reference/batch, …/files, …/uploads. The package
is handed plain requests and gives plain responses: a state that it does not know must be seen.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import httpx2
import openai
from pydantic import BaseModel
from pydantic_core import from_json

from batch_platform.core.days import utc_now
from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
)
from batch_platform.gateways.llm.providers import Provider
from batch_platform.gateways.llm.structured import Way, strict_schema
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

_ENDPOINT = "/v1/chat/completions"
_LIMITS = BatchLimits(50_000, 200_000_000)
_SINGLE_FILE_BYTES = 64_000_000
"""Above this a file goes up in parts: a connection that breaks then costs a part."""
_PART_BYTES = 16_000_000
_PAGE = 100
_RUN_KEY = "run_key"
_FORM_NAME = "answer"
_TIMEOUT = httpx2.Timeout(120.0, connect=8.0)
_CANCELLING = "cancelling"
_STATES = {
    "validating": BatchState.PENDING,
    "in_progress": BatchState.RUNNING,
    "finalizing": BatchState.RUNNING,
    _CANCELLING: BatchState.RUNNING,
    "completed": BatchState.SUCCEEDED,
    "failed": BatchState.FAILED,
    "cancelled": BatchState.CANCELLED,
    "expired": BatchState.EXPIRED,
}
_PASSING_CODES = frozenset(
    ("token_limit_exceeded", "rate_limit_exceeded", "server_error", "internal_error")
)
"""Codes of a job that failed as a whole and may succeed when it is created again later."""
_EXPIRED_CODES = frozenset(("batch_expired", "batch_cancelled"))
_NOTHING_LEFT = 416


@dataclass
class _Upload:
    """An upload in parts, kept in a file so that another process can go on with it."""

    id: str
    name: str
    part_bytes: int
    expires_at: float
    parts: list[str] = field(default_factory=list[str])


class OpenAIBatches:
    """Implements `client.BatchClient`.

    Args:
        provider: Whom to ask.
        is_made_up: Whether answers of the sandbox are welcome.
        limits: What a file may hold.
        single_file_bytes: The longest file that goes up in one request.
        part_bytes: Length of a longer file's parts.
        patience: How pieces of files are repeated, and how waiting is done.
        now: Clock.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        is_made_up: bool,
        limits: BatchLimits = _LIMITS,
        single_file_bytes: int = _SINGLE_FILE_BYTES,
        part_bytes: int = _PART_BYTES,
        patience: Patience | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._provider = provider
        self._limits = limits
        self._single_file_bytes, self._part_bytes = single_file_bytes, part_bytes
        self._patience = patience or Patience()
        self._now = now
        self._refusals = Refusals(provider, is_made_up=is_made_up, now=now)
        self._http = openai.OpenAI(
            api_key=provider.api_key.get_secret_value(),
            base_url=provider.base_url,
            max_retries=0,
            timeout=_TIMEOUT,
        )
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
        return b"".join(
            (
                *(b'{"custom_id":', json_bytes(request.custom_id), start),
                *(json_bytes(request.text), end),
            )
        )

    def _new_frame(
        self, instructions: str, answer: type[BaseModel], max_tokens: int
    ) -> tuple[bytes, bytes]:
        """What every line of a batch has before and after its text."""
        schema = strict_schema(answer)
        body: dict[str, Any] = {"model": self.model, **self._provider.shaping}
        body |= dict.fromkeys(self._provider.bounding or ("max_tokens",), max_tokens)
        if self._provider.way is Way.JSON_SCHEMA:
            form = {"name": _FORM_NAME, "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        else:
            said = json.dumps(schema, ensure_ascii=False)
            instructions += f"\n\nAnswer with nothing but one JSON object of this schema:\n{said}"
        body["messages"] = [{"role": "system", "content": instructions}]
        whole = json_bytes({"method": "POST", "url": _ENDPOINT, "body": body})
        return b"," + whole[1:].removesuffix(b"]}}") + b',{"role":"user","content":', b"}]}}\n"

    def upload(self, file: Path, run_key: str) -> str:
        """Bring a file there, or find it by its name, which holds its content's hash."""
        length, digests = file.stat().st_size, _digests(file)
        name = f"{run_key}-{digests['sha256'][:16]}.jsonl"
        there = self._uploaded(name, length)
        if there is not None:
            return there
        if length <= self._single_file_bytes:
            return self._upload_whole(file, name)
        return self._upload_in_parts(file, name, length, digests["md5"])

    def _uploaded(self, name: str, length: int) -> str | None:
        query = {"purpose": "batch", "limit": 1000, "order": "desc"}
        try:
            for each in self._listed("/files", query, "list its files"):
                is_same = each.get("filename") == name and each.get("bytes") == length
                if is_same and each.get("status") != "error":
                    return str(each["id"])
        except (PermanentError, ConfigurationError):
            # A server that cannot list files, or a key that may not, can still take one.
            return None
        return None

    def _upload_whole(self, file: Path, name: str) -> str:
        with file.open("rb") as content, self._refusals.told("take a file"):
            response = self._http.files.with_raw_response.create(
                file=(name, content, "application/jsonl"), purpose="batch"
            )
        return str(self._read(response.http_response, "take a file")["id"])

    def _upload_in_parts(self, file: Path, name: str, length: int, md5: str) -> str:
        memory = file.with_suffix(".upload")
        upload = self._begun_before(memory, name)
        if upload is not None:
            try:
                return self._sent(upload, file, length, md5, memory)
            except PermanentError:
                # The provider has forgotten it, or wants no more of it.
                memory.unlink()
        upload = self._begun(name, length)
        keep(memory, asdict(upload))
        return self._sent(upload, file, length, md5, memory)

    def _begun_before(self, memory: Path, name: str) -> _Upload | None:
        """An upload that was begun for the same content and that the provider still keeps."""
        try:
            upload = _Upload(**remembered(memory))
        except TypeError:
            return None
        is_same = upload.name == name and upload.part_bytes == self._part_bytes
        return upload if is_same and upload.expires_at > self._now().timestamp() else None

    def _begun(self, name: str, length: int) -> _Upload:
        asked = {
            "bytes": length,
            "filename": name,
            "mime_type": "application/jsonl",
            "purpose": "batch",
        }
        begun = self._post("/uploads", "begin an upload", asked)
        expires_at = float(begun.get("expires_at") or 0)
        return _Upload(str(begun["id"]), name, self._part_bytes, expires_at)

    def _sent(self, upload: _Upload, file: Path, length: int, md5: str, memory: Path) -> str:
        with file.open("rb") as content:
            for position in range(len(upload.parts) * self._part_bytes, length, self._part_bytes):
                content.seek(position)
                send = partial(self._part, upload.id, content.read(self._part_bytes))
                upload.parts.append(self._patience.repeated(send))
                keep(memory, asdict(upload))
        whole = self._post(
            f"/uploads/{upload.id}/complete",
            "end an upload",
            {"part_ids": upload.parts, "md5": md5},
            f"{self.provider} has forgotten the upload",
        )
        memory.unlink()
        return str(whole["file"]["id"])

    def _part(self, upload_id: str, piece: bytes) -> str:
        doing, missing = "take a part of a file", f"{self.provider} has forgotten the upload"
        with self._refusals.told(doing, missing):
            response = self._http.uploads.parts.with_raw_response.create(upload_id, data=piece)
        return str(self._read(response.http_response, doing)["id"])

    def find(self, run_key: str) -> BatchJob | None:
        """Look for our job through the whole list, newest first."""
        found: BatchJob | None = None
        for each in self._listed("/batches", {"limit": _PAGE}, "list its batches"):
            if cast(dict[str, Any], each.get("metadata") or {}).get(_RUN_KEY) == run_key:
                found = self._job(each)
        return found

    def _listed(
        self, address: str, query: Mapping[str, Any], doing: str
    ) -> Iterator[dict[str, Any]]:
        after: dict[str, Any] = {}
        while True:
            page = self._get(address, doing, {**query, **after})
            entries = cast(list[dict[str, Any]], page.get("data") or [])
            yield from entries
            if not entries or not page.get("has_more"):
                return
            after = {"after": entries[-1]["id"]}

    def create(self, file_ref: str, run_key: str) -> BatchJob:
        """Create the job, unless there is one of this key."""
        asked = {
            "input_file_id": file_ref,
            "endpoint": _ENDPOINT,
            "completion_window": "24h",
            "metadata": {_RUN_KEY: run_key},
        }

        def create() -> BatchJob:
            return self._job(self._post("/batches", "create a batch", asked))

        return created_once(run_key, self.find, create, self._patience.sleep)

    def job(self, name: str) -> BatchJob:
        """Ask how a job is."""
        return self._job(self._told(name))

    def cancel(self, name: str) -> BatchJob:
        """Ask for a job's end, unless it has ended or is about to: that takes ten minutes."""
        told = self._told(name)
        if self._is_to_be_ended(told):
            try:
                return self._job(self._post(f"/batches/{name}/cancel", "cancel a batch", None))
            except (PermanentError, LostAnswerError):
                # It ended between the two requests, or the answer was lost.
                told = self._told(name)
                if self._is_to_be_ended(told):
                    raise
        return self._job(told)

    def _is_to_be_ended(self, told: Mapping[str, Any]) -> bool:
        return not self._job(told).state.is_final and told["status"] != _CANCELLING

    def _told(self, name: str) -> dict[str, Any]:
        missing = f"{self.provider} has no batch {name}"
        return self._get(f"/batches/{name}", "tell of a batch", missing=missing)

    def results(self, job: BatchJob, folder: Path) -> Iterator[BatchLine]:
        """Bring the answers and the failed lines here and read them."""
        files = [
            fetched(
                ref, folder, lambda headers, ref=ref: self._opened(ref, headers), self._patience
            )
            for ref in (job.output_ref, job.error_ref)
            if ref is not None
        ]
        yield from lines_of(files, read_line)

    @contextmanager
    def _opened(self, ref: str, headers: Mapping[str, str]) -> Generator[Body]:
        missing = f"{self.provider} has no file {ref} any more"
        with self._refusals.told("give a file", missing):
            try:
                with self._http.files.with_streaming_response.content(
                    ref, extra_headers=dict(headers)
                ) as response:
                    self._refusals.check_real(response.headers)
                    yield response.http_response
            except openai.APIStatusError as error:
                if error.status_code != _NOTHING_LEFT:
                    raise
                yield error.response

    def _get(
        self, address: str, doing: str, query: Mapping[str, Any] | None = None, missing: str = ""
    ) -> dict[str, Any]:
        with self._refusals.told(doing, missing):
            response = self._http.get(
                address, cast_to=httpx2.Response, options={"params": dict(query or {})}
            )
        return self._read(response, doing)

    def _post(
        self, address: str, doing: str, body: Mapping[str, Any] | None, missing: str = ""
    ) -> dict[str, Any]:
        with self._refusals.told(doing, missing):
            response = self._http.post(address, cast_to=httpx2.Response, body=body)
        return self._read(response, doing)

    def _read(self, response: httpx2.Response, doing: str) -> dict[str, Any]:
        self._refusals.check_real(response.headers)
        try:
            value: Any = from_json(response.content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise LostAnswerError(f"{self.provider} answered no JSON when asked to {doing}")
        return cast(dict[str, Any], value)

    def _job(self, batch: Mapping[str, Any]) -> BatchJob:
        said, name = str(batch.get("status")), str(batch.get("id"))
        state = _STATES.get(said)
        if state is None:
            raise PermanentError(
                f"{self.provider} says that the batch {name} is {said!r}: nobody here knows what"
                " that means",
                "Look at the batch in the provider's console; a newer version may know the state",
            )
        counts = cast(Mapping[str, Any], batch.get("request_counts") or {})
        metadata = cast(Mapping[str, Any], batch.get("metadata") or {})
        errors = _errors_in(batch) if state is BatchState.FAILED else []
        codes = {code for code, _ in errors}
        return BatchJob(
            name=name,
            state=state,
            run_key=str(metadata.get(_RUN_KEY) or ""),
            requests_total=int(counts.get("total") or 0),
            requests_completed=int(counts.get("completed") or 0),
            requests_failed=int(counts.get("failed") or 0),
            output_ref=batch.get("output_file_id") or None,
            error_ref=batch.get("error_file_id") or None,
            error="; ".join(f"{code}: {message}" for code, message in errors[:3]) or None,
            created_at=_time(batch.get("created_at")),
            ended_at=next(
                (
                    _time(batch[f"{each}_at"])
                    for each in ("completed", "failed", "cancelled", "expired")
                    if batch.get(f"{each}_at")
                ),
                None,
            ),
            is_permanent_failure=state is BatchState.FAILED and not codes & _PASSING_CODES,
        )


def read_line(raw: bytes) -> BatchLine:
    """Read a line of an output or an error file."""
    try:
        line: Any = from_json(raw)
        custom_id = str(line["custom_id"] or "")
    except (ValueError, KeyError, TypeError):
        return BatchLine("", raw, None, "the line is not in the form of a batch's", 0, 0)
    try:
        return _answered(custom_id, raw, line)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        problem = "the answer is not in the form of a completion"
        return BatchLine(custom_id, raw, None, problem, 0, 0)


def _answered(custom_id: str, raw: bytes, line: Mapping[str, Any]) -> BatchLine:
    error: Any = line.get("error")
    response: Any = line.get("response")
    if not error and response and response["status_code"] == 200:
        return _completion(custom_id, raw, response["body"])
    if error:
        error = cast(dict[str, Any], error)
    else:
        response = cast(dict[str, Any], response or {})
        body = cast(dict[str, Any], response.get("body") or {})
        error = cast(dict[str, Any], body.get("error") or {})
        error.setdefault("code", f"status {response.get('status_code')}")
    code, message = str(error.get("code") or "no code"), str(error.get("message") or "")
    reason = f"{code}: {message}" if message else code
    return BatchLine(custom_id, raw, None, reason, 0, 0, is_expired=code in _EXPIRED_CODES)


def _completion(custom_id: str, raw: bytes, body: Mapping[str, Any]) -> BatchLine:
    choice: Any = body["choices"][0]
    usage: Any = body.get("usage") or {}
    content: str | None = choice["message"].get("content") or None
    problem = None if content else _why_empty(choice)
    return BatchLine(
        custom_id,
        raw,
        content,
        problem,
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
    )


def _why_empty(choice: Mapping[str, Any]) -> str:
    if choice["message"].get("refusal") or choice.get("finish_reason") == "content_filter":
        return "the model refused to answer"
    return "the answer is empty"


def _errors_in(batch: Mapping[str, Any]) -> list[tuple[str, str]]:
    errors = cast(Mapping[str, Any], batch.get("errors") or {})
    return [
        (str(each.get("code") or "unknown"), str(each.get("message") or ""))
        for each in cast(Sequence[Mapping[str, Any]], errors.get("data") or [])
    ]


def _time(seconds: object) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) else None


def _digests(file: Path) -> dict[str, str]:
    # MD5 is what the provider compares an upload with.
    found = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            for digest in found.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in found.items()}
