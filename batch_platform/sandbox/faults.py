"""How the model server goes wrong on purpose, and when.

Bodies and headers are those that the providers' clients have met: OpenAI's error object, Gemini's
in a list with `google.rpc` details, HyperCLOVA X's two shapes. Playing a fault on a connection is
the server's business; this module says what it looks like.
"""

import hashlib
import json
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Any

Answers = list[dict[str, Any]]


class Fault(StrEnum):
    """Everything that can go wrong, by the name that `--fault` takes."""

    RETRY_AFTER_MS = "429-retry-after-ms"
    RETRY_AFTER = "429-retry-after"
    RETRY_AFTER_DATE = "429-retry-after-date"
    RATELIMIT_RESET = "429-ratelimit-reset"
    RETRY_INFO = "429-retry-info"
    NO_DELAY = "429-no-delay"
    DAILY_QUOTA = "429-per-day"
    NO_CREDIT = "429-insufficient-quota"
    HCX_RATE = "hcx-42901"
    HCX_OVERLOADED = "hcx-42902"
    HCX_CONTEXT = "hcx-40003"
    BAD_KEY = "401"
    CONTEXT_TOO_LONG = "400-context"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502-html"
    UNAVAILABLE = "503"
    HANG = "hang"
    RESET = "reset"
    TRUNCATED_BODY = "truncated-body"
    WRONG_SHAPE = "wrong-shape"
    MISSING_ID = "missing-id"
    SWAPPED_IDS = "swapped-ids"
    INVENTED_ID = "invented-id"
    REPEATED_ID = "repeated-id"
    FOREIGN_CONTENT = "foreign-content"
    UNWRAPPED = "unwrapped"
    INVALID_JSON = "invalid-json"
    CUT_OFF = "cut-off"
    TRAILING_COMMA = "trailing-comma"
    SINGLE_QUOTES = "single-quotes"
    FENCED = "fenced"
    PROSE = "prose"
    EMPTY_ANSWER = "empty-answer"
    REFUSAL = "refusal"
    NONE = "none"
    """A call that goes well, in a script."""


RATE_FAULTS = frozenset(
    (
        *(Fault.RETRY_AFTER_MS, Fault.RETRY_AFTER, Fault.RETRY_AFTER_DATE, Fault.RATELIMIT_RESET),
        *(Fault.RETRY_INFO, Fault.NO_DELAY, Fault.HCX_RATE),
    )
)
"""Ways to say that too many calls came too quickly; a limit says it in one of these."""


class FaultPlan:
    """Decides what goes wrong with a call.

    Args:
        shares: Share of calls that each fault hits. Which ones is decided by the seed, the call's
            question and how often it was asked before: not by the order in which calls arrive.
        script: Faults of the next calls in order of arrival, before any share counts.
        poison: A piece of text → what always goes wrong with a call that contains it.
        seed: Another seed hits other calls.
    """

    def __init__(
        self,
        shares: Mapping[Fault, float],
        script: Sequence[Fault],
        poison: Mapping[str, Fault],
        seed: int,
    ) -> None:
        self._shares = dict(shares)
        self._script = deque(script)
        self._poison = dict(poison)
        self._seed = seed
        self._times_asked: Counter[str] = Counter()

    def next(self, digest: str, texts: Sequence[str]) -> Fault:
        """The fault of a call; `Fault.NONE` when it goes well.

        Args:
            digest: Names the call's question.
            texts: What it asks about.
        """
        for piece, fault in self._poison.items():
            if any(piece in text for text in texts):
                return fault
        if self._script:
            return self._script.popleft()
        if not self._shares:
            return Fault.NONE
        self._times_asked[digest] += 1
        drawn = self._draw(digest, self._times_asked[digest])
        for fault, share in self._shares.items():
            if drawn < share:
                return fault
            drawn -= share
        return Fault.NONE

    def _draw(self, digest: str, attempt: int) -> float:
        mixed = hashlib.blake2b(f"{self._seed}:{digest}:{attempt}".encode(), digest_size=8)
        return int.from_bytes(mixed.digest()) / 2**64


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An answer that is an error; `body` is JSON, or text as it stands."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def openai_error(message: str, code: str) -> dict[str, Any]:
    """The body of an error as OpenAI writes it."""
    return {"error": {"message": message, "type": "sandbox_error", "param": None, "code": code}}


def error_response(fault: Fault, wait_seconds: float, now: datetime) -> ErrorResponse | None:
    """The error that a fault answers with; None when the fault is none of status and body.

    Args:
        fault: What goes wrong.
        wait_seconds: The delay that a rate fault asks for.
        now: For the fault that names a date; with a zone.
    """
    whole_seconds = str(math.ceil(wait_seconds))
    too_many = openai_error("Rate limit reached (sandbox)", "rate_limit_exceeded")
    match fault:
        case Fault.RETRY_AFTER_MS:
            return ErrorResponse(
                429, too_many, {"retry-after-ms": str(math.ceil(wait_seconds * 1000))}
            )
        case Fault.RETRY_AFTER:
            return ErrorResponse(429, too_many, {"Retry-After": whole_seconds})
        case Fault.RETRY_AFTER_DATE:
            date = now.replace(microsecond=0) + timedelta(seconds=math.ceil(wait_seconds) + 1)
            said = format_datetime(date, usegmt=True)
            return ErrorResponse(429, too_many, {"Retry-After": said})
        case Fault.RATELIMIT_RESET:
            return ErrorResponse(
                429, too_many, {"x-ratelimit-reset-requests": f"{wait_seconds:.3f}s"}
            )
        case Fault.RETRY_INFO:
            return ErrorResponse(429, _gemini_error(wait_seconds, "PerMinute"))
        case Fault.NO_DELAY:
            return ErrorResponse(429, too_many)
        case Fault.DAILY_QUOTA:
            return ErrorResponse(429, _gemini_error(None, "PerDay"))
        case Fault.NO_CREDIT:
            return ErrorResponse(
                429, openai_error("You exceeded your current quota", "insufficient_quota")
            )
        case Fault.HCX_RATE:
            return ErrorResponse(429, _hcx_status("42901", "Too many requests - rate exceeded"))
        case Fault.HCX_OVERLOADED:
            return ErrorResponse(
                429, {"error": {"code": "42902", "message": "Too many requests - overloaded"}}
            )
        case Fault.HCX_CONTEXT:
            return ErrorResponse(400, _hcx_status("40003", "Text too long"))
        case Fault.BAD_KEY:
            return ErrorResponse(401, openai_error("Incorrect API key provided", "invalid_api_key"))
        case Fault.CONTEXT_TOO_LONG:
            message = "This model's maximum context length is exceeded"
            return ErrorResponse(400, openai_error(message, "context_length_exceeded"))
        case Fault.SERVER_ERROR:
            return ErrorResponse(500, openai_error("The server had an error", "server_error"))
        case Fault.BAD_GATEWAY:
            return ErrorResponse(502, "<html><body><h1>502 Bad Gateway</h1></body></html>")
        case Fault.UNAVAILABLE:
            return ErrorResponse(503, openai_error("The engine is overloaded", "overloaded"))
        case _:
            return None


def _gemini_error(wait_seconds: float | None, quota: str) -> list[dict[str, Any]]:
    """Gemini's error through its compatible address: a list of one, with `google.rpc` details."""
    details: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [
                {"quotaId": f"GenerateRequests{quota}PerProjectPerModel", "quotaValue": "10"}
            ],
        }
    ]
    if wait_seconds is not None:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": f"{wait_seconds:.3f}s",
            }
        )
    error = {
        "code": 429,
        "message": "You exceeded your current quota (sandbox)",
        "status": "RESOURCE_EXHAUSTED",
        "details": details,
    }
    return [{"error": error}]


def _hcx_status(code: str, message: str) -> dict[str, Any]:
    return {"status": {"code": code, "message": message}, "result": None}


def spoiled_answers(fault: Fault, answers: Answers, stranger: Mapping[str, Any]) -> Answers:
    """Answers with the wrong number of ids, or with the wrong content under an id.

    Args:
        fault: One that is none of these changes nothing.
        answers: Right ones, at least one.
        stranger: An answer to a text that was not asked about in this call.
    """
    first, *others = answers
    match fault:
        case Fault.WRONG_SHAPE:
            return [{"id": answer["id"], "result": "ok"} for answer in answers]
        case Fault.MISSING_ID:
            return answers[:-1]
        case Fault.SWAPPED_IDS if others:
            second = others[0]
            return [
                {**first, "id": second["id"]},
                {**second, "id": first["id"]},
                *others[1:],
            ]
        case Fault.SWAPPED_IDS | Fault.FOREIGN_CONTENT:
            return [{**stranger, "id": first["id"]}, *others]
        case Fault.INVENTED_ID:
            return [*answers, {**stranger, "id": "9999"}]
        case Fault.REPEATED_ID:
            return [*answers, {**stranger, "id": first["id"]}]
        case _:
            return answers


def spoiled_text(fault: Fault, value: Any, text: str) -> str:
    """The answer's text, not quite or not at all the JSON that was asked for.

    Args:
        fault: One that does not concern the text changes nothing.
        value: The answer.
        text: The answer as JSON.
    """
    half = text[: len(text) // 2]
    match fault:
        case Fault.UNWRAPPED if isinstance(value, dict) and len(value) == 1:
            return json.dumps(next(iter(value.values())), ensure_ascii=False)
        case Fault.INVALID_JSON:
            return f"{half}}}]]}}{half[::-1]}"
        case Fault.CUT_OFF:
            return half
        case Fault.TRAILING_COMMA:
            return f"{text[:-1]},{text[-1]}"
        case Fault.SINGLE_QUOTES:
            return repr(value)
        case Fault.FENCED:
            return f"```json\n{text}\n```"
        case Fault.PROSE:
            return f"네, 요청하신 결과입니다.\n\n```json\n{text}\n```\n\n도움이 되었기를 바랍니다."
        case Fault.EMPTY_ANSWER:
            return ""
        case _:
            return text
