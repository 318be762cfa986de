"""One suite for our model server and for somebody else's: both must look alike to a client."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from batch_platform.sandbox.model_server import running_model_server

ITEMS = '<items>\n{"id": "1", "text": "전학 문의"}\n</items>'


class Answer(BaseModel):
    id: str
    category: Literal["전학, 편입", "기타"]


class Answers(BaseModel):
    answers: list[Answer]


@dataclass(frozen=True)
class Server:
    url: str
    fail_once: Callable[[int], None]
    """Makes the next call fail with 401, 429 or 503."""

    def client(self, key: str = "key") -> OpenAI:
        return OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=10)


@contextmanager
def ours() -> Iterator[Server]:
    faults = {401: "401", 429: "429-retry-after", 503: "503"}
    with running_model_server() as server:
        yield Server(server.url, lambda status: server.configure(script=[faults[status]]) and None)


@contextmanager
def llmock() -> Iterator[Server]:
    testing = pytest.importorskip(
        "llmock.testing", reason="llmock is not installed: only our own model server is tested"
    )
    from llmock.scenarios import Fail

    def fail_once(status: int) -> None:
        server.state.scenarios.add(Fail(status, retry_after=1 if status == 429 else None))

    with testing.LLMockServer() as server:
        yield Server(server.base_url("openai"), fail_once)


@pytest.fixture(scope="module", params=[ours, llmock], ids=["ours", "llmock"])
def server(request) -> Iterator[Server]:
    with request.param() as running:
        yield running


MESSAGES = [
    {"role": "system", "content": "Classify the items."},
    {"role": "user", "content": ITEMS},
]


def assert_is_a_completion(completion) -> None:
    assert completion.object == "chat.completion"
    assert completion.model == "gpt-4.1-mini"
    assert completion.id
    assert len(completion.choices) == 1
    assert completion.choices[0].message.role == "assistant"
    usage = completion.usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_plain_text(server):
    with server.client() as client:
        completion = client.chat.completions.create(
            model="gpt-4.1-mini", messages=[{"role": "user", "content": "안녕하세요"}]
        )
    assert_is_a_completion(completion)
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"


def test_a_json_schema_is_answered_in_its_shape(server):
    with server.client() as client:
        completion = client.chat.completions.parse(
            model="gpt-4.1-mini", messages=MESSAGES, response_format=Answers
        )
    assert_is_a_completion(completion)
    assert completion.choices[0].message.parsed.answers


def test_a_forced_function_is_called_with_arguments_in_its_shape(server):
    function = {"name": "answer", "parameters": Answers.model_json_schema()}
    with server.client() as client:
        completion = client.chat.completions.create(
            model="gpt-4.1-mini",
            messages=MESSAGES,
            max_tokens=2048,
            tools=[{"type": "function", "function": function}],
            tool_choice={"type": "function", "function": {"name": "answer"}},
        )
    assert_is_a_completion(completion)
    call = completion.choices[0].message.tool_calls[0]
    assert (call.type, call.function.name) == ("function", "answer")
    assert Answers.model_validate_json(call.function.arguments).answers


def test_a_wrong_key_is_an_authentication_error(server):
    server.fail_once(401)
    with server.client() as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)
    assert "error" in json.loads(caught.value.response.text)


def test_too_many_calls_are_told_when_to_come_back(server):
    server.fail_once(429)
    with server.client() as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)
    assert float(caught.value.response.headers["retry-after"]) == 1


def test_an_outage_passes(server):
    server.fail_once(503)
    with server.client() as client:
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)
        assert_is_a_completion(
            client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)
        )


def test_models_are_listed(server):
    with server.client() as client:
        assert [model.object for model in client.models.list()].count("model") >= 1
