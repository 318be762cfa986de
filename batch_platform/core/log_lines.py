"""How a server writes its log: a JSON object a line for programs, plain words for a terminal.

Every line has the same names whoever wrote it: time (UTC), level, logger, message, and what else
there is. Nothing secret or personal gets into a line.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, cast

from batch_platform.core.redaction import Redact, redacted_texts

_PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# The words of Dagster's console logger, which writes in a run's process.
_CONSOLE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}) - (?P<logger>\S+)"
    r" - (?P<level>[A-Z]+) - (?P<message>.*)",
    re.DOTALL,
)
_OURS = {"event": "message", "timestamp": "time"}
"""What Dagster's servers call a line's parts → what we do."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the exception if any."""

    def __init__(self, redact: Redact = str) -> None:
        """Write records, their messages and exceptions redacted."""
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = {
            "time": _time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = self._redact(self.formatException(record.exc_info))
        return _dumped(line)


def as_json_line(text: str, *, logger: str, redact: Redact, now: datetime) -> str:
    """A line that some program wrote, as one of ours.

    Args:
        text: The line, a JSON object or words, without its end.
        logger: Who wrote it, if it does not say.
        redact: Takes out what no log may hold.
        now: When it was read; its own time, if it says one, is kept.
    """
    line = {"time": _time(now), "level": "INFO", "logger": logger, "message": ""}
    try:
        said = redacted_texts(_said(text), redact)
    except (ValueError, RecursionError):  # no JSON, or nested without end
        said = {"message": redact(_COLOURS.sub("", text))}
    for name in ("time", "level", "logger"):
        if not isinstance(said.get(name), str):
            said.pop(name, None)
    line |= said
    return _dumped({**line, "level": line["level"].upper()})


def set_up_log(level: str, redact: Redact) -> None:
    """Log everything from `level` on to the error stream, without secrets and personal data."""
    handler = logging.StreamHandler()
    terminal = sys.stderr.isatty()
    handler.setFormatter(_PlainLines(redact) if terminal else JsonLines(redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _PlainLines(logging.Formatter):
    def __init__(self, redact: Redact) -> None:
        super().__init__(_PLAIN)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def _said(text: str) -> dict[str, Any]:
    if text.startswith("{"):
        parts = cast("dict[str, Any]", json.loads(text))
        return {_OURS.get(name, name): each for name, each in parts.items()}
    console = _CONSOLE.fullmatch(_COLOURS.sub("", text))
    if console is None:
        raise ValueError("words of their own")
    at = datetime.strptime(console["time"], "%Y-%m-%d %H:%M:%S %z")
    return {**console.groupdict(), "time": _time(at.astimezone(UTC))}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _dumped(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False)
