"""One HTTP request to a chat completion, and what came back. Retries nothing, paces nothing.

It rides on `openai` over aiohttp, but hands it bytes and takes bytes: building the package's own
models of a night's thousands of answers would cost more than everything else together.
"""

import asyncio
import errno
import json
import ssl
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
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
_CONNECT_SECONDS = 8.0


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
        self._client = _client(provider, connections)
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
        with _failures_told(self._provider, self._now):
            async with asyncio.timeout(self._provider.timeout_seconds):
                response = await self._client.post(
                    "/chat/completions", cast_to=httpx2.Response, content=body
                )
        return self._read(response)

    def _read(self, response: httpx2.Response) -> Reply:
        try:
            body: Any = _parsed(response.content)
        except ValueError:
            raise CallFailed(Kind.TRANSIENT, "the provider's response is not JSON") from None
        completion = cast(dict[str, Any], body) if isinstance(body, dict) else None
        if completion is None or is_error_body(completion):
            raise _failure_in(response, self._provider, self._now())
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


def _client(provider: Provider, connections: int) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key=provider.api_key.get_secret_value(),
        base_url=provider.base_url,
        max_retries=0,
        http_client=openai.DefaultAioHttpClient(
            verify=_tls_context(),
            limits=httpx2.Limits(
                max_connections=connections, max_keepalive_connections=connections
            ),
            # The time in all is the caller's to bound.
            timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
        ),
    )


@cache
def _tls_context() -> ssl.SSLContext:
    """One for all asks: reading the machine's certificates takes as long as some calls."""
    return ssl.create_default_context()


def _address(provider: Provider) -> str:
    parts = urlsplit(provider.base_url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


@contextmanager
def _failures_told(provider: Provider, now: Callable[[], datetime]) -> Generator[None]:
    """Tell what an exchange died of.

    Raises:
        CallFailed: Instead of the package's errors.
    """
    try:
        yield
    except openai.APIStatusError as error:
        raise _failure_in(error.response, provider, now()) from None
    except openai.APIConnectionError as error:
        raise _connection_failure(error, provider) from None
    except TimeoutError:
        raise CallFailed(Kind.TRANSIENT, "the provider did not answer in time") from None


def _connection_failure(error: openai.APIConnectionError, provider: Provider) -> CallFailed:
    # The package's own error does not tell a refused connection from a broken one: its cause does.
    address, causes = _address(provider), list(_causes(error))
    for cause in causes:
        match cause:
            case aiohttp.ConnectionTimeoutError():
                reason = f"{address} takes no connection within {_CONNECT_SECONDS:.0f} s"
                return CallFailed(Kind.UNREACHABLE, reason)
            case aiohttp.ClientConnectorError():
                return CallFailed(Kind.UNREACHABLE, _unreachable(cause, address))
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
                problem = ConfigurationError(
                    f"{provider.base_url} is no address of a model provider",
                    "Check the provider's address",
                )
                return CallFailed(Kind.FATAL, problem.problem, fatal=problem)
            case _:
                pass
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return CallFailed(Kind.TRANSIENT, "the provider did not answer in time")
    return CallFailed(Kind.TRANSIENT, "the connection to the provider broke")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _unreachable(error: aiohttp.ClientConnectorError, address: str) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} cannot be resolved"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {error.host}:{error.port} cannot be reached"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {address} is not to be trusted"
        case aiohttp.ClientSSLError():
            return f"{address} does not speak TLS as it should"
        case _ if error.errno == errno.ECONNREFUSED:
            return f"{address} refuses connections"
        case _:
            said = errno.errorcode.get(error.errno or 0, "no reason is known")
            return f"{address} cannot be reached ({said})"


def _failure_in(response: httpx2.Response, provider: Provider, now: datetime) -> CallFailed:
    return failure_of(
        response.status_code, response.headers, response.content, provider.key_variable, now
    )


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
    try:
        content = asyncio.run(_listed_models(provider, now))
    except CallFailed as failure:
        raise _as_error(failure) from None
    try:
        listed: Any = json.loads(content)
        names = {str(each["id"]).rpartition("/")[2] for each in listed["data"]}
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"What answers at {provider.base_url} is no model provider",
            "Check the provider's address",
        ) from None
    known = provider.model in names
    return f"{provider.name} {provider.model}" + ("" if known else " (not in the provider's list)")


async def _listed_models(provider: Provider, now: Callable[[], datetime]) -> bytes:
    with _failures_told(provider, now):
        async with asyncio.timeout(_CHECK_SECONDS), _client(provider, connections=1) as client:
            response = await client.get("/models", cast_to=httpx2.Response)
    return response.content


def _as_error(failure: CallFailed) -> PlatformError:
    if failure.fatal is not None:
        return failure.fatal
    return RetryableError(
        f"The model provider cannot be asked: {failure.reason}",
        "Check its address and the network, or try again later",
        failure.delay_seconds,
    )
