"""What a chat completion asks, and the completion that goes back: the wire format, both ways.

Follows the OpenAI API's chat completions (https://platform.openai.com/docs/api-reference/chat),
with the rules of HyperCLOVA X where a model's name says HCX. The user's message holds items as
JSON lines between `<items>` and `</items>`. How the answers come about is in `made_up_answers`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batch_platform.sandbox.made_up_answers import (
    MARK,
    Answerer,
    Item,
    Schema,
    schema_said_in,
    text_digest,
)

FINGERPRINT = "sandbox-made-up"
_KNOWN_ANSWERERS = 64
_HCX_LEAST_TOKENS_FOR_TOOLS = 1024


class BadCallError(Exception):
    """The request is one that a provider would refuse with status 400.

    Args:
        reason: What is wrong with it.
        code: The provider's code for it.
    """

    def __init__(self, reason: str, code: str = "invalid_request_error") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A request, read.

    Attributes:
        schema: What an answer has to look like; None when the request says nothing about it.
        tool: Name of the function that the answer calls; None for an answer in the content.
        items: What is asked about, in order. Without an `<items>` block, the user's text as one
            item.
        has_items: Whether there was an `<items>` block.
        digest: Names this request's question; a repeated request has the same one.
        max_tokens: Most tokens of the answer, or None.
    """

    model: str
    schema: Schema | None
    tool: str | None
    guidance: str
    items: tuple[Item, ...]
    has_items: bool
    digest: str
    prompt_tokens: int
    max_tokens: int | None


def tokens_of(text: str) -> int:
    """Estimate tokens: a quarter of the bytes, which is near enough for Korean and for English."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def first_tokens(text: str, most: int) -> str:
    """The beginning of a text that is at most so many tokens by `tokens_of`."""
    return text.encode("utf-8", "surrogatepass")[: most * 4].decode("utf-8", "ignore")


def read_call(body: bytes) -> ChatCall:
    """Read a request's body.

    Raises:
        BadCallError: A provider would not accept it.
    """
    try:
        asked = json.loads(body)
    except ValueError:
        raise BadCallError("The body is not valid JSON") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("model"), str):
        raise BadCallError("You must provide a model parameter")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadCallError("'messages' must be a list that is not empty")
    if asked.get("stream"):
        raise BadCallError("The sandbox does not stream")
    guidance, question = _texts(messages)
    max_tokens = asked.get("max_completion_tokens") or asked.get("max_tokens")
    tool, schema = _asked_form(asked)
    if asked["model"].startswith("HCX-"):
        _refuse_what_hcx_refuses(asked, tool, max_tokens)
    if tool is None and schema is None:
        schema = schema_said_in(guidance) or schema_said_in(question.partition("<items>")[0])
    items = _items(question)
    return ChatCall(
        model=asked["model"],
        schema=schema,
        tool=tool,
        guidance=guidance,
        items=items or (Item(question, {}, text_digest(question)),),
        has_items=bool(items),
        digest=text_digest(question),
        prompt_tokens=tokens_of(guidance) + tokens_of(question) + 4 * len(messages),
        max_tokens=max_tokens,
    )


def _texts(messages: list[Any]) -> tuple[str, str]:
    guidance: list[str] = []
    question = ""
    for message in messages:
        if not isinstance(message, dict) or "role" not in message:
            raise BadCallError("A message needs a role and a content")
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        if message["role"] in ("system", "developer"):
            guidance.append(content)
        elif message["role"] == "user":
            if "<items>" in question and "<items>" not in content:
                continue
            question = content
    return "\n".join(guidance), question


def _asked_form(asked: Mapping[str, Any]) -> tuple[str | None, Schema | None]:
    tools = asked.get("tools")
    if tools and asked.get("tool_choice") != "none":
        choice = asked.get("tool_choice")
        forced = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
        for tool in tools:
            function = tool.get("function", {})
            if forced in (None, function.get("name")):
                return function["name"], function.get("parameters", {})
        raise BadCallError(f"Tool choice {forced!r} is not among the tools")
    form = asked.get("response_format") or {}
    if form.get("type") == "json_schema":
        schema = form.get("json_schema", {}).get("schema")
        if not isinstance(schema, dict):
            raise BadCallError("response_format.json_schema needs a schema")
        return None, schema
    return None, None


def _refuse_what_hcx_refuses(
    asked: Mapping[str, Any], tool: str | None, max_tokens: int | None
) -> None:
    form = (asked.get("response_format") or {}).get("type")
    if form == "json_schema" and not asked["model"].startswith("HCX-007"):
        raise BadCallError("Structured output is not supported by this model", "40002")
    if tool and (max_tokens or 100) < _HCX_LEAST_TOKENS_FOR_TOOLS:
        raise BadCallError("Function calling needs max tokens of 1024 or more", "40002")


def _items(question: str) -> tuple[Item, ...]:
    _, opening, rest = question.partition("<items>")
    block, closing, _ = rest.rpartition("</items>")
    if not opening or not closing:
        return ()
    items: list[Item] = []
    for line in block.split("\n"):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError:
            raise BadCallError(
                f"A line between <items> and </items> is not JSON: {line[:40]!r}"
            ) from None
        text = str(fields.get("text", ""))
        items.append(Item(text, fields, text_digest(text)))
    return tuple(items)


class Answerers:
    """Keeps the last schemas read, since a night asks thousands of times with the same one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Answerer] = {}

    def of(self, call: ChatCall) -> Answerer:
        """The answerer of a call's schema; an empty object's when the call has none."""
        key = (json.dumps(call.schema), call.guidance)
        answerer = self._known.get(key)
        if answerer is None:
            if len(self._known) >= _KNOWN_ANSWERERS:
                self._known.clear()
            answerer = self._known[key] = Answerer(call.schema or {}, call.guidance)
        return answerer


def made_up_sentence(call: ChatCall) -> str:
    """The answer to a request that asks for no form."""
    return f"{MARK} 물음 {call.digest[:8]}에 대한 연습용 답입니다."


def completion(
    call: ChatCall,
    text: str | None,
    created: int,
    number: int,
    *,
    refusal: str | None = None,
    finish_reason: str = "stop",
) -> bytes:
    """The body of a chat completion.

    Args:
        call: What was asked.
        text: The content, or the function's arguments when the call forces a tool. None for
            neither.
        created: Seconds since the epoch.
        number: Makes the completion's id unique.
        refusal: What the model says instead of answering.
        finish_reason: As in the API; `length` when the answer was cut.
    """
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal}
    if call.tool is not None and text is not None:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": f"call_sandbox_{number}",
                "type": "function",
                "function": {"name": call.tool, "arguments": text},
            }
        ]
        finish_reason = "tool_calls" if finish_reason == "stop" else finish_reason
    answered = tokens_of(text or refusal or "")
    return json.dumps(
        {
            "id": f"chatcmpl-sandbox-{number}",
            "object": "chat.completion",
            "created": created,
            "model": call.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
            ],
            "usage": {
                "prompt_tokens": call.prompt_tokens,
                "completion_tokens": answered,
                "total_tokens": call.prompt_tokens + answered,
            },
        },
        ensure_ascii=False,
    ).encode("utf-8", "backslashreplace")
