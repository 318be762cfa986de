"""Files, uploads and batches in OpenAI's form: https://platform.openai.com/docs/api-reference/batch."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import hdrs, web

from batch_platform.sandbox import chat_calls
from batch_platform.sandbox.batch_book import OPENAI, Asked, Job, Stage, StoredFile, new_id
from batch_platform.sandbox.batch_desk import Desk, as_json, cut
from batch_platform.sandbox.chat_calls import BadCallError
from batch_platform.sandbox.faults import Fault, error_response, openai_error

_ENDPOINT = "/v1/chat/completions"
_STATUS = {
    Stage.PENDING: "validating",
    Stage.RUNNING: "in_progress",
    Stage.CANCELLING: "cancelling",
    Stage.SUCCEEDED: "completed",
    Stage.FAILED: "failed",
    Stage.CANCELLED: "cancelled",
    Stage.EXPIRED: "expired",
}
_UPLOAD_SECONDS = 3600


class OpenAIForm:
    """How OpenAI writes its lines. Implements `batch_book.WireForm`."""

    has_error_file = True
    keeps_partial_results = True

    def read(self, line: bytes, model: str) -> Asked:
        """Read a request."""
        del model
        try:
            said = json.loads(line)
            custom_id = str(said["custom_id"])
        except (ValueError, KeyError, TypeError):
            return Asked("", None, "This line is not parseable as valid JSON.")
        if said.get("method") != "POST" or said.get("url") != _ENDPOINT:
            return Asked(custom_id, None, "The URL of the request does not match the batch's.")
        try:
            call = chat_calls.read_call(json.dumps(said.get("body")).encode())
        except BadCallError as bad:
            return Asked(custom_id, None, bad.reason)
        return Asked(custom_id, call)

    def answered(self, asked: Asked, text: str, number: int) -> dict[str, Any]:
        """The line of an answer."""
        if asked.call is None:
            raise ValueError("a line that cannot be read has no answer")
        body = json.loads(chat_calls.completion(asked.call, text, 0, number))
        response = {"status_code": 200, "request_id": f"req-{number}", "body": body}
        return {"id": f"r-{number}", "custom_id": asked.id, "response": response, "error": None}

    def failed(self, asked: Asked, code: str, message: str) -> dict[str, Any]:
        """The line of a failure: one that was not tried has no response."""
        line: dict[str, Any] = {"id": f"r-{asked.id}", "custom_id": asked.id}
        if code.startswith("batch_"):
            return line | {"response": None, "error": {"code": code, "message": message}}
        status = 500 if code == "server_error" else 400
        body = openai_error(message, code)
        return line | {"response": {"status_code": status, "body": body}, "error": None}


class OpenAIBatchRoutes:
    """The addresses that OpenAI's clients ask."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._book = desk, desk.book
        self._uploads: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[web.RouteDef]:
        """With and without `/v1`, as providers' addresses differ."""
        return [
            route
            for prefix in ("/v1", "")
            for route in (
                web.post(f"{prefix}/files", self._take_file),
                web.get(f"{prefix}/files", self._files),
                web.get(f"{prefix}/files/{{id}}", self._tell_file),
                web.get(f"{prefix}/files/{{id}}/content", self._give_file),
                web.post(f"{prefix}/uploads", self._begin),
                web.post(f"{prefix}/uploads/{{id}}/parts", self._take_part),
                web.post(f"{prefix}/uploads/{{id}}/complete", self._complete),
                web.post(f"{prefix}/batches", self._create),
                web.get(f"{prefix}/batches", self._batches),
                web.get(f"{prefix}/batches/{{id}}", self._tell_batch),
                web.post(f"{prefix}/batches/{{id}}/cancel", self._cancel),
            )
        ]

    def _refusal(self, request: web.Request, operation: str) -> web.Response | None:
        self._desk.counted(f"openai.{operation}")
        key = self._desk.options.api_key
        if key is None or request.headers.get(hdrs.AUTHORIZATION) == f"Bearer {key}":
            return None
        return _error(Fault.BAD_KEY)

    async def _take_file(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request, "upload"):
            return refused
        file_id = new_id("file-")
        fields = await self._desk.take_part(request, self._book.path(file_id), "file")
        if self._book.path(file_id).stat().st_size > self._desk.options.max_file_bytes:
            return as_json(openai_error("The file is too large.", "file_too_large"), 413)
        stored = await self._desk.working(
            self._book.keep_file,
            *(file_id, OPENAI, fields.get("filename", ""), fields.get("purpose", "")),
        )
        return as_json(_file(stored))

    async def _files(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "list_files"):
            return refused
        purpose = request.query.get("purpose")
        files = [
            _file(each) for each in self._book.files(OPENAI) if purpose in (None, each.purpose)
        ]
        return as_json(self._page(files, request))

    async def _tell_file(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "file"):
            return refused
        stored = self._book.file(request.match_info["id"], OPENAI)
        return _missing("file") if stored is None else as_json(_file(stored))

    async def _give_file(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request, "download"):
            return refused
        stored = self._book.file(request.match_info["id"], OPENAI)
        if stored is None:
            return _missing("file")
        return await self._desk.give(request, self._book.path(stored.id))

    async def _begin(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "begin_upload"):
            return refused
        asked = await request.json()
        upload_id = new_id("upload_")
        self._uploads[upload_id] = {**asked, "parts": []}
        return as_json(
            {
                "id": upload_id,
                "object": "upload",
                "status": "pending",
                "expires_at": int(self._book.now()) + _UPLOAD_SECONDS,
                **asked,
            }
        )

    async def _take_part(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request, "upload_part"):
            return refused
        upload = self._uploads.get(request.match_info["id"])
        if upload is None:
            return _missing("upload")
        part_id = new_id("part_")
        await self._desk.take_part(request, self._book.path(part_id), "data")
        return as_json({"id": part_id, "object": "upload.part", "upload_id": upload})

    async def _complete(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "complete_upload"):
            return refused
        upload = self._uploads.pop(request.match_info["id"], None)
        if upload is None:
            return _missing("upload")
        asked = await request.json()
        file_id, digest = new_id("file-"), hashlib.md5(usedforsecurity=False)
        with self._book.path(file_id).open("wb") as output:
            for part_id in asked["part_ids"]:
                content = self._book.path(part_id).read_bytes()
                digest.update(content)
                output.write(content)
                self._book.path(part_id).unlink()
            length = output.tell()
        if length != upload["bytes"] or digest.hexdigest() != asked.get("md5", digest.hexdigest()):
            return as_json(openai_error("The parts are not the file.", "invalid_upload"), 400)
        stored = await self._desk.working(
            self._book.keep_file, file_id, OPENAI, upload["filename"], upload["purpose"]
        )
        return as_json({"id": file_id, "object": "upload", "file": _file(stored)})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request, "create"):
            return refused
        asked = await request.json()
        if self._desk.options.quota_of_day:
            return _error(Fault.DAILY_QUOTA)
        if self._desk.is_hit("refused_creates"):
            return _error(Fault.UNAVAILABLE)
        stored = self._book.file(asked.get("input_file_id", ""), OPENAI)
        if stored is None:
            return as_json(openai_error("The input file does not exist.", "invalid_file"), 400)
        key = (asked.get("metadata") or {}).get("run_key", "")
        job = await self._desk.working(self._book.create, OPENAI, key, "", stored.id)
        if self._desk.is_hit("lost_creates"):
            await asyncio.sleep(self._desk.options.hang_seconds)
            return cut(request)
        return as_json(self._batch(job))

    async def _batches(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "list"):
            return refused
        jobs = await self._desk.working(self._book.jobs, OPENAI)
        return as_json(self._page([self._batch(each) for each in jobs], request))

    async def _tell_batch(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "job"):
            return refused
        job = await self._desk.working(self._book.job, request.match_info["id"], OPENAI)
        return _missing("batch") if job is None else as_json(self._batch(job))

    async def _cancel(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "cancel"):
            return refused
        job = await self._desk.working(self._book.job, request.match_info["id"], OPENAI)
        if job is None:
            return _missing("batch")
        if job.stage.is_final or job.stage is Stage.CANCELLING:
            words = f"Cannot cancel a batch with status '{_STATUS[job.stage]}'."
            return as_json(openai_error(words, "invalid_request"), 409)
        return as_json(self._batch(await self._desk.working(self._book.cancel, job)))

    def _page(self, entries: list[dict[str, Any]], request: web.Request) -> dict[str, Any]:
        after = request.query.get("after")
        ids = [each["id"] for each in entries]
        start = ids.index(after) + 1 if after in ids else 0
        most = min(int(request.query.get("limit", 20)), self._desk.options.page_entries)
        page = entries[start : start + most]
        return {"object": "list", "data": page, "has_more": start + most < len(entries)}

    def _batch(self, job: Job) -> dict[str, Any]:
        status = self._desk.options.unknown_state or _STATUS[job.stage]
        errors = None
        if job.stage is Stage.FAILED:
            said = {"code": job.error_code, "message": "made up", "line": 1, "param": None}
            errors = {"object": "list", "data": [said]}
        ended = {f"{status}_at": int(job.ended_at)} if job.ended_at is not None else {}
        return {
            "id": job.id,
            "object": "batch",
            "endpoint": _ENDPOINT,
            "completion_window": "24h",
            "input_file_id": job.input_id,
            "status": status,
            "errors": errors,
            "created_at": int(job.created_at),
            "in_progress_at": int(job.runs_at) if job.stage is not Stage.PENDING else None,
            "request_counts": {
                "total": 0 if job.stage is Stage.PENDING else job.lines,
                "completed": job.answered,
                "failed": job.failed,
            },
            "output_file_id": job.output_id,
            "error_file_id": job.error_id,
            "metadata": {"run_key": job.key},
            **ended,
        }


def _file(stored: StoredFile) -> dict[str, Any]:
    return {
        "id": stored.id,
        "object": "file",
        "bytes": stored.bytes,
        "created_at": int(stored.created_at),
        "filename": stored.name,
        "purpose": stored.purpose,
        "status": "processed",
    }


def _missing(what: str) -> web.Response:
    return as_json(openai_error(f"No such {what}.", "not_found"), 404)


def _error(fault: Fault) -> web.Response:
    error = error_response(fault, 1.0, datetime.now(UTC))
    if error is None:
        raise ValueError(f"{fault} is no error response")
    return as_json(error.body, error.status)
