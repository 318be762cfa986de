"""The providers: address, key, model and manners of each, chosen from the settings.

How a request is sent is `client`'s business, how fast is `pacing`'s.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import ModelSettings
from batch_platform.gateways.llm.structured import Way

HCX_LEAST_TOKENS_FOR_TOOLS = 1024
"""HyperCLOVA X refuses function calling with fewer tokens to answer in."""

_NO_KEY = "none"
_OPENAI_REASONING = re.compile(r"^(o\d|gpt-5)")


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom to ask, and how.

    Attributes:
        name: `hyperclova`, `openai`, `gemini` or `compatible`.
        key_variable: The setting that holds the key: what an error about the key names.
        prices_id: The provider's id in the price table.
        way: How its model is made to answer in a form.
        shaping: Parameters that shape an answer, part of the ledger's key.
        bounding: Parameters that only bound it.
        max_tokens: Most tokens of an answer.
        requests_per_minute: Limit over all processes; None when it is not known.
    """

    name: str
    base_url: str
    model: str
    key_variable: str
    prices_id: str
    way: Way
    shaping: dict[str, Any]
    bounding: dict[str, Any]
    max_tokens: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    timeout_seconds: float
    api_key: SecretStr = field(repr=False)

    @property
    def limit_key(self) -> str:
        """Names the limits that all processes share: one a provider and host, for all models."""
        return f"{self.name} {urlsplit(self.base_url).netloc}"


def choose_provider(settings: ModelSettings) -> Provider:
    """The provider that the settings name, else the first whose key or address is set.

    Raises:
        ConfigurationError: None is configured, or the chosen one lacks its key, address or model.
    """
    if settings.provider is not None:
        return _MAKERS[settings.provider](settings)
    configured = {
        "hyperclova": settings.hcx_api_key,
        "openai": settings.openai_api_key,
        "gemini": settings.gemini_api_key,
        "compatible": settings.compatible_base_url,
    }
    for name, is_set in configured.items():
        if is_set:
            return _MAKERS[name](settings)
    raise ConfigurationError(
        "No model provider is configured",
        "Set HCX_CHAT_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY or LLM_BASE_URL with LLM_MODEL",
    )


def _key(value: SecretStr | None, variable: str) -> SecretStr:
    if value is None or not value.get_secret_value().strip():
        raise ConfigurationError(
            f"{variable} is not set", f"Set {variable} or choose another LLM_PROVIDER"
        )
    return _sendable(value, variable)


def _sendable(key: SecretStr, variable: str) -> SecretStr:
    """Refuse a key that no HTTP header can hold: part of a line above or below, or another text."""
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ConfigurationError(
            f"{variable} holds a line break or a character that no key has", f"Correct {variable}"
        )
    return key


def _address(url: str, variable: str) -> str:
    """Refuse what is no address, and one with a user in it, which no client sends beside a key."""
    try:
        parts = urlsplit(url)
        is_address = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        is_address, parts = False, urlsplit("")
    if not is_address or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{variable} is no address of a model provider",
            "Write it like https://host/v1/: http or https, a host, a path",
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"{variable} holds a user or a password",
            "Write the address without them; the key has a variable of its own",
        )
    return url


def _way(settings: ModelSettings, default: Way) -> Way:
    chosen = settings.structured_output
    return default if chosen == "auto" else Way(chosen)


def _hyperclova(settings: ModelSettings) -> Provider:
    key = _key(settings.hcx_api_key, "HCX_CHAT_API_KEY")
    model = settings.hcx_model
    is_reasoning = model.startswith("HCX-007")
    way = _way(settings, Way.JSON_SCHEMA if is_reasoning else Way.FUNCTION_CALLING)
    max_tokens = settings.hcx_max_tokens
    if way is Way.FUNCTION_CALLING:
        max_tokens = max(max_tokens, HCX_LEAST_TOKENS_FOR_TOOLS)
    # HCX-007 answers in a form only without thinking?, and counts with max_completion_tokens?.
    bounding: dict[str, Any] = (
        {"max_completion_tokens": max_tokens, "reasoning_effort": "none"}
        if is_reasoning
        else {"max_tokens": max_tokens}
    )
    return Provider(
        name="hyperclova",
        base_url=_address(settings.hcx_base_url, "HCX_BASE_URL"),
        model=model,
        key_variable="HCX_CHAT_API_KEY",
        prices_id="hyperclova",
        way=way,
        shaping={"temperature": settings.hcx_temperature},
        bounding=bounding,
        max_tokens=max_tokens,
        requests_per_minute=settings.hcx_requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        timeout_seconds=settings.timeout_seconds,
        api_key=key,
    )


def _openai(settings: ModelSettings) -> Provider:
    key = _key(settings.openai_api_key, "OPENAI_API_KEY")
    # Reasoning models refuse a temperature.
    is_reasoning = _OPENAI_REASONING.match(settings.openai_model) is not None
    return Provider(
        name="openai",
        base_url=_address(settings.openai_base_url, "OPENAI_BASE_URL"),
        model=settings.openai_model,
        key_variable="OPENAI_API_KEY",
        prices_id="openai",
        way=_way(settings, Way.JSON_SCHEMA),
        shaping={} if is_reasoning else {"temperature": settings.temperature},
        bounding={"max_completion_tokens": settings.max_tokens},
        max_tokens=settings.max_tokens,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        timeout_seconds=settings.timeout_seconds,
        api_key=key,
    )


def _gemini(settings: ModelSettings) -> Provider:
    return Provider(
        name="gemini",
        base_url=_address(settings.gemini_base_url, "GEMINI_BASE_URL"),
        model=settings.gemini_model,
        key_variable="GEMINI_API_KEY",
        prices_id="google",
        way=_way(settings, Way.JSON_SCHEMA),
        shaping={"temperature": settings.temperature},
        bounding={"max_tokens": settings.max_tokens},
        max_tokens=settings.max_tokens,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        timeout_seconds=settings.timeout_seconds,
        api_key=_key(settings.gemini_api_key, "GEMINI_API_KEY"),
    )


def _compatible(settings: ModelSettings) -> Provider:
    if not settings.compatible_base_url or not settings.compatible_model:
        missing = "LLM_MODEL" if settings.compatible_base_url else "LLM_BASE_URL"
        raise ConfigurationError(
            f"{missing} is not set", "A compatible server needs LLM_BASE_URL and LLM_MODEL"
        )
    return Provider(
        name="compatible",
        base_url=_address(settings.compatible_base_url, "LLM_BASE_URL"),
        model=settings.compatible_model,
        key_variable="LLM_API_KEY",
        prices_id="compatible",
        way=_way(settings, Way.JSON_SCHEMA),
        shaping={"temperature": settings.temperature},
        bounding={"max_tokens": settings.max_tokens},
        max_tokens=settings.max_tokens,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        timeout_seconds=settings.timeout_seconds,
        # A server without keys still gets a header, which it ignores.
        api_key=_sendable(settings.compatible_api_key or SecretStr(_NO_KEY), "LLM_API_KEY"),
    )


_MAKERS: dict[str, Callable[[ModelSettings], Provider]] = {
    "hyperclova": _hyperclova,
    "openai": _openai,
    "gemini": _gemini,
    "compatible": _compatible,
}
