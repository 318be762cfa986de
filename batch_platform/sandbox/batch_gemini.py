"""Files and batches in Gemini's own form: https://ai.google.dev/api/batch-api, …/api/files."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from batch_platform.sandbox.batch_book import GEMINI, Asked, Job, Stage, StoredFile, new_id
from batch_platform.sandbox.batch_desk import MADE_UP, Desk, as_json, cut
from batch_platform.sandbox.chat_calls import ChatCall, tokens_of
from batch_platform.sandbox.made_up_answers import Item, text_digest

_CODES = {
    "server_error": 13,
    "batch_expired": 4,
    "batch_cancelled": 1,
    "content_policy": 3,
    "invalid_request": 3,
}
_WHOLE_FAILURES = {"token_limit_exceeded": 8, "server_error": 13}


class GeminiForm:
    """How Gemini writes its lines. Implements `batch_book.WireForm`."""

    has_error_file = False
    keeps_partial_results = False

    def read(self, line: bytes, model: str) -> Asked:
        """Read a request."""
        try:
            said = json.loads(line)
            key, request = str(said["key"]), said["request"]
            text = "".join(part["text"] for part in request["contents"][-1]["parts"])
            parts = request.get("systemInstruction", {}).get("parts", [])
            config = request.get("generationConfig", {})
        except (ValueError, KeyError, TypeError, IndexError):
            return Asked("", None, "The line is no request.")
        guidance = "".join(part["text"] for part in parts)
        return Asked(
            key,
            ChatCall(
                model=model,
                schema=config.get("responseJsonSchema"),
                tool=None,
                guidance=guidance,
                items=(Item(text, {}, text_digest(text)),),
                has_items=False,
                digest=text_digest(text),
                prompt_tokens=tokens_of(guidance) + tokens_of(text),
                max_tokens=config.get("maxOutputTokens"),
            ),
        )

    def answered(self, asked: Asked, text: str, number: int) -> dict[str, Any]:
        """The line of an answer."""
        if asked.call is None:
            raise ValueError("a line that cannot be read has no answer")
        prompt, answered = asked.call.prompt_tokens, tokens_of(text)
        return {
            "key": asked.id,
            "response": {
                "candidates": [
                    {
                        "content": {"parts": [{"text": text}], "role": "model"},
                        "finishReason": "STOP",
                        "index": 0,
                    }
                ],
                "usageMetadata": {
                    "promptTokenCount": prompt,
                    "candidatesTokenCount": answered,
                    "totalTokenCount": prompt + answered,
                },
                "modelVersion": "sandbox-made-up",
                "responseId": f"sandbox-{number}",
            },
        }

    def failed(self, asked: Asked, code: str, message: str) -> dict[str, Any]:
        """The line of a failure."""
        return {"key": asked.id, "error": {"code": _CODES.get(code, 2), "message": message}}


class GeminiBatchRoutes:
    """The addresses that Gemini's clients ask."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._book = desk, desk.book
        self._sessions: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[web.RouteDef]:
        """As at `generativelanguage.googleapis.com`."""
        return [
            web.post("/upload/v1beta/files", self._upload),
            web.get("/v1beta/files/{id}:download", self._give_file),
            web.get("/v1beta/files/{id}", self._tell_file),
            web.get("/download/v1beta/files/{id}:download", self._give_file),
            web.post("/v1beta/models/{model}:batchGenerateContent", self._create),
            web.get("/v1beta/batches", self._batches),
            web.get("/v1beta/batches/{id}", self._tell_batch),
            web.post("/v1beta/batches/{id}:cancel", self._cancel),
        ]

    def _refusal(self, request: web.Request, operation: str) -> web.Response | None:
        self._desk.counted(f"gemini.{operation}")
        key = self._desk.options.api_key
        if key is None or request.headers.get("x-goog-api-key") == key:
            return None
        return _error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if "upload_id" in request.query:
            return await self._take_piece(request)
        if refused := self._refusal(request, "begin_upload"):
            return refused
        asked = (await request.json()).get("file", {}) if request.can_read_body else {}
        session = new_id("s")
        file_id = asked.get("name") or new_id("files/")
        self._book.path(file_id).unlink(missing_ok=True)
        self._sessions[session] = {
            "id": file_id,
            "name": asked.get("displayName", ""),
            "length": int(request.headers["X-Goog-Upload-Header-Content-Length"]),
        }
        url = f"http://{request.host}/upload/v1beta/files?upload_id={session}"
        return as_json({}, headers={**MADE_UP, "x-goog-upload-url": url, **_status("active")})

    async def _take_piece(self, request: web.Request) -> web.StreamResponse:
        self._desk.counted("gemini.upload_part")
        session = self._sessions.get(request.query["upload_id"])
        if session is None:
            return _error(404, "The upload is not known.", "NOT_FOUND")
        target = self._book.path(session["id"])
        target.touch()
        commands = request.headers.get("X-Goog-Upload-Command", "")
        have = target.stat().st_size
        if commands == "query":
            is_final = self._book.file(session["id"], GEMINI) is not None
            return as_json(
                {},
                headers={
                    **MADE_UP,
                    **_status("final" if is_final else "active"),
                    "x-goog-upload-size-received": str(have),
                },
            )
        if int(request.headers.get("X-Goog-Upload-Offset", -1)) != have:
            return _error(400, f"{have} bytes are here.", "INVALID_ARGUMENT")
        await self._desk.take(request, target, is_appended=True)
        if "finalize" not in commands:
            return as_json({}, headers={**MADE_UP, **_status("active")})
        if target.stat().st_size != session["length"]:
            return _error(400, "The upload is not complete.", "INVALID_ARGUMENT")
        stored = await self._desk.working(
            self._book.keep_file, session["id"], GEMINI, session["name"], "batch"
        )
        return as_json({"file": _file(stored)}, headers={**MADE_UP, **_status("final")})

    async def _tell_file(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "file"):
            return refused
        stored = self._book.file(f"files/{request.match_info['id']}", GEMINI)
        return _hidden() if stored is None else as_json(_file(stored))

    async def _give_file(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request, "download"):
            return refused
        stored = self._book.file(f"files/{request.match_info['id']}", GEMINI)
        if stored is None:
            return _error(404, "The file does not exist.", "NOT_FOUND")
        return await self._desk.give(request, self._book.path(stored.id))

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request, "create"):
            return refused
        asked = (await request.json())["batch"]
        if self._desk.options.quota_of_day:
            return _quota_of_day()
        if self._desk.is_hit("refused_creates"):
            return _error(503, "The service is overloaded.", "UNAVAILABLE")
        stored = self._book.file(asked["inputConfig"]["fileName"], GEMINI)
        if stored is None:
            return _error(400, "The input file does not exist.", "INVALID_ARGUMENT")
        model = request.match_info["model"]
        key = asked.get("displayName", "")
        job = await self._desk.working(self._book.create, GEMINI, key, model, stored.id)
        if self._desk.is_hit("lost_creates"):
            await asyncio.sleep(self._desk.options.hang_seconds)
            return cut(request)
        return as_json(self._operation(job))

    async def _batches(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "list"):
            return refused
        jobs = await self._desk.working(self._book.jobs, GEMINI)
        start = int(request.query.get("pageToken") or 0)
        most = min(int(request.query.get("pageSize") or 50), self._desk.options.page_entries)
        page: dict[str, Any] = {
            "operations": [self._operation(each) for each in jobs[start : start + most]]
        }
        if start + most < len(jobs):
            page["nextPageToken"] = str(start + most)
        return as_json(page)

    async def _tell_batch(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "job"):
            return refused
        job = await self._asked_job(request)
        return _no_batch() if job is None else as_json(self._operation(job))

    async def _cancel(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, "cancel"):
            return refused
        job = await self._asked_job(request)
        if job is None:
            return _no_batch()
        if job.stage.is_final:
            return _error(400, "The batch has ended.", "FAILED_PRECONDITION")
        if job.stage is not Stage.CANCELLING:
            await self._desk.working(self._book.cancel, job)
        return as_json({})

    async def _asked_job(self, request: web.Request) -> Job | None:
        name = f"batches/{request.match_info['id']}"
        return await self._desk.working(self._book.job, name, GEMINI)

    def _operation(self, job: Job) -> dict[str, Any]:
        # A job that is about to end goes on running for whoever asks.
        stage = Stage.RUNNING if job.stage is Stage.CANCELLING else job.stage
        state = self._desk.options.unknown_state or f"BATCH_STATE_{stage.name}"
        ended = job.ended_at if job.ended_at is not None else self._book.now()
        metadata: dict[str, Any] = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "model": f"models/{job.model}",
            "displayName": job.key,
            "state": state,
            "createTime": _time(job.created_at),
            "updateTime": _time(ended),
            "inputConfig": {"fileName": job.input_id},
            "batchStats": {
                "requestCount": str(job.lines),
                "pendingRequestCount": str(job.lines - job.answered - job.failed),
                "successfulRequestCount": str(job.answered),
                "failedRequestCount": str(job.failed),
            },
            "name": job.id,
        }
        operation: dict[str, Any] = {"name": job.id, "metadata": metadata}
        if job.stage.is_final:
            metadata["endTime"] = _time(ended)
            operation["done"] = True
        if job.output_id is not None:
            output = {"responsesFile": job.output_id}
            metadata["output"] = output
            operation["response"] = {"@type": f"{metadata['@type']}Output", **output}
        if job.stage is Stage.FAILED:
            code = _WHOLE_FAILURES.get(job.error_code or "", 3)
            operation["error"] = {"code": code, "message": f"{job.error_code} (made up)"}
        return operation


def _file(stored: StoredFile) -> dict[str, Any]:
    return {
        "name": stored.id,
        "displayName": stored.name,
        "mimeType": "application/jsonl",
        "sizeBytes": str(stored.bytes),
        "createTime": _time(stored.created_at),
        "state": "ACTIVE",
    }


def _status(status: str) -> dict[str, str]:
    return {"x-goog-upload-status": status}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _error(status: int, message: str, name: str) -> web.Response:
    return as_json({"error": {"code": status, "message": message, "status": name}}, status)


def _hidden() -> web.Response:
    words = "You do not have permission to access the file or it may not exist."
    return _error(403, words, "PERMISSION_DENIED")


def _no_batch() -> web.Response:
    return _error(404, "The batch does not exist.", "NOT_FOUND")


def _quota_of_day() -> web.Response:
    violation = {"quotaId": "BatchRequestsPerDayPerProject", "quotaValue": "100"}
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
    words = "You exceeded your current quota."
    error = {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED", "details": details}
    return as_json({"error": error}, 429)
