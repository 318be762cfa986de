"""What a failed call means: delays in their order, both error shapes, what is fatal."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.errors import ConfigurationError, PermanentError
from batch_platform.core.settings import ModelSettings
from batch_platform.gateways.llm.failures import Kind, duration, failure_of
from batch_platform.gateways.llm.prices import UNKNOWN, price_of
from batch_platform.gateways.llm.providers import choose_provider
from batch_platform.gateways.llm.retries import CircuitBreaker, backoff_seconds
from batch_platform.gateways.llm.structured import Way

NOW = datetime(2026, 11, 20, 0, 0, 0, tzinfo=UTC)


def failure(status: int, body: Any = None, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failure_of(status, named, json.dumps(body).encode(), "SOME_KEY", NOW)


@pytest.mark.parametrize(
    ("headers", "body", "delay"),
    [
        ({"retry_after_ms": "250", "retry_after": "9"}, None, 0.25),
        ({"retry_after": "2", "x_ratelimit_reset_requests": "9s"}, None, 2.0),
        ({"retry_after": "Fri, 20 Nov 2026 00:00:07 GMT"}, None, 7.0),
        ({"retry_after": "Thu, 19 Nov 2026 00:00:00 GMT"}, None, 0.0),
        ({"x_ratelimit_reset_requests": "2.5s", "x_ratelimit_reset_tokens": "1m1s"}, None, 61.0),
        ({"retry_after": "soon"}, None, None),
        ({}, [{"error": {"code": 429, "details": [{"retryDelay": "13s"}]}}], 13.0),
        ({}, {"status": {"code": "42901", "message": "Too many"}, "result": None}, None),
    ],
)
def test_the_providers_delay_is_read_in_its_order(
    headers: dict[str, str], body: Any, delay: float | None
) -> None:
    refused = failure(429, body, **headers)
    assert (refused.kind, refused.delay_seconds) == (Kind.REFUSED, delay)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, None, Kind.TRANSIENT),
        (503, {"error": {"message": "busy"}}, Kind.TRANSIENT),
        (400, {"error": {"code": "context_length_exceeded"}}, Kind.BAD_REQUEST),
        (400, {"status": {"code": "40003", "message": "Text too long"}}, Kind.BAD_REQUEST),
        (200, {"status": {"code": "42902", "message": "Overloaded"}, "result": None}, Kind.REFUSED),
        (200, {"error": {"code": "42901"}}, Kind.REFUSED),
        (200, {"status": {"code": "50000"}, "result": None}, Kind.TRANSIENT),
        (401, {"error": {"code": "invalid_api_key"}}, Kind.FATAL),
        (400, [{"error": {"message": "API key not valid. Please pass a valid key"}}], Kind.FATAL),
        (404, None, Kind.FATAL),
        (429, {"error": {"code": "insufficient_quota"}}, Kind.FATAL),
    ],
)
def test_what_a_response_means(status: int, body: Any, kind: Kind) -> None:
    assert failure(status, body).kind is kind


def test_a_daily_quota_and_a_bad_key_end_a_run_with_one_clear_sentence() -> None:
    daily = {"quotaId": "GenerateRequestsPerDayPerProject"}
    body = [{"error": {"code": 429, "details": [{"violations": [daily]}]}}]
    assert isinstance(failure(429, body).fatal, PermanentError)
    refused = failure(401, {"error": {"message": "Incorrect API key provided: sk-secret"}}).fatal
    assert isinstance(refused, ConfigurationError)
    assert "SOME_KEY" in str(refused)
    assert "sk-secret" not in str(refused)


@given(st.binary(max_size=200), st.integers(200, 599))
def test_no_body_is_too_strange(body: bytes, status: int) -> None:
    assert failure_of(status, {}, body, "SOME_KEY", NOW).reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2.5s", 2.5),
        ("1m30s", 90),
        ("250ms", 0.25),
        ("6m0s", 360),
        ("7", 7),
        ("s", None),
        ("1x", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds


@given(st.integers(1, 50), st.floats(0, 0.999))
def test_backoff_has_full_jitter_and_a_bound(attempt: int, drawn: float) -> None:
    assert 0 <= backoff_seconds(attempt, lambda: drawn) <= min(20.0, 0.5 * 2 ** (attempt - 1))


def test_the_circuit_opens_after_failures_in_a_row_and_closes_with_a_success() -> None:
    breaker = CircuitBreaker(threshold=3, patience_seconds=10)
    for now in (0.0, 1.0):
        breaker.failed(now)
    assert breaker.pause_seconds() == 0
    breaker.failed(2.0)
    assert breaker.pause_seconds() > 0
    assert not breaker.has_tripped(11.9)
    assert breaker.has_tripped(12.0)
    breaker.succeeded(12.1)
    assert breaker.pause_seconds() == 0
    assert not breaker.has_tripped(100.0)


def settings(**variables: Any) -> ModelSettings:
    return ModelSettings(_env_file=None, **variables)  # type: ignore[call-arg]


def test_the_provider_is_the_one_that_is_named_or_whose_key_is_set() -> None:
    assert choose_provider(settings(OPENAI_API_KEY="k")).name == "openai"
    both = {"OPENAI_API_KEY": "k", "HCX_CHAT_API_KEY": "k"}
    assert choose_provider(settings(**both)).name == "hyperclova"
    assert choose_provider(settings(**both, LLM_PROVIDER="openai")).name == "openai"
    local = choose_provider(settings(LLM_BASE_URL="http://localhost:11434/v1", LLM_MODEL="qwen"))
    assert (local.name, local.model) == ("compatible", "qwen")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "No model provider"),
        ({"LLM_PROVIDER": "gemini"}, "GEMINI_API_KEY"),
        ({"LLM_PROVIDER": "compatible"}, "LLM_BASE_URL"),
        ({"LLM_BASE_URL": "http://localhost/v1"}, "LLM_MODEL"),
    ],
)
def test_a_missing_setting_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        choose_provider(settings(**variables))


@pytest.mark.parametrize("key", ["sk-secret\nX: y", "sk-secret키", "sk-\x00secret"])
@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "LLM_API_KEY"])
def test_a_key_that_no_header_can_hold_is_named_and_not_shown(variable: str, key: str) -> None:
    others = {"LLM_BASE_URL": "http://localhost/v1", "LLM_MODEL": "m"}
    with pytest.raises(ConfigurationError, match=variable) as raised:
        choose_provider(settings(**{variable: key}, **(others if "LLM" in variable else {})))
    assert "secret" not in str(raised.value)


def test_an_address_with_a_password_is_named_and_not_shown() -> None:
    """It would be refused with every request, in words that quote it."""
    url = "http://somebody:secret@localhost/v1"
    with pytest.raises(ConfigurationError, match="LLM_BASE_URL") as raised:
        choose_provider(settings(LLM_BASE_URL=url, LLM_MODEL="m"))
    assert "secret" not in str(raised.value)


def test_hyperclova_models_have_their_own_way() -> None:
    plain = choose_provider(settings(HCX_CHAT_API_KEY="k", HCX_MAX_TOKENS=300))
    assert (plain.way, plain.max_tokens) == (Way.FUNCTION_CALLING, 1024)
    assert plain.requests_per_minute == 60
    assert (
        choose_provider(settings(HCX_CHAT_API_KEY="k", HCX_MODEL="HCX-007")).way is Way.JSON_SCHEMA
    )
    told = settings(HCX_CHAT_API_KEY="k", LLM_STRUCTURED_OUTPUT="json_prompt")
    assert choose_provider(told).way is Way.JSON_PROMPT


def test_prices_are_looked_up_and_never_invented() -> None:
    known = price_of("openai", "gpt-4.1-mini", 1000.0)
    assert known.krw(1_000_000, 0) == pytest.approx(400)
    assert known.table.startswith("genai-prices-")
    assert "(unconfirmed)" in price_of("hyperclova", "HCX-005", 1450.0).table
    unknown = price_of("compatible", "my-own-model", 1450.0)
    assert (unknown.table, unknown.krw(1000, 1000)) == (UNKNOWN, 0.0)
