"""The engine against a model server by somebody else, which also judges how its client behaves."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from batch_platform.gateways.llm import Answered, open_bulk_llm
from batch_platform.gateways.llm.structured import AnswerForm, Way
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.integration.llm.asking import classify, model_settings, questions

pytestmark = pytest.mark.skipif(
    find_spec("llmock") is None,
    reason="llmock 0.2.2 is not installed (an optional test dependency)",
)


class Llmock:
    """A running server and its admin API."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def admin(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.address}/_llmock/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


@pytest.fixture
def llmock(request: pytest.FixtureRequest) -> Iterator[Llmock]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from llmock.cli import app; app()", "serve"]
    options = ["--port", str(port), "--log-level", "error", *getattr(request, "param", [])]
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Llmock(port)
    finally:
        process.terminate()
        process.wait()


def reply(number: int) -> dict[str, Any]:
    """A scripted answer about one of the tests' questions, alone in its call."""
    (question,) = AnswerForm(classify(), Way.JSON_SCHEMA).questions([questions(1, number)[0].text])
    answer = {"id": "1", "head": question.head, "keywords": [f"k{number}"], "score": number}
    return {"type": "reply", "text": json.dumps({"answers": [answer]})}


def test_faults_are_borne_as_a_provider_would_wish(llmock: Llmock, platform_db: PlatformDb) -> None:
    behaviours = [
        {"type": "fail", "status": 429, "retry_after": 1},
        reply(0),
        {"type": "fail", "status": 503},
        reply(1),
        {"type": "fail", "status": 500},
        reply(2),
    ]
    answers = {}
    llm = open_bulk_llm(model_settings(f"{llmock.address}/v1"), platform_db.url, is_made_up=True)
    refusals = 0
    for number, (fault, answer) in enumerate(zip(behaviours[::2], behaviours[1::2], strict=True)):
        llmock.admin("scenario", {"behaviors": [fault]})
        llmock.admin("scenario", {"behaviors": [answer]})
        ask = llm.ask(classify(), questions(1, number), workers=1, partition="p")
        for outcome in ask:
            assert isinstance(outcome, Answered)
            answers[outcome.item.id] = outcome.answer.score
        refusals += ask.summary.refusals
    assert answers == {"q0": 0, "q1": 1, "q2": 2}
    assert refusals == 1
    verdict = llmock.admin("verdict")
    failed = [each for each in verdict.get("findings", []) if each.get("severity") == "fail"]
    assert failed == []


@pytest.mark.parametrize("llmock", [["--rpm", "120"]], indirect=True)
def test_its_limit_is_kept(llmock: Llmock, platform_db: PlatformDb) -> None:
    settings = model_settings(f"{llmock.address}/v1", LLM_MAX_REQUESTS_PER_MINUTE=120)
    llm = open_bulk_llm(settings, platform_db.url, is_made_up=True)
    llmock.admin("scenario", {"behaviors": [reply(number) for number in range(6)]})
    ask = llm.ask(classify(), questions(6), workers=1, partition="p")
    assert sum(isinstance(outcome, Answered) for outcome in ask) == 6
    assert ask.summary.refusals == 0


def test_a_made_up_answer_that_names_no_item_is_never_kept(
    llmock: Llmock, platform_db: PlatformDb
) -> None:
    """Unscripted, it fills the form with anything: right in shape, about nobody."""
    llm = open_bulk_llm(model_settings(f"{llmock.address}/v1"), platform_db.url, is_made_up=True)
    ask = llm.ask(classify(2), questions(4), workers=2, partition="p")
    assert not any(isinstance(outcome, Answered) for outcome in ask)
    assert ask.summary.quarantined == 4
