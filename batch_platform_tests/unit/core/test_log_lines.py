"""Whatever is logged, and whoever logs it, a line is one JSON object with the same names."""

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.log_lines import JsonLines, as_json_line, set_up_log
from batch_platform.core.redaction import HIDDEN, redactor
from batch_platform_tests.given_settings import settings_of

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
REDACT = redactor(settings_of(OPENAI_API_KEY='a "canary"'))
ALWAYS = {"time", "level", "logger", "message"}

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)


def line_of(text: str) -> dict[str, object]:
    line = as_json_line(text, logger="daemon", redact=REDACT, now=NOW)
    assert "\n" not in line
    parts = json.loads(line)
    assert set(parts) >= ALWAYS
    assert all(isinstance(parts[name], str) for name in ("time", "level", "logger"))
    return parts


@given(texts, texts)
def test_any_record_is_one_line(message: str, name: str) -> None:
    record = logging.LogRecord(name, logging.WARNING, "x.py", 1, "%s", (message,), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    parts = json.loads(line)
    assert set(parts) == ALWAYS
    assert (parts["message"], parts["logger"], parts["level"]) == (message, name, "WARNING")
    said_at = datetime.fromisoformat(parts["time"])
    assert said_at.utcoffset() is not None
    assert abs(said_at.timestamp() - record.created) < 0.002


def test_neither_message_nor_exception_holds_a_secret() -> None:
    try:
        raise ValueError('a "canary" of 010-1234-5678')
    except ValueError:
        failure = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%s", ('a "canary"',), failure)
    line = JsonLines(REDACT).format(record)
    assert "canary" not in line
    assert json.loads(line)["message"] == HIDDEN
    assert json.loads(line)["exception"].endswith(f"ValueError: {HIDDEN} of [전화번호_1]")


@given(texts.filter(lambda text: "\n" not in text))
def test_any_words_are_a_message(text: str) -> None:
    line_of(text)


@given(st.text(st.characters(categories=["L", "Zs"])))
def test_words_stay_as_they_are(text: str) -> None:
    assert line_of(text) == {
        "time": "2026-11-21T03:00:00.000+00:00",
        "level": "INFO",
        "logger": "daemon",
        "message": text,
    }


@given(st.dictionaries(texts, json_values))
def test_any_object_stays_an_object(parts: dict[str, object]) -> None:
    line = line_of(json.dumps(parts))
    assert set(line) >= {name for name in parts if name not in {"event", "timestamp"}}


def test_a_server_of_dagster_is_understood() -> None:
    said = {
        "event": 'a "canary" is refused',
        "level": "error",
        "logger": "dagster.daemon",
        "timestamp": "2026-11-20T15:00:00Z",
        "exc": ["010-1234-5678"],
    }
    assert line_of(json.dumps(said)) == {
        "time": "2026-11-20T15:00:00Z",
        "level": "ERROR",
        "logger": "dagster.daemon",
        "message": f"{HIDDEN} is refused",
        "exc": ["[전화번호_1]"],
    }


def test_a_run_of_dagster_is_understood() -> None:
    said = "\x1b[32m2026-11-21 09:00:00 +0900\x1b[0m - dagster - \x1b[31mERROR\x1b[0m - a - b"
    assert line_of(said) == {
        "time": "2026-11-21T00:00:00.000+00:00",
        "level": "ERROR",
        "logger": "dagster",
        "message": "a - b",
    }


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"level": 3, "time": null, "logger": ["x"]}',
        '{"a":' * 100_000,
        '{"a":' * 400 + "1" + "}" * 400,
        f'{{"a": {"9" * 5000}}}',
        "2026-99-99 09:00:00 +0900 - dagster - INFO - no day",
    ],
)
def test_no_line_stops_a_log(text: str) -> None:
    line_of(text)


@pytest.fixture
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_root_logger")
def test_a_server_logs_from_its_level_on(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log("WARNING", REDACT)
    logging.getLogger("somebody").info("nobody reads this")
    logging.getLogger("somebody").warning('key a "canary"')
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == f"key {HIDDEN}"
