"""One HTTP request to a chat completion, and what came back. Retries nothing, paces nothing.

It rides on `openai` over aiohttp, but hands it bytes and takes bytes: building the package's own
models of a night's thousands of answers would cost more than everything else together.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

import httpx2
import openai
from pydantic_core import from_json

from batch_platform.core.errors import ConfigurationError, PlatformError, RetryableError
from batch_platform.gateways.llm.failures import (
    CallFailed,
    Kind,
    failure_of,
    is_error_body,
)
from batch_platform.gateways.llm.providers import Provider

MADE_UP_FINGERPRINT = "sandbox-made-up"
"""`system_fingerprint` by which the sandbox says what it is."""

_CHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        call_id: The provider's id of the completion.
        content: The answer's text, or the forced function's arguments.
        problem: Why there is no usable content, or "".
        is_refusal: Whether the problem is that the model or a content filter refused.
    """

    call_id: str
    content: str
    problem: str
    is_refusal: bool
    input_tokens: int
    output_tokens: int


class ModelClient:
    """Sends the calls of one ask. Made and closed inside the event loop that uses it.

    Args:
        provider: Whom to ask.
        request_fields: Fields of every request's body beside model, parameters and messages.
        instructions: The system message.
        connections: Connections at most; the number of calls in flight.
        now: Clock, for delays that are dates.
    """

    def __init__(
        self,
        provider: Provider,
        request_fields: Mapping[str, Any],
        instructions: str,
        connections: int,
        now: Callable[[], datetime],
        *,
        is_made_up: bool,
    ) -> None:
        self._provider = provider
        self._is_made_up = is_made_up
        self._now = now
        self._client = openai.AsyncOpenAI(
            api_key=provider.api_key.get_secret_value(),
            base_url=provider.base_url,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(
                verify=_tls_context(),
                limits=httpx2.Limits(
                    max_connections=connections, max_keepalive_connections=connections
                ),
                timeout=httpx2.Timeout(provider.timeout_seconds, pool=None),
            ),
        )
        # Everything but the user's message is the same in every call: written once.
        body = {
            "model": provider.model,
            **provider.shaping,
            **provider.bounding,
            **request_fields,
        }
        system = json.dumps({"role": "system", "content": instructions}, ensure_ascii=False)
        start = json.dumps(body, ensure_ascii=False)[:-1]
        self._start = f'{start}, "messages": [{system}, {{"role": "user", "content": '
        self.overhead_bytes = len(self._start.encode())

    async def send(self, message: str) -> Reply:
        """Ask once.

        Raises:
            CallFailed: No answer came.
        """
        body = f"{self._start}{json.dumps(message, ensure_ascii=False)}}}]}}".encode()
        try:
            async with asyncio.timeout(self._provider.timeout_seconds):
                response = await self._client.post(
                    "/chat/completions", cast_to=httpx2.Response, content=body
                )
        except (TimeoutError, openai.APITimeoutError):
            raise CallFailed(Kind.TRANSIENT, "the provider did not answer in time") from None
        except openai.APIStatusError as error:
            raise failure_of(
                error.response.status_code,
                error.response.headers,
                error.response.content,
                self._provider.key_variable,
                self._now(),
            ) from None
        except openai.APIConnectionError:
            raise CallFailed(Kind.TRANSIENT, "the connection to the provider broke") from None
        return self._read(response)

    def _read(self, response: httpx2.Response) -> Reply:
        try:
            body: Any = _parsed(response.content)
        except ValueError:
            raise CallFailed(Kind.TRANSIENT, "the provider's response is not JSON") from None
        completion = cast(dict[str, Any], body) if isinstance(body, dict) else None
        if completion is None or is_error_body(completion):
            raise failure_of(
                response.status_code,
                response.headers,
                response.content,
                self._provider.key_variable,
                self._now(),
            )
        if not self._is_made_up and completion.get("system_fingerprint") == MADE_UP_FINGERPRINT:
            problem = ConfigurationError(
                f"What answers at {self._provider.base_url} is the sandbox: its answers are made"
                " up",
                "Set the real provider's address, or use the demo's profile",
            )
            raise CallFailed(Kind.FATAL, problem.problem, fatal=problem)
        try:
            return _reply(completion)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise CallFailed(
                Kind.TRANSIENT, "the provider's response has not the form of a completion"
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


@cache
def _tls_context() -> ssl.SSLContext:
    """One for all asks: reading the machine's certificates takes as long as some calls."""
    return ssl.create_default_context()


def _parsed(content: bytes) -> Any:
    try:
        return from_json(content)
    except ValueError:
        # Lone surrogates, which some servers send, are valid for this one only.
        return json.loads(content)


def _reply(body: Mapping[str, Any]) -> Reply:
    choice = body["choices"][0]
    message = choice["message"]
    content = message.get("content") or ""
    calls = message.get("tool_calls")
    if calls:
        content = calls[0]["function"]["arguments"]
        if not isinstance(content, str):
            content = json.dumps(content, ensure_ascii=False)
    problem = ""
    is_refusal = bool(message.get("refusal")) or choice.get("finish_reason") == "content_filter"
    if is_refusal:
        problem = "the model refused to answer"
    elif not content:
        problem = "the answer is empty"
    usage = cast(Mapping[str, Any], body.get("usage") or {})
    return Reply(
        str(body.get("id") or ""),
        _text(content),
        problem,
        is_refusal,
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in cast(Sequence[Mapping[str, Any]], content))


def check_reachable(provider: Provider, now: Callable[[], datetime]) -> str:
    """Ask the provider for its models: reachable, and the key is right.

    Returns:
        What a person reads: provider, model and whether the provider lists it.

    Raises:
        ConfigurationError: The key or the address is refused.
        PermanentError: A quota is used up.
        RetryableError: The provider does not answer.
    """
    address = provider.base_url
    try:
        with openai.OpenAI(
            api_key=provider.api_key.get_secret_value(),
            base_url=address,
            max_retries=0,
            timeout=_CHECK_SECONDS,
        ) as client:
            response = client.get("/models", cast_to=httpx2.Response)
    except openai.APIStatusError as error:
        failure = failure_of(
            error.response.status_code,
            error.response.headers,
            error.response.content,
            provider.key_variable,
            now(),
        )
        raise _as_error(failure) from None
    except openai.APIConnectionError:
        raise RetryableError(
            f"The model provider at {address} does not answer", "Check its address and the network"
        ) from None
    try:
        listed: Any = json.loads(response.content)
        names = {str(each["id"]).rpartition("/")[2] for each in listed["data"]}
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"What answers at {address} is no model provider", "Check the provider's address"
        ) from None
    known = provider.model in names
    return f"{provider.name} {provider.model}" + ("" if known else " (not in the provider's list)")


def _as_error(failure: CallFailed) -> PlatformError:
    if failure.fatal is not None:
        return failure.fatal
    return RetryableError(
        f"The model provider cannot be asked: {failure.reason}",
        "Try again later",
        failure.delay_seconds,
    )
