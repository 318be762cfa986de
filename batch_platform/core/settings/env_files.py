"""The settings file as text: which lines cannot be read, which names stand in it.

What the values mean is pydantic's business, in the sections.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from batch_platform.core.errors import ConfigurationError

# It would warn of every broken line once a section: we tell it once, as a problem.
logging.getLogger("dotenv.main").setLevel(logging.ERROR)


class UnreadableSettingsError(ConfigurationError):
    """One or more settings cannot be read.

    Attributes:
        problems: A sentence each, beginning with the variable; never with a secret's value.
    """

    def __init__(self, problems: Sequence[str], remedy: str) -> None:
        super().__init__("; ".join(problems), remedy)
        self.problems = tuple(problems)


def unreadable_lines(file: Path) -> list[str]:
    """Tell each line that is no setting, by its number: what stands there may be a secret.

    Raises:
        UnreadableSettingsError: The file cannot be read at all.
    """
    return [
        f"{file.name}: line {_line(binding)} is not NAME=value"
        for binding in _bindings(file)
        if binding.error
    ]


def names_in(file: Path) -> list[str]:
    """The names that have a value in the file, in order.

    Raises:
        UnreadableSettingsError: The file cannot be read at all.
    """
    return [binding.key for binding in _bindings(file) if binding.key and binding.value]


def _line(binding: Binding) -> int:
    # What a binding begins with can be the empty lines before it.
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _bindings(file: Path) -> list[Binding]:
    if not file.is_file():
        return []
    try:
        with file.open(encoding="utf-8") as stream:
            return list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        # Not chained: a decoding error quotes the file, secrets and all.
        raise UnreadableSettingsError(
            [f"{file}: {_why(error)}"], f"Mend {file.name} or the environment"
        ) from None


def _why(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
