"""The platform's resources, keyed by role. Each hands out a plain object; `build` may swap any.

An object is made when a run needs it, from the settings of that moment: nothing connects at import,
and a setting that no step of a run needs may be missing.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import dagster as dg

from batch_platform.core.days import Clock, utc_now
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import (
    ModelSettings,
    Profile,
    Settings,
    active_profile,
    demo_env_file,
    load_settings,
)
from batch_platform.gateways.krx import KrxClient
from batch_platform.gateways.llm import BulkLlm, open_bulk_llm
from batch_platform.gateways.llm.providers import choose_provider
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.opening import open_batch_client
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.opendart import OpenDart
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import lease_sandbox, open_platform_db
from batch_platform.gateways.public_data import PublicDataClient
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.orchestration.progress import ProgressListener

LlmOpener = Callable[[], BulkLlm]
"""Opens the way to a model, or says with an error why there is none."""


def active_settings() -> Settings:
    """Read the settings; in the demo, keep the sandbox running while this process lives."""
    if active_profile() is Profile.DEMO:
        lease_sandbox(demo_env_file().parent)
    return load_settings()


class SettingsResource(dg.ConfigurableResource[Settings]):
    """The settings of the active profile, as read when the run starts."""

    def create_resource(self, context: dg.InitResourceContext) -> Settings:
        """Read them."""
        return active_settings()


class ClockResource(dg.ConfigurableResource[Clock]):
    """The current time; tests hand in another clock."""

    def create_resource(self, context: dg.InitResourceContext) -> Clock:
        """Give the real one."""
        return utc_now


class PlatformDbResource(dg.ConfigurableResource[PlatformDb]):
    """The platform's PostgreSQL, embedded or yours."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> PlatformDb:
        """Start or reach it."""
        return open_platform_db(self.settings)


class ChatSourceResource(dg.ConfigurableResource[SourceDatabase]):
    """The chat service's database (MariaDB, MySQL, PostgreSQL or SQLite)."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> SourceDatabase:
        """Prepare it; the first statement connects."""
        return chat_source(self.settings)


class FortuneSourceResource(dg.ConfigurableResource[SourceDatabase]):
    """The fortunes app's database (PostgreSQL, MariaDB, MySQL or SQLite)."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> SourceDatabase:
        """Prepare it; the first statement connects."""
        return fortune_source(self.settings)


class InterventionSourceResource(dg.ConfigurableResource[SourceDatabase]):
    """The interventions service's database (PostgreSQL, MariaDB, MySQL or SQLite)."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> SourceDatabase:
        """Prepare it; the first statement connects."""
        return intervention_source(self.settings)


class LlmResource(dg.ConfigurableResource[BulkLlm]):
    """The one way to a model: ledger, pacing, retries, budget."""

    settings: dg.ResourceDependency[Settings]
    platform_db: dg.ResourceDependency[PlatformDb]

    def create_resource(self, context: dg.InitResourceContext) -> BulkLlm:
        """Prepare it; nothing is asked yet."""
        return bulk_llm(self.settings, self.platform_db)


class KrxResource(dg.ConfigurableResource[KrxClient]):
    """The Korea Exchange; may have no key, and says so when it is asked."""

    settings: dg.ResourceDependency[Settings]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[KrxClient]:
        """Prepare it for a run; the first question connects."""
        client = krx_client(self.settings)
        try:
            yield client
        finally:
            client.close()


class PublicDataResource(dg.ConfigurableResource[PublicDataClient]):
    """The public data portal; may have no key, and says so when it is asked."""

    settings: dg.ResourceDependency[Settings]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[PublicDataClient]:
        """Prepare it for a run; the first question connects."""
        client = public_data_client(self.settings)
        try:
            yield client
        finally:
            client.close()


class OpenDartResource(dg.ConfigurableResource[OpenDart]):
    """The disclosure office's interface."""

    settings: dg.ResourceDependency[Settings]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[OpenDart]:
        """Prepare it for a run; the first question connects."""
        with opendart(self.settings) as client:
            yield client


class LlmOpenerResource(dg.ConfigurableResource[LlmOpener]):
    """The way to a model for work that can do without one."""

    settings: dg.ResourceDependency[Settings]
    platform_db: dg.ResourceDependency[PlatformDb]

    def create_resource(self, context: dg.InitResourceContext) -> LlmOpener:
        """Prepare it; that no provider is configured shows only when it is called."""
        return partial(bulk_llm, self.settings, self.platform_db)


class MailerResource(dg.ConfigurableResource[Mailer]):
    """The mail server; may be not configured, and says so."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Mailer:
        """Prepare it; the first mail connects."""
        return Mailer(self.settings.mail)


class ProgressResource(dg.ConfigurableResource[ProgressListener]):
    """Who hears about progress beside the event log."""

    platform_db: dg.ResourceDependency[PlatformDb]
    clock: dg.ResourceDependency[Clock]

    def create_resource(self, context: dg.InitResourceContext) -> ProgressListener:
        """The table that forecasts are made from; a command in a terminal hands in a bar."""
        return ProgressListener(db=self.platform_db, clock=self.clock)


class EmotionModels:
    """The providers that analyse posts: which one is chosen, and the two ways to each.

    A batch is finished with the provider and model that it was begun with, whatever is chosen now.
    """

    def __init__(self, settings: Settings, db: PlatformDb) -> None:
        self._settings = settings
        self._db = db
        self._clients: dict[tuple[str, str], BatchClient] = {}

    @property
    def chosen(self) -> tuple[str, str]:
        """Provider and model of new batches.

        Raises:
            ConfigurationError: No provider with a batch endpoint is configured.
        """
        emotions, model = self._settings.emotions, self._settings.model
        names = {"gemini": model.gemini_model, "openai": model.openai_model}
        keys = {"gemini": model.gemini_api_key, "openai": model.openai_api_key}
        found = [name for name, key in keys.items() if key is not None]
        if emotions.provider is None and not found:
            raise ConfigurationError(
                "No provider for batches is configured",
                "Set GEMINI_API_KEY or OPENAI_API_KEY, or try `make demo`",
            )
        provider = emotions.provider or found[0]
        return provider, emotions.model or names[provider]

    def client(self, provider: str, model: str) -> BatchClient:
        """The way to a provider's batches.

        Raises:
            ConfigurationError: Its key is not set.
        """
        if (provider, model) not in self._clients:
            chosen = choose_provider(self._model_settings(provider, model))
            client = open_batch_client(chosen, is_made_up=self._settings.is_made_up)
            self._clients[provider, model] = client
        return self._clients[provider, model]

    def llm(self, provider: str, model: str) -> BulkLlm:
        """The way to the same model at once, and the ledger that both share.

        Raises:
            ConfigurationError: Its key is not set.
        """
        return open_bulk_llm(
            self._model_settings(provider, model),
            self._db.url,
            is_made_up=self._settings.is_made_up,
            zone=self._settings.platform.zone,
        )

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _model_settings(self, provider: str, model: str) -> ModelSettings:
        changed = {"provider": provider, f"{provider}_model": model}
        return self._settings.model.model_copy(update=changed)


class EmotionModelsResource(dg.ConfigurableResource[EmotionModels]):
    """The providers that analyse posts; says that none is configured when it is asked."""

    settings: dg.ResourceDependency[Settings]
    platform_db: dg.ResourceDependency[PlatformDb]

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[EmotionModels]:
        """Prepare them for a run; the first question connects."""
        models = EmotionModels(self.settings, self.platform_db)
        try:
            yield models
        finally:
            models.close()


def chat_source(settings: Settings) -> SourceDatabase:
    """The chat service's database.

    Raises:
        ConfigurationError: `ENGINE_FOR_SQLALCHEMY` is not set.
    """
    if settings.chats.engine is None:
        raise ConfigurationError(
            "ENGINE_FOR_SQLALCHEMY is not set, so there are no chats to read",
            "Set it to the chat database's SQLAlchemy URL, or try `make demo`",
        )
    return SourceDatabase(
        settings.chats.engine.get_secret_value(),
        settings.platform.zone,
        name_variables={
            str(value): variable
            for section, variable, _, value, _ in settings.variables()
            if section == "chats" and variable.startswith(("DB_TABLE_", "DB_COLUMN_"))
        },
    )


def fortune_source(settings: Settings) -> SourceDatabase:
    """The fortunes app's database.

    Raises:
        ConfigurationError: `DATABASE_URL` is not set.
    """
    if settings.fortunes.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set, so there are no users to make fortunes for",
            "Set it to the app database's SQLAlchemy URL, or try `make demo`",
        )
    return SourceDatabase(
        settings.fortunes.database_url.get_secret_value(),
        settings.platform.zone,
        url_variable="DATABASE_URL",
        name_variables={
            str(value): variable
            for section, variable, _, value, _ in settings.variables()
            if section == "fortunes" and variable.startswith(("FORTUNES_TABLE_", "FORTUNES_COLUMN"))
        },
    )


def krx_client(settings: Settings) -> KrxClient:
    """The Korea Exchange."""
    return KrxClient(settings.stocks.krx_base_url, settings.stocks.krx_auth_key)


def public_data_client(settings: Settings) -> PublicDataClient:
    """The public data portal."""
    return PublicDataClient(settings.stocks.public_data_base_url, settings.stocks.public_data_key)


def opendart(settings: Settings) -> OpenDart:
    """The disclosure office's interface.

    Raises:
        ConfigurationError: `OPENDART_API_KEY` is not set.
    """
    stocks = settings.stocks
    if stocks.opendart_key is None:
        raise ConfigurationError(
            "OPENDART_API_KEY is not set, so there are no statements to read",
            "Get a key at opendart.fss.or.kr and set it, or try `make demo`",
        )
    return OpenDart(
        stocks.opendart_base_url,
        stocks.opendart_key,
        clock=utc_now,
        seconds_between_calls=stocks.opendart_seconds_between_calls,
    )


def intervention_source(settings: Settings) -> SourceDatabase:
    """The interventions service's database.

    Raises:
        ConfigurationError: `INTERVENTIONS_DATABASE_URL` is not set.
    """
    if settings.interventions.database_url is None:
        raise ConfigurationError(
            "INTERVENTIONS_DATABASE_URL is not set, so there are no users to advise",
            "Set it to the service's SQLAlchemy URL, or try `make demo`",
        )
    return SourceDatabase(
        settings.interventions.database_url.get_secret_value(),
        settings.platform.zone,
        url_variable="INTERVENTIONS_DATABASE_URL",
        name_variables={
            str(value): variable
            for section, variable, _, value, _ in settings.variables()
            if section == "interventions" and ("_TABLE_" in variable or "_COLUMN_" in variable)
        },
    )


def bulk_llm(settings: Settings, db: PlatformDb) -> BulkLlm:
    """The model engine on the platform's database."""
    return open_bulk_llm(
        settings.model, db.url, is_made_up=settings.is_made_up, zone=settings.platform.zone
    )


def all_resources(
    settings: Settings | None = None, overrides: Mapping[str, object] | None = None
) -> Mapping[str, object]:
    """Every resource under its role.

    Args:
        settings: What all of them are made from; read when a run starts by default.
        overrides: Role → object to use instead; resources that need that role get it too.
    """
    swapped: dict[str, Any] = dict(overrides or {})
    settings_role = swapped.get("settings", settings or SettingsResource())
    db_role = swapped.get("platform_db", PlatformDbResource(settings=settings_role))
    clock_role = swapped.get("clock", ClockResource())
    return {
        "settings": settings_role,
        "clock": clock_role,
        "platform_db": db_role,
        "chat_source": ChatSourceResource(settings=settings_role),
        "fortune_source": FortuneSourceResource(settings=settings_role),
        "intervention_source": InterventionSourceResource(settings=settings_role),
        "llm": LlmResource(settings=settings_role, platform_db=db_role),
        "krx": KrxResource(settings=settings_role),
        "public_data": PublicDataResource(settings=settings_role),
        "opendart": OpenDartResource(settings=settings_role),
        "llm_opener": LlmOpenerResource(settings=settings_role, platform_db=db_role),
        "emotion_models": EmotionModelsResource(settings=settings_role, platform_db=db_role),
        "mailer": MailerResource(settings=settings_role),
        "progress": ProgressResource(platform_db=db_role, clock=clock_role),
        **swapped,
    }
