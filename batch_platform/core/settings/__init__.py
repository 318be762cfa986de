"""Every setting of the platform, read from the environment and `.env`, one module a topic.

A setting keeps the variable name it had in the system that it comes from. Nothing here opens a
connection or guesses a value: what is needed and missing raises `ConfigurationError` where it is
used.
"""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from batch_platform.core.errors import sentence_of_validator
from batch_platform.core.settings.alerts import AlertSettings
from batch_platform.core.settings.api import ApiSettings
from batch_platform.core.settings.backups import BackupsSettings
from batch_platform.core.settings.chats import ChatsSettings
from batch_platform.core.settings.cluster import ClusterSettings
from batch_platform.core.settings.emotions import EmotionsSettings
from batch_platform.core.settings.env_files import (
    UnreadableSettingsError,
    names_in,
    unreadable_lines,
)
from batch_platform.core.settings.fortunes import FortunesSettings
from batch_platform.core.settings.interventions import InterventionsSettings
from batch_platform.core.settings.mail import MailSettings
from batch_platform.core.settings.model import ModelSettings
from batch_platform.core.settings.platform import PlatformSettings
from batch_platform.core.settings.profiles import (
    ENV_FILE_VARIABLE,
    LIVE_VARIABLES,
    PROFILE_VARIABLE,
    PROJECT_ROOT,
    SECRETS_VARIABLE,
    Profile,
    active_profile,
    demo_env_file,
    env_file,
)
from batch_platform.core.settings.retention import RetentionSettings
from batch_platform.core.settings.sandbox import SandboxSettings
from batch_platform.core.settings.secret_files import secret_names, secrets_folder
from batch_platform.core.settings.section import Section
from batch_platform.core.settings.stocks import StocksSettings

__all__ = [
    "ENV_FILE_VARIABLE",
    "LIVE_VARIABLES",
    "PROFILE_VARIABLE",
    "PROJECT_ROOT",
    "SECRETS_VARIABLE",
    "AlertSettings",
    "ApiSettings",
    "BackupsSettings",
    "ChatsSettings",
    "ClusterSettings",
    "EmotionsSettings",
    "FortunesSettings",
    "InterventionsSettings",
    "MailSettings",
    "ModelSettings",
    "PlatformSettings",
    "Profile",
    "RetentionSettings",
    "SandboxSettings",
    "Section",
    "Settings",
    "StocksSettings",
    "UnreadableSettingsError",
    "active_profile",
    "demo_env_file",
    "env_file",
    "load_home",
    "load_settings",
    "unknown_variables",
    "variable_names",
]


_AnySection = TypeVar("_AnySection", bound=Section)


class Settings(BaseModel):
    """All sections together, of one profile. Immutable, made by `load_settings`."""

    model_config = {"frozen": True}

    profile: Profile
    platform: PlatformSettings
    chats: ChatsSettings
    model: ModelSettings
    mail: MailSettings
    alerts: AlertSettings
    fortunes: FortunesSettings
    interventions: InterventionsSettings
    stocks: StocksSettings
    emotions: EmotionsSettings
    backups: BackupsSettings
    api: ApiSettings
    retention: RetentionSettings
    cluster: ClusterSettings
    sandbox: SandboxSettings

    @cached_property
    def home(self) -> Path:
        """Folder of everything the platform writes beside its database, absolute."""
        return _home(self.platform, self.profile)

    @property
    def is_made_up(self) -> bool:
        """Whether sources and services are the sandbox's: whatever comes of them is marked so."""
        return self.profile is Profile.DEMO

    @property
    def chats_report_folder(self) -> Path:
        """Folder of the chats' workbooks, absolute."""
        return (self.chats.report_folder or self.home / "reports" / "chats").expanduser().resolve()

    @property
    def stocks_report_folder(self) -> Path:
        """Folder of the stocks' workbooks, absolute."""
        return (
            (self.stocks.report_folder or self.home / "reports" / "stocks").expanduser().resolve()
        )

    @property
    def emotions_folder(self) -> Path:
        """Folder of the emotions' results, absolute."""
        return (self.emotions.folder or self.home / "reports" / "emotions").expanduser().resolve()

    def is_on(self, domain: str) -> bool:
        """Whether a domain has what it reads from; one that has not is switched off, not broken."""
        sources: Mapping[str, object] = {
            "chats": self.chats.engine,
            "fortunes": self.fortunes.database_url,
            "interventions": self.interventions.database_url,
            "stocks": self.stocks.krx_auth_key or self.stocks.public_data_key,
            "emotions": self.emotions.source,
        }
        return bool(sources.get(domain, True))

    @property
    def backup_folder(self) -> Path:
        """Folder of the backups, absolute."""
        return (self.backups.folder or self.home / "backups").expanduser().resolve()

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
    file, secrets = _existing_env_file(), secrets_folder()
    sections: dict[str, Section] = {}
    problems = unreadable_lines(file)
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            try:
                sections[name] = _read(section, file, secrets)
            except UnreadableSettingsError as error:
                problems += error.problems
    if problems:
        raise UnreadableSettingsError(problems, _remedy(file))
    return Settings.model_validate({"profile": active_profile(), **sections})


def load_home() -> Path:
    """Read only where the platform keeps its things: what must work while a setting is broken.

    Raises:
        UnreadableSettingsError: The file, or a setting of the platform itself, cannot be read.
    """
    platform = _read(PlatformSettings, _existing_env_file(), secrets_folder())
    return _home(platform, active_profile())


def variable_names() -> list[str]:
    """The variable of every setting, in order; reads none of them."""
    return [
        _alias(field, attribute)
        for owner in Settings.model_fields.values()
        if isinstance(owner.annotation, type) and issubclass(owner.annotation, Section)
        for attribute, field in owner.annotation.model_fields.items()
    ]


def unknown_variables() -> Mapping[str, str | None]:
    """Names in the settings file, or of secret files, that no setting has, each with a similar one.

    A misspelt name would otherwise be as good as not written.
    """
    known = variable_names()
    own = {*known, PROFILE_VARIABLE, ENV_FILE_VARIABLE, SECRETS_VARIABLE, "DAGSTER_HOME", "TZ"}
    return {
        name: next(iter(get_close_matches(name.upper(), known, n=1, cutoff=0.8)), None)
        for name in (*names_in(env_file()), *secret_names())
        if name.upper() not in own
    }


def _existing_env_file() -> Path:
    file = env_file()
    if os.environ.get(ENV_FILE_VARIABLE) == str(file) and not file.exists():
        raise UnreadableSettingsError([f"There is no file {file}"], f"Correct {ENV_FILE_VARIABLE}")
    return file


def _read(section: type[_AnySection], file: Path, secrets: Path | None) -> _AnySection:
    try:
        return section(
            _env_file=file,  # pyright: ignore[reportCallIssue]
            _env_file_encoding="utf-8",  # pyright: ignore[reportCallIssue]
            _secrets_dir=secrets,  # pyright: ignore[reportCallIssue]
        )
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc'])}:"
            f" {sentence_of_validator(problem['msg'])}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise UnreadableSettingsError(problems, _remedy(file)) from None


def _remedy(file: Path) -> str:
    return f"Mend {file.name} or the environment"


def _home(platform: PlatformSettings, profile: Profile) -> Path:
    chosen = platform.home or PROJECT_ROOT / "var" / profile
    return chosen.expanduser().resolve()
