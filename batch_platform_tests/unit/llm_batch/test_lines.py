"""What each provider's result lines mean, the odd ones too."""

import json
from typing import Any

import pytest

from batch_platform.gateways.llm_batch import gemini_batches, openai_batches
from batch_platform.gateways.llm_batch.models import BatchLine


def openai_line(**parts: Any) -> BatchLine:
    line = {"id": "r", "custom_id": "p1_0", "response": None, "error": None, **parts}
    return openai_batches.read_line(json.dumps(line).encode())


def gemini_line(**parts: Any) -> BatchLine:
    return gemini_batches.read_line(json.dumps({"key": "p1_0", **parts}).encode())


def completion(**message: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    return {"status_code": 200, "body": body}


def test_an_answer_of_openai() -> None:
    line = openai_line(response=completion(content="{}"))
    assert (line.custom_id, line.content, line.error) == ("p1_0", "{}", None)
    assert (line.input_tokens, line.output_tokens, line.is_expired) == (11, 5, False)


def test_an_answer_of_gemini_without_its_thoughts() -> None:
    parts = [{"text": "hm", "thought": True}, {"text": "{"}, {"text": "}"}]
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 5, "thoughtsTokenCount": 30}
    line = gemini_line(
        response={"candidates": [{"content": {"parts": parts}}], "usageMetadata": usage}
    )
    assert (line.content, line.error) == ("{}", None)
    # Thoughts are billed as output.
    assert (line.input_tokens, line.output_tokens) == (11, 35)


@pytest.mark.parametrize(
    ("line", "said", "is_expired"),
    [
        (openai_line(error={"code": "batch_expired", "message": "late"}), "late", True),
        (openai_line(error={"code": "batch_cancelled", "message": "ended"}), "ended", True),
        (
            openai_line(
                response={"status_code": 500, "body": {"error": {"code": "x", "message": "m"}}}
            ),
            "x: m",
            False,
        ),
        (openai_line(response={"status_code": 429, "body": None}), "status 429", False),
        (openai_line(), "status None", False),
        (openai_line(response=completion(content=None, refusal="no")), "refused", False),
        (openai_line(response=completion(content="")), "empty", False),
        (openai_line(response={"status_code": 200, "body": {"choices": []}}), "form", False),
        (gemini_line(error={"code": 13, "message": "internal"}), "13: internal", False),
        (gemini_line(status={"code": 4, "message": "late"}), "late", True),
        (gemini_line(response={"promptFeedback": {"blockReason": "SAFETY"}}), "SAFETY", False),
        (gemini_line(response={"candidates": [{"finishReason": "MAX_TOKENS"}]}), "MAX", False),
        (gemini_line(), "form", False),
    ],
)
def test_a_line_without_an_answer_says_why(line: BatchLine, said: str, is_expired: bool) -> None:
    assert line.custom_id == "p1_0"
    assert line.content is None
    assert said in (line.error or "")
    assert line.is_expired is is_expired


@pytest.mark.parametrize("read", [openai_batches.read_line, gemini_batches.read_line])
@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[1]", b'"x"', b'{"a": 1}', b"\xff"])
def test_what_is_no_line_at_all_is_kept_as_it_came(read, raw: bytes) -> None:
    line = read(raw)
    assert (line.custom_id, line.raw, line.content) == ("", raw, None)
    assert line.error
