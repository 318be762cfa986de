"""Splitting: nothing lost, nothing twice, within every limit, the same bytes each time."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from batch_platform.core.errors import ConfigurationError, PermanentError
from batch_platform.gateways.llm.providers import Provider
from batch_platform.gateways.llm.structured import Way
from batch_platform.gateways.llm_batch.gemini_batches import GeminiBatches
from batch_platform.gateways.llm_batch.jsonl import json_bytes, write_chunks
from batch_platform.gateways.llm_batch.models import BatchLimits, BatchRequest
from batch_platform.gateways.llm_batch.openai_batches import OpenAIBatches
from batch_platform_tests.batch_providers import Mood

PROVIDER = Provider(
    name="openai",
    base_url="http://127.0.0.1:9/v1/",
    model="m",
    key_variable="OPENAI_API_KEY",
    prices_id="openai",
    way=Way.JSON_SCHEMA,
    shaping={"temperature": 0.1},
    bounding={"max_completion_tokens": 7},
    max_tokens=7,
    requests_per_minute=None,
    tokens_per_minute=None,
    timeout_seconds=1,
    api_key=SecretStr("k"),
)


@pytest.fixture(scope="module", params=[OpenAIBatches, GeminiBatches], ids=["openai", "gemini"])
def client(request):
    made = request.param(PROVIDER, is_made_up=True)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def _unflushed() -> Iterator[None]:
    """Hundreds of small files: whether they survive a power cut is not asked here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


def asked(texts: list[str]) -> list[BatchRequest]:
    return [
        BatchRequest(f"p{number}_0", "기분을 답하라", text, Mood, 300)
        for number, text in enumerate(texts)
    ]


def said_in(line: bytes) -> tuple[str, str, str]:
    """Id, instructions and text of a line."""
    value = json.loads(line)
    if "custom_id" in value:
        system, user = value["body"]["messages"]
        return value["custom_id"], system["content"], user["content"]
    request = value["request"]
    return (
        value["key"],
        request["systemInstruction"]["parts"][0]["text"],
        request["contents"][0]["parts"][0]["text"],
    )


TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=80), max_size=20)


@settings(max_examples=50, deadline=None)
@given(
    texts=TEXTS,
    most=st.integers(1, 12),
    own_bytes=st.integers(2000, 12_000),
    their_bytes=st.integers(2000, 12_000),
)
def test_every_request_is_in_one_file_and_no_file_passes_a_limit(
    client, texts: list[str], most: int, own_bytes: int, their_bytes: int
) -> None:
    narrow = SimpleNamespace(line=client.line, limits=BatchLimits(10, their_bytes))
    requests = asked(texts)
    with TemporaryDirectory() as name:
        folder = Path(name)
        chunks = write_chunks(iter(requests), narrow, folder, most, own_bytes)
        first = [chunk.file.read_bytes() for chunk in chunks]
        again = write_chunks(requests, narrow, folder, most, own_bytes)
        assert again == chunks
        assert [chunk.file.read_bytes() for chunk in again] == first
        assert sorted(each.name for each in folder.iterdir()) == [
            chunk.file.name for chunk in chunks
        ]
    lines = [line for content in first for line in content.splitlines(keepends=True)]
    assert [said_in(line) for line in lines] == [
        (each.custom_id, each.instructions, each.text) for each in requests
    ]
    for chunk, content in zip(chunks, first, strict=True):
        assert 0 < chunk.requests == content.count(b"\n") <= min(most, 10)
        assert chunk.bytes == len(content) <= min(own_bytes, their_bytes)
        assert chunk.sha256 == hashlib.sha256(content).hexdigest()
        assert [said_in(line)[0] for line in content.splitlines()] == list(chunk.custom_ids)
    # No two neighbours would have gone into one file.
    for left, right, content in zip(chunks, chunks[1:], first[1:], strict=False):
        next_line = content.index(b"\n") + 1
        is_full = left.requests == min(most, 10)
        assert is_full or left.bytes + next_line > min(own_bytes, their_bytes)
        assert right.number == left.number + 1


@given(text=st.text(max_size=200))
def test_any_text_is_one_line_of_json(text: str) -> None:
    line = json_bytes({"text": text})
    assert len(line.splitlines()) == 1
    # Some readers split a decoded text, at other characters too.
    assert len(line.decode().splitlines()) == 1
    mended = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text):
        assert json.loads(line) == {"text": text}
    else:
        assert mended  # A lone surrogate is replaced: no provider takes it.
        assert "\ufffd" in json.loads(line)["text"]


def test_two_requests_of_one_name_are_refused_and_leave_nothing_half_written(
    client, tmp_path: Path
) -> None:
    requests = [*asked(["a", "b"]), *asked(["c"])]
    with pytest.raises(PermanentError, match="p0_0"):
        write_chunks(requests, client, tmp_path, 10, 10**6)
    assert list(tmp_path.iterdir()) == []


def test_a_request_longer_than_a_file_is_named(client, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="p1_0"):
        write_chunks(asked(["a", "b" * 5000]), client, tmp_path, 10, 3000)


def test_no_request_makes_no_file(client, tmp_path: Path) -> None:
    assert write_chunks([], client, tmp_path, 10, 10**6) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_said_to_be(client, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_chunks(asked(["a"]), client, tmp_path / "file", 10, 10**6)


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("gemini-2.5-flash", {"thinkingBudget": 0}),
        ("models/gemini-2.5-flash-lite", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", None),
        ("gemini-3-flash", None),
    ],
)
def test_gemini_does_not_think_where_thoughts_can_be_stopped(
    model: str, thinking: dict[str, int] | None
) -> None:
    with closing(GeminiBatches(replace(PROVIDER, model=model), is_made_up=True)) as client:
        line = json.loads(client.line(asked(["a"])[0]))
    assert line["request"]["generationConfig"].get("thinkingConfig") == thinking
    assert line["request"]["generationConfig"]["maxOutputTokens"] == 300
