"""Settings that are files of a folder: how containers, pods and units are told secrets.

`BATCH_PLATFORM_SECRETS` names the folder; a file is named like a variable and holds its value.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource, SecretsSettingsSource

from batch_platform.core.settings.env_files import UnreadableSettingsError
from batch_platform.core.settings.profiles import SECRETS_VARIABLE


class _SecretFiles(SecretsSettingsSource):
    """Files of a folder; an empty one says nothing.

    A deployment that lists secrets needs a file for each, also for those that are not wanted.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value, its key, and whether it is to be parsed."""
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


def secret_files(source: PydanticBaseSettingsSource) -> PydanticBaseSettingsSource:
    """The folder as a source of settings, in place of pydantic's own."""
    folder = source.secrets_dir if isinstance(source, SecretsSettingsSource) else None
    return _SecretFiles(source.settings_cls, folder)


def secrets_folder() -> Path | None:
    """The folder that was named, if one was.

    Raises:
        UnreadableSettingsError: There is none, or a file of it may not be read.
    """
    named = os.environ.get(SECRETS_VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise UnreadableSettingsError(
            [f"There is no folder {folder}"], f"Correct {SECRETS_VARIABLE}"
        )
    closed = [file.name for file in _files(folder) if not os.access(file, os.R_OK)]
    if closed:
        raise UnreadableSettingsError(
            [f"{folder / name} may not be read" for name in closed],
            "Let the user that this runs as read it",
        )
    return folder


def secret_names() -> Sequence[str]:
    """The names of the files in the folder, whatever they hold."""
    folder = secrets_folder()
    return [] if folder is None else [file.name for file in _files(folder)]


def _files(folder: Path) -> Sequence[Path]:
    # Kubernetes keeps its own folders there, whose names begin with dots.
    return sorted(
        file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")
    )
