"""How a server writes its log: a JSON object a line for programs, plain words for a terminal."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

_PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_log(level: str, redact: Callable[[str], str]) -> None:
    """Log everything from `level` on to the error stream, without secrets and personal data."""
    handler = logging.StreamHandler()
    plain = logging.Formatter(_PLAIN)
    handler.setFormatter(_Redacted(plain if sys.stderr.isatty() else JsonLines(), redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _Redacted(logging.Formatter):
    def __init__(self, formatter: logging.Formatter, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._formatter, self._redact = formatter, redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._formatter.format(record))
