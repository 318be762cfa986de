"""What every section of the settings is made of: where values come from and how one is declared."""

from datetime import datetime
from typing import Any

from cronsim import CronSim, CronSimError
from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from batch_platform.core.settings.profiles import Profile, active_profile
from batch_platform.core.settings.secret_files import secret_files


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
        return init_settings, env_settings, dotenv_settings, secret_files(file_secret_settings)


def variable(name: str, default: Any, description: str, **rules: Any) -> Any:
    """Declare a setting by the variable that it comes from; `rules` are pydantic's."""
    return Field(default, validation_alias=name, description=description, **rules)


def split_commas(value: object) -> object:
    """Read a list that stands in one variable, divided by commas. For `field_validator`."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def readable_cron(value: str) -> str:
    """Refuse what is no cron schedule. For `field_validator`."""
    # Dagster would refuse it too, but while it loads everything.
    try:
        CronSim(value, datetime(2026, 1, 1))  # noqa: DTZ001 - any time will do
    except CronSimError:
        raise ValueError(
            f"{value!r} is no cron schedule; write minute, hour, day, month and weekday,"
            " like 0 1 * * *"
        ) from None
    return value
