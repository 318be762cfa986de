"""Every setting of the platform, read from the environment and `.env`, one class a topic.

A setting keeps the variable name it had in the system that it comes from. Nothing here opens a
connection or guesses a value: what is needed and missing raises `ConfigurationError` where it is
used.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from batch_platform.core.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
"""The checkout: `dagster.yaml`, `migrations/` and `.env` are beside the package."""

PROFILE_VARIABLE = "BATCH_PLATFORM_PROFILE"
ENV_FILE_VARIABLE = "BATCH_PLATFORM_ENV_FILE"
LIVE_VARIABLES = (
    "PLATFORM_DATABASE_URL",
    "ENGINE_FOR_SQLALCHEMY",
    "BATCH_PLATFORM_HOME",
    ENV_FILE_VARIABLE,
)


class Profile(StrEnum):
    """Which world the platform works in; the two share no database and no folder."""

    LIVE = "live"
    DEMO = "demo"


def active_profile(environ: Mapping[str, str] = os.environ, root: Path = PROJECT_ROOT) -> Profile:
    """Tell which profile a process works in.

    Said by `BATCH_PLATFORM_PROFILE`; otherwise the demo's, if somebody asked for a demo here and
    nothing at all was configured for the live platform (no `.env`, no address in the environment).

    Raises:
        ConfigurationError: The variable names no profile.
    """
    said = environ.get(PROFILE_VARIABLE)
    if said:
        try:
            return Profile(said)
        except ValueError:
            raise ConfigurationError(
                f"{PROFILE_VARIABLE}={said!r} is no profile", "Use live or demo"
            ) from None
    is_configured = (root / ".env").exists() or any(environ.get(name) for name in LIVE_VARIABLES)
    if not is_configured and demo_env_file(root).exists():
        return Profile.DEMO
    return Profile.LIVE


def demo_env_file(root: Path = PROJECT_ROOT) -> Path:
    """The settings that `batch-platform demo` writes, and the only ones that the demo reads."""
    return root / "var" / "demo" / "demo.env"


def env_file() -> Path:
    """The file that the active profile's settings come from; it need not exist.

    For the live platform that is `.env`, or what `BATCH_PLATFORM_ENV_FILE` names: several platforms
    can share a checkout, and a test need not read a developer's.
    """
    if active_profile() is Profile.DEMO:
        return demo_env_file()
    return Path(os.environ.get(ENV_FILE_VARIABLE) or PROJECT_ROOT / ".env")


class UnreadableSettingsError(ConfigurationError):
    """One or more settings cannot be read.

    Attributes:
        problems: A sentence each, beginning with the variable; never with a secret's value.
    """

    def __init__(self, problems: Sequence[str], remedy: str) -> None:
        super().__init__("; ".join(problems), remedy)
        self.problems = tuple(problems)


class Section(BaseSettings):
    """A topic of settings. Immutable; read once by `load_settings`."""

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        case_sensitive=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The demo never sees the environment: a real key there must not reach made-up data."""
        if active_profile() is Profile.DEMO:
            return init_settings, dotenv_settings
        return init_settings, env_settings, dotenv_settings


def _variable(name: str, default: Any, description: str, **rules: Any) -> Any:
    return Field(default, validation_alias=name, description=description, **rules)


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class PlatformSettings(Section):
    """Where the platform keeps its own things."""

    database_url: SecretStr | None = _variable(
        "PLATFORM_DATABASE_URL",
        None,
        "PostgreSQL of the platform; an embedded server when it is not set",
    )
    home: Path | None = _variable(
        "BATCH_PLATFORM_HOME",
        None,
        "Folder of the embedded database, reports and logs; var/<profile> by default",
    )
    org_name: str = _variable("ORG_NAME", "", "The organisation's name in reports and mails")
    timezone: str = _variable("ORG_TIMEZONE", "Asia/Seoul", "Zone of days, schedules and reports")
    webserver_url: str = _variable(
        "DAGSTER_WEBSERVER_URL", "http://127.0.0.1:3000", "Address in mails' links to runs"
    )
    webserver_port: int = _variable(
        "DAGSTER_WEBSERVER_PORT", 3000, "Port of the webserver that `up` starts", ge=1, le=65535
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _variable(
        "LOG_LEVEL", "INFO", "Least severe message that is logged"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is not a time zone; use a name like Asia/Seoul") from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which a partition is a calendar day."""
        return ZoneInfo(self.timezone)


class ChatsSettings(Section):
    """The chat service's database and how its questions are classified."""

    engine: SecretStr | None = _variable(
        "ENGINE_FOR_SQLALCHEMY",
        None,
        "SQLAlchemy URL of the chat database, e.g. mysql+pymysql://user:password@host/db",
    )
    table_chattings: str = _variable("DB_TABLE_CHATTINGS", "chattings", "Table of chats")
    table_keywords: str = _variable(
        "DB_TABLE_CHAT_KEYWORDS", "admin_chat_keywords", "Table that classifications go back to"
    )
    table_categories: str = _variable("DB_TABLE_CATEGORIES", "admin_categories", "Categories")
    column_chatting_pk: str = _variable("DB_COLUMN_CHATTING_PK", "chatting_pk", "Chat's key")
    column_input_text: str = _variable("DB_COLUMN_INPUT_TEXT", "input_text", "Chat's text")
    column_created_at: str = _variable(
        "DB_COLUMN_CREATED_AT", "created_at", "Local time of a row, without a zone"
    )
    column_query_text: str = _variable("DB_COLUMN_QUERY_TEXT", "query_text", "Question")
    column_keyword: str = _variable("DB_COLUMN_KEYWORD", "keyword", "Keyword")
    column_category_id: str = _variable("DB_COLUMN_CATEGORY_ID", "category_id", "Category's id")
    column_category_name: str = _variable(
        "DB_COLUMN_CATEGORY_NAME", "category_name", "Category's name"
    )
    column_query_count: str = _variable("DB_COLUMN_QUERY_COUNT", "query_count", "Times asked")
    column_batch_created_at: str = _variable(
        "DB_COLUMN_BATCH_CREATED_AT", "batch_created_at", "Time of the classification"
    )
    default_category_id: int = _variable(
        "BATCH_DEFAULT_CATEGORY_ID", 11, "Category of what fits none (기타)"
    )
    exclude_category_ids: Annotated[list[int], NoDecode] = _variable(
        "BATCH_EXCLUDE_CATEGORY_IDS",
        [],
        "Categories (commas) that the model is never offered",
    )
    questions_per_call: int = _variable(
        "CHATS_QUESTIONS_PER_CALL", 10, "Questions that share one model call", ge=1, le=50
    )
    quarantine_share: float = _variable(
        "CHATS_MAX_QUARANTINE_SHARE",
        0.02,
        "Share of a day's questions that may be set aside before the day fails",
        ge=0,
        le=1,
    )
    parallel_enabled: bool = _variable(
        "PARALLEL_ENABLED", True, "Ask several questions at the same time"
    )
    parallel_workers: int = _variable(
        "PARALLEL_WORKERS", 16, "Model calls in flight at once", ge=1, le=512
    )
    parallel_chunk_size: int = _variable(
        "PARALLEL_CHUNK_SIZE",
        1000,
        "Of the old job; questions are a stream now, so it is ignored",
        ge=1,
    )
    first_day: date = _variable(
        "CHATS_FIRST_DAY", date(2024, 1, 1), "First day that can be classified"
    )
    cron_schedule: str = _variable("CRON_SCHEDULE", "0 1 * * *", "When yesterday is classified")
    cron_email: bool = _variable("CRON_EMAIL", True, "Whether the nightly run mails its report")
    report_folder: Path | None = _variable(
        "CHATS_REPORT_FOLDER", None, "Folder of the Excel reports; <home>/reports/chats by default"
    )

    _commas = field_validator("exclude_category_ids", mode="before")(_split)

    @field_validator("cron_schedule")
    @classmethod
    def _readable_cron(cls, value: str) -> str:
        # Dagster would refuse it too, but while it loads everything.
        try:
            CronSim(value, datetime(2026, 1, 1))  # noqa: DTZ001 - any time will do
        except CronSimError:
            raise ValueError(
                f"{value!r} is no cron schedule; write minute, hour, day, month and weekday,"
                " like 0 1 * * *"
            ) from None
        return value


class ModelSettings(Section):
    """The model providers and how much may be asked of them."""

    provider: Literal["hyperclova", "openai", "gemini", "compatible"] | None = _variable(
        "LLM_PROVIDER", None, "Provider; otherwise the one whose key is set, in this order"
    )
    hcx_api_key: SecretStr | None = _variable("HCX_CHAT_API_KEY", None, "HyperCLOVA X key")
    hcx_model: str = _variable("HCX_MODEL", "HCX-005", "HyperCLOVA X model")
    hcx_app_type: str = _variable(
        "HCX_APP_TYPE", "testapp", "HyperCLOVA X key's kind: testapp or serviceapp"
    )
    hcx_base_url: str = _variable(
        "HCX_BASE_URL", "https://clovastudio.stream.ntruss.com/v1/openai/", "HyperCLOVA X address"
    )
    hcx_max_tokens: int = _variable("HCX_MAX_TOKENS", 2048, "Most tokens of an answer", ge=1)
    hcx_temperature: float = _variable("HCX_TEMPERATURE", 0.1, "Randomness of answers", ge=0, le=2)
    hcx_requests_per_minute: int | None = _variable(
        "HCX_MAX_REQUESTS_PER_MINUTE", 60, "HyperCLOVA X requests a minute, all processes", ge=1
    )
    openai_api_key: SecretStr | None = _variable("OPENAI_API_KEY", None, "OpenAI key")
    openai_model: str = _variable("OPENAI_MODEL", "gpt-4.1-mini", "OpenAI model")
    openai_base_url: str = _variable(
        "OPENAI_BASE_URL", "https://api.openai.com/v1/", "OpenAI address"
    )
    gemini_api_key: SecretStr | None = _variable("GEMINI_API_KEY", None, "Gemini key")
    gemini_model: str = _variable("GEMINI_MODEL", "gemini-2.5-flash", "Gemini model")
    gemini_base_url: str = _variable(
        "GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "Gemini address",
    )
    compatible_base_url: str | None = _variable(
        "LLM_BASE_URL", None, "Address of any compatible server (Ollama, vLLM)"
    )
    compatible_api_key: SecretStr | None = _variable(
        "LLM_API_KEY", None, "Its key, if it wants one"
    )
    compatible_model: str | None = _variable("LLM_MODEL", None, "Its model")
    structured_output: Literal["auto", "json_schema", "function_calling", "json_prompt"] = (
        _variable("LLM_STRUCTURED_OUTPUT", "auto", "How a model is made to answer in a form")
    )
    requests_per_minute: int | None = _variable(
        "LLM_MAX_REQUESTS_PER_MINUTE", None, "Requests a minute of the other providers", ge=1
    )
    tokens_per_minute: int | None = _variable(
        "LLM_MAX_TOKENS_PER_MINUTE", None, "Tokens a minute, all processes", ge=1
    )
    max_tokens: int = _variable("LLM_MAX_TOKENS", 2048, "Most tokens of an answer", ge=1)
    temperature: float = _variable("LLM_TEMPERATURE", 0.1, "Randomness of answers", ge=0, le=2)
    timeout_seconds: float = _variable(
        "LLM_TIMEOUT_SECONDS", 60.0, "Longest wait for one answer", gt=0
    )
    daily_budget_krw: float | None = _variable(
        "LLM_DAILY_BUDGET_KRW", None, "Won a domain may spend in a day; no bound when not set", ge=0
    )
    krw_per_usd: float = _variable("LLM_KRW_PER_USD", 1450.0, "Won for one dollar", gt=0)
    prices_file: Path | None = _variable(
        "LLM_PRICES_FILE", None, "JSON of prices that replace the built-in table's"
    )


class MailSettings(Section):
    """The mail server, who mails come from and who gets them."""

    server: str | None = _variable("SMTP_SERVER", None, "SMTP server; no mail when not set")
    port: int = _variable("SMTP_PORT", 587, "Its port", ge=1, le=65535)
    security: Literal["auto", "starttls", "tls", "none"] = _variable(
        "SMTP_SECURITY",
        "auto",
        "auto: tls on 465, starttls when offered (always before a password)",
    )
    sender: str | None = _variable("SENDER_EMAIL", None, "Address that mails come from")
    password: SecretStr | None = _variable("SENDER_PASSWORD", None, "Its password")
    recipients: Annotated[list[str], NoDecode] = _variable(
        "RECIPIENT_EMAILS", [], "Addresses (commas) of reports"
    )
    alert_recipients: Annotated[list[str], NoDecode] = _variable(
        "MAILTO", [], "Addresses (commas) of failures; the reports' when not set"
    )
    webhook_url: SecretStr | None = _variable("WEBHOOK_URL", None, "Slack webhook of alerts")

    _commas = field_validator("recipients", "alert_recipients", mode="before")(_split)

    @field_validator("recipients", "alert_recipients")
    @classmethod
    def _addresses(cls, value: list[str]) -> list[str]:
        for address in value:
            if "@" not in address.strip("@"):
                raise ValueError(f"{address!r} is not a mail address")
        return value


class FortunesSettings(Section):
    """The fortunes app: its database and what its old `.env` holds."""

    database_url: SecretStr | None = _variable("DATABASE_URL", None, "The app's own database")
    secret_key: SecretStr | None = _variable("SECRET_KEY", None, "Key of the old Django service")
    use_s3: bool = _variable("USE_S3", False, "Whether files are in S3")
    aws_access_key_id: SecretStr | None = _variable("AWS_ACCESS_KEY_ID", None, "S3 key's id")
    aws_secret_access_key: SecretStr | None = _variable("AWS_SECRET_ACCESS_KEY", None, "S3 key")


class InterventionsSettings(Section):
    """The interventions service and what its old `.env` holds."""

    database_url: SecretStr | None = _variable(
        "INTERVENTIONS_DATABASE_URL", None, "The service's own database"
    )
    celery_broker_url: SecretStr | None = _variable("CELERY_BROKER_URL", None, "Redis, for Celery")
    celery_result_backend: SecretStr | None = _variable(
        "CELERY_RESULT_BACKEND", None, "Redis, for Celery's results"
    )


class SandboxSettings(Section):
    """Addresses of the local stand-ins. Set by the demo, never by hand on a live platform."""

    home: Path | None = _variable("SANDBOX_HOME", None, "Folder of the sandbox's data and ports")
    model_delay_seconds: float = _variable(
        "SANDBOX_MODEL_DELAY_SECONDS", 0.05, "Time the sandbox's model takes to answer", ge=0
    )


class Settings(BaseModel):
    """All sections together, of one profile. Immutable, made by `load_settings`."""

    model_config = {"frozen": True}

    profile: Profile
    platform: PlatformSettings
    chats: ChatsSettings
    model: ModelSettings
    mail: MailSettings
    fortunes: FortunesSettings
    interventions: InterventionsSettings
    sandbox: SandboxSettings

    @cached_property
    def home(self) -> Path:
        """Folder of everything the platform writes beside its database, absolute."""
        chosen = self.platform.home or PROJECT_ROOT / "var" / self.profile
        return chosen.expanduser().resolve()

    @property
    def is_made_up(self) -> bool:
        """Whether sources and services are the sandbox's: whatever comes of them is marked so."""
        return self.profile is Profile.DEMO

    @property
    def chats_report_folder(self) -> Path:
        """Folder of the chats' workbooks, absolute."""
        return (self.chats.report_folder or self.home / "reports" / "chats").expanduser().resolve()

    def variables(self) -> Iterator[tuple[str, str, str, object, str]]:
        """Yield (section, variable, attribute, value, description) of every setting, in order."""
        for section_name in type(self).model_fields:
            section = getattr(self, section_name)
            if isinstance(section, Section):
                for attribute, field in type(section).model_fields.items():
                    yield (
                        section_name,
                        _alias(field, attribute),
                        attribute,
                        getattr(section, attribute),
                        field.description or "",
                    )


def _alias(field: FieldInfo, attribute: str) -> str:
    return str(field.validation_alias or attribute)


def load_settings() -> Settings:
    """Read the active profile's settings.

    Raises:
        UnreadableSettingsError: The file or one or more values cannot be read; each problem is
            named, with its variable and without its value when that is a secret.
    """
    file = env_file()
    remedy = f"Mend {file.name} or the environment"
    if os.environ.get(ENV_FILE_VARIABLE) == str(file) and not file.is_file():
        raise UnreadableSettingsError([f"There is no file {file}"], f"Correct {ENV_FILE_VARIABLE}")
    sections: dict[str, Section] = {}
    problems: list[str] = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            try:
                sections[name] = section(_env_file=file, _env_file_encoding="utf-8")  # pyright: ignore[reportCallIssue]
            except ValidationError as error:
                problems += [
                    f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
                    for problem in error.errors(include_input=False, include_url=False)
                ]
            except (OSError, UnicodeDecodeError) as error:
                # Not chained: a decoding error quotes the file, secrets and all.
                raise UnreadableSettingsError([f"{file}: {_why(error)}"], remedy) from None
    if problems:
        raise UnreadableSettingsError(problems, remedy)
    return Settings.model_validate({"profile": active_profile(), **sections})


def _why(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
