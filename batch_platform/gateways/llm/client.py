"""One HTTP request to a chat completion, and what came back. Retries nothing, paces nothing.

It speaks the providers' one format itself, over aiohttp: what the `openai` package does around a
call costs more of the processor than everything else in a night (ADR 0009).
"""

import asyncio
import errno
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
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
_KEPT_ALIVE_SECONDS = 5.0
_SUCCESS = range(200, 300)
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


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
        self._session = _session(provider, connections, provider.timeout_seconds)
        self._address = _address_of(provider, "chat/completions")
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
        with _failures_told(self._provider):
            async with self._session.post(self._address, data=body) as response:
                content = await response.read()
        if response.status not in _SUCCESS:
            raise _failure_in(response, content, self._provider, self._now())
        return self._read(response, content)

    def _read(self, response: aiohttp.ClientResponse, content: bytes) -> Reply:
        try:
            body: Any = _parsed(content)
        except (ValueError, RecursionError):
            raise CallFailed(Kind.TRANSIENT, "the provider's response is not JSON") from None
        completion = cast(dict[str, Any], body) if isinstance(body, dict) else None
        if completion is None or is_error_body(completion):
            raise _failure_in(response, content, self._provider, self._now())
        if not self._is_made_up and completion.get("system_fingerprint") == MADE_UP_FINGERPRINT:
            problem = ConfigurationError(
                f"What answers at {self._provider.base_url} is the sandbox: its answers are made"
                " up",
                "Set the real provider's address, or use the demo's profile",
            )
            raise CallFailed(Kind.FATAL, problem.problem, fatal=problem)
        try:
            return _reply(completion)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError):
            raise CallFailed(
                Kind.TRANSIENT, "the provider's response has not the form of a completion"
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _session(provider: Provider, connections: int, timeout_seconds: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        proxy=_proxy_of(provider),
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_KEPT_ALIVE_SECONDS),
        headers={
            "Authorization": f"Bearer {provider.api_key.get_secret_value()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "batch-platform",
        },
        timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _proxy_of(provider: Provider) -> str | None:
    """The proxy that the environment names for the provider (HTTPS_PROXY, NO_PROXY, …).

    Asked once: aiohttp would look for every call, and read passwords from `.netrc` as well.
    """
    parts, known = urlsplit(provider.base_url), getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if proxy is None or parts.hostname in _THIS_MACHINE or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _address_of(provider: Provider, path: str) -> str:
    return f"{provider.base_url.rstrip('/')}/{path}"


def _address(provider: Provider) -> str:
    parts = urlsplit(provider.base_url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


@contextmanager
def _failures_told(provider: Provider) -> Generator[None]:
    """Tell what an exchange died of.

    Raises:
        CallFailed: Instead of the package's errors.
    """
    try:
        yield
    except aiohttp.ConnectionTimeoutError:
        reason = f"{_address(provider)} takes no connection within {_CONNECT_SECONDS:.0f} s"
        raise CallFailed(Kind.UNREACHABLE, reason) from None
    except aiohttp.ClientConnectorError as error:
        raise CallFailed(Kind.UNREACHABLE, _unreachable(error, _address(provider))) from None
    except aiohttp.RedirectClientError:
        raise CallFailed(Kind.TRANSIENT, "the provider sends calls to no address") from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        problem = ConfigurationError(
            f"{provider.base_url} is no address of a model provider",
            "Check the provider's address",
        )
        raise CallFailed(Kind.FATAL, problem.problem, fatal=problem) from None
    except TimeoutError:
        raise CallFailed(Kind.TRANSIENT, "the provider did not answer in time") from None
    except (aiohttp.ClientError, ValueError):
        # ValueError: what aiohttp says of an address that a redirect leads to.
        raise CallFailed(Kind.TRANSIENT, "the connection to the provider broke") from None


def _unreachable(error: aiohttp.ClientConnectorError, address: str) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} cannot be resolved"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {error.host}:{error.port} cannot be reached"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {address} is not to be trusted (is SSL_CERT_FILE right?)"
        case aiohttp.ClientSSLError():
            return f"{address} does not speak TLS as it should"
        case _ if error.errno == errno.ECONNREFUSED:
            return f"{address} refuses connections"
        case _:
            said = errno.errorcode.get(error.errno or 0, "no reason is known")
            return f"{address} cannot be reached ({said})"


def _failure_in(
    response: aiohttp.ClientResponse, content: bytes, provider: Provider, now: datetime
) -> CallFailed:
    return failure_of(response.status, response.headers, content, provider.key_variable, now)


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
    with _failures_told(provider):
        async with (
            _session(provider, 1, _CHECK_SECONDS) as session,
            session.get(_address_of(provider, "models")) as response,
        ):
            content = await response.read()
    if response.status not in _SUCCESS:
        raise _failure_in(response, content, provider, now())
    return content


def _as_error(failure: CallFailed) -> PlatformError:
    if failure.fatal is not None:
        return failure.fatal
    return RetryableError(
        f"The model provider cannot be asked: {failure.reason}",
        "Check its address and the network, or try again later",
        failure.delay_seconds,
    )
