"""The model providers and how much may be asked of them."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from batch_platform.core.settings.section import Section, variable


class ModelSettings(Section):
    """The model providers and how much may be asked of them."""

    provider: Literal["hyperclova", "openai", "gemini", "compatible"] | None = variable(
        "LLM_PROVIDER", None, "Provider; otherwise the one whose key is set, in this order"
    )
    hcx_api_key: SecretStr | None = variable("HCX_CHAT_API_KEY", None, "HyperCLOVA X key")
    hcx_model: str = variable("HCX_MODEL", "HCX-005", "HyperCLOVA X model")
    hcx_app_type: str = variable(
        "HCX_APP_TYPE", "testapp", "HyperCLOVA X key's kind: testapp or serviceapp"
    )
    hcx_base_url: str = variable(
        "HCX_BASE_URL", "https://clovastudio.stream.ntruss.com/v1/openai/", "HyperCLOVA X address"
    )
    hcx_max_tokens: int = variable("HCX_MAX_TOKENS", 2048, "Most tokens of an answer", ge=1)
    hcx_temperature: float = variable("HCX_TEMPERATURE", 0.1, "Randomness of answers", ge=0, le=2)
    hcx_requests_per_minute: int | None = variable(
        "HCX_MAX_REQUESTS_PER_MINUTE", 60, "HyperCLOVA X requests a minute, all processes", ge=1
    )
    openai_api_key: SecretStr | None = variable("OPENAI_API_KEY", None, "OpenAI key")
    openai_model: str = variable("OPENAI_MODEL", "gpt-4.1-mini", "OpenAI model")
    openai_base_url: str = variable(
        "OPENAI_BASE_URL", "https://api.openai.com/v1/", "OpenAI address"
    )
    gemini_api_key: SecretStr | None = variable("GEMINI_API_KEY", None, "Gemini key")
    gemini_model: str = variable("GEMINI_MODEL", "gemini-2.5-flash", "Gemini model")
    gemini_base_url: str = variable(
        "GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "Gemini address",
    )
    compatible_base_url: str | None = variable(
        "LLM_BASE_URL", None, "Address of any compatible server (Ollama, vLLM)"
    )
    compatible_api_key: SecretStr | None = variable("LLM_API_KEY", None, "Its key, if it wants one")
    compatible_model: str | None = variable("LLM_MODEL", None, "Its model")
    structured_output: Literal["auto", "json_schema", "function_calling", "json_prompt"] = variable(
        "LLM_STRUCTURED_OUTPUT", "auto", "How a model is made to answer in a form"
    )
    requests_per_minute: int | None = variable(
        "LLM_MAX_REQUESTS_PER_MINUTE", None, "Requests a minute of the other providers", ge=1
    )
    tokens_per_minute: int | None = variable(
        "LLM_MAX_TOKENS_PER_MINUTE", None, "Tokens a minute, all processes", ge=1
    )
    max_tokens: int = variable("LLM_MAX_TOKENS", 2048, "Most tokens of an answer", ge=1)
    temperature: float = variable("LLM_TEMPERATURE", 0.1, "Randomness of answers", ge=0, le=2)
    timeout_seconds: float = variable(
        "LLM_TIMEOUT_SECONDS", 60.0, "Longest wait for one answer", gt=0, allow_inf_nan=False
    )
    daily_budget_krw: float | None = variable(
        "LLM_DAILY_BUDGET_KRW", None, "Won a domain may spend in a day; no bound when not set", ge=0
    )
    krw_per_usd: float = variable("LLM_KRW_PER_USD", 1450.0, "Won for one dollar", gt=0)
    prices_file: Path | None = variable(
        "LLM_PRICES_FILE", None, "JSON of prices that replace the built-in table's"
    )
