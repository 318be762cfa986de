"""Every setting of the platform, read from the environment and `.env`, one module a topic.

A setting keeps the variable name it had in the system that it comes from. Nothing here opens a
connection or guesses a value: what is needed and missing raises `ConfigurationError` where it is
used.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings.api import ApiSettings
from batch_platform.core.settings.backups import BackupsSettings
from batch_platform.core.settings.chats import ChatsSettings
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
    Profile,
    active_profile,
    demo_env_file,
    env_file,
)
from batch_platform.core.settings.sandbox import SandboxSettings
from batch_platform.core.settings.section import Section
from batch_platform.core.settings.stocks import StocksSettings

__all__ = [
    "ENV_FILE_VARIABLE",
    "LIVE_VARIABLES",
    "PROFILE_VARIABLE",
    "PROJECT_ROOT",
    "ApiSettings",
    "BackupsSettings",
    "ChatsSettings",
    "FortunesSettings",
    "InterventionsSettings",
    "MailSettings",
    "ModelSettings",
    "PlatformSettings",
    "Profile",
    "SandboxSettings",
    "Section",
    "Settings",
    "StocksSettings",
    "UnreadableSettingsError",
    "active_profile",
    "demo_env_file",
    "env_file",
    "load_settings",
]


class UnreadableSettingsError(ConfigurationError):
    """One or more settings cannot be read.

    Attributes:
        problems: A sentence each, beginning with the variable; never with a secret's value.
    """

    def __init__(self, problems: Sequence[str], remedy: str) -> None:
        super().__init__("; ".join(problems), remedy)
        self.problems = tuple(problems)


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
    stocks: StocksSettings
    backups: BackupsSettings
    api: ApiSettings
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
