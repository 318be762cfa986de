"""What a failed call means: whether it can succeed, when, and what a person has to do.

Pure: reads a response's status, headers and body. Both error shapes of FACTS §6 are known:
`{"error": {"code", "message"}}` (also in a list, as Gemini sends it) and HyperCLOVA X's
`{"status": {"code", "message"}, "result": null}`.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any, cast

from batch_platform.core.errors import ConfigurationError, PermanentError, PlatformError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RESET_HEADERS = ("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "x-ratelimit-reset")
_RETRYABLE_STATUS = frozenset((408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529))
_HCX_RATE, _HCX_OVERLOADED = "42901", "42902"
_SAFE_CODE = re.compile(r"^[A-Za-z0-9_.-]{1,40}$")


class Kind(Enum):
    """What to do about a failed call."""

    REFUSED = auto()
    """Too fast: everyone pauses, then the call is sent again."""
    TRANSIENT = auto()
    """The same call may succeed later."""
    UNREACHABLE = auto()
    """There was nobody to send the call to: no connection. It may succeed later."""
    BAD_REQUEST = auto()
    """This call will fail the same way; its items, asked alone, may not."""
    FATAL = auto()
    """No call will succeed until a person does something: the run stops."""


class CallFailed(Exception):  # noqa: N818 - a verdict on a call, not an error of the platform
    """A call that brought no answer.

    Args:
        kind: What to do about it.
        reason: Half a sentence for a person, without secrets and personal data.
        delay_seconds: How long the provider asked to wait, if it did.
        fatal: The error that ends the run; only for `Kind.FATAL`.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        delay_seconds: float | None = None,
        fatal: PlatformError | None = None,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.delay_seconds = delay_seconds
        self.fatal = fatal


def failure_of(
    status: int, headers: Mapping[str, str], body: bytes, key_variable: str, now: datetime
) -> CallFailed:
    """Tell what a response that is no answer means.

    Args:
        status: HTTP status.
        headers: With case-insensitive or lower-case names.
        body: As it came.
        key_variable: The setting that holds the key.
        now: For a Retry-After that is a date.
    """
    error = _error_in(body)
    code = _code_of(error)
    message = str(error.get("message") or "")
    reason = f"the provider answered {status}" + (f" ({code})" if code else "")
    if status in (401, 403) or "API_KEY_INVALID" in str(error) or "API key not valid" in message:
        return _fatal(
            ConfigurationError(f"The provider refuses the key ({reason})", f"Check {key_variable}")
        )
    if status == 402 or code == "insufficient_quota":
        return _fatal(
            PermanentError(
                f"The provider's account has nothing left ({reason})", "Top it up, then run again"
            )
        )
    if status == 404:
        return _fatal(
            ConfigurationError(
                f"The provider knows no such address or model ({reason})",
                "Check the model's name and the provider's address",
            )
        )
    if status == 429 or code in (_HCX_RATE, _HCX_OVERLOADED):
        if _is_daily(error):
            return _fatal(
                PermanentError(
                    f"The provider's quota of the day is used up ({reason})",
                    "Run again tomorrow: what was answered is kept",
                )
            )
        return CallFailed(Kind.REFUSED, reason, delay_of(headers, error, now))
    if status in _RETRYABLE_STATUS or status >= 500 or code.startswith("5"):
        return CallFailed(Kind.TRANSIENT, reason, delay_of(headers, error, now))
    if 400 <= status < 500 or code.startswith("4"):
        return CallFailed(Kind.BAD_REQUEST, reason)
    return CallFailed(Kind.TRANSIENT, f"{reason} without an answer")


def delay_of(headers: Mapping[str, str], error: Mapping[str, Any], now: datetime) -> float | None:
    """Seconds the provider asks to wait.

    In the order `retry-after-ms`, `Retry-After`, `x-ratelimit-reset-*`, body.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    if said is not None:
        seconds = _number(said)
        if seconds is None:
            seconds = _seconds_until(said, now)
        if seconds is not None:
            return seconds
    resets = [duration(headers[name]) for name in _RESET_HEADERS if name in headers]
    known = [seconds for seconds in resets if seconds is not None]
    if known:
        return max(known)
    for detail in _details(error):
        if "retryDelay" in detail:
            return duration(str(detail["retryDelay"]))
    return None


def duration(text: str) -> float | None:
    """Seconds of `2.5s`, `1m30s`, `250ms` or a bare number of seconds; None for anything else."""
    bare = _number(text)
    if bare is not None:
        return bare
    parts = _DURATION.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def is_error_body(body: Mapping[str, Any]) -> bool:
    """Whether a body of status 200 is an error all the same, as HyperCLOVA X and proxies send."""
    return "choices" not in body and ("error" in body or "status" in body)


def _fatal(error: PlatformError) -> CallFailed:
    return CallFailed(Kind.FATAL, error.problem, fatal=error)


def _error_in(body: bytes) -> Mapping[str, Any]:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:
        value = cast(list[Any], value)[0]
    if not isinstance(value, dict):
        return {}
    fields = cast(dict[str, Any], value)
    for name in ("error", "status"):
        error = fields.get(name)
        if isinstance(error, dict):
            return cast(dict[str, Any], error)
        if isinstance(error, str):
            return {"message": error}
    return fields


def _code_of(error: Mapping[str, Any]) -> str:
    """The provider's own code; only what looks like one, since a message could hold anything."""
    for name in ("code", "type"):
        code = str(error.get(name) or "")
        if _SAFE_CODE.match(code):
            return code
    return ""


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    if not isinstance(details, list):
        return []
    return [
        cast(Mapping[str, Any], each) for each in cast(list[Any], details) if isinstance(each, dict)
    ]


def _is_daily(error: Mapping[str, Any]) -> bool:
    for detail in _details(error):
        if "PerDay" in str(detail.get("violations")):
            return True
    message = str(error.get("message") or "")
    return "PerDay" in message or "per day" in message or "requests per day" in message


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    # A negative or not finite delay is no delay.
    return number if number is not None and 0 <= number < float("inf") else None


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())
