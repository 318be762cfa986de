"""Taking secrets and personal data out of text for people and files: logs, support bundles.

A secret setting's value is found wherever it stands, whole or as the password of an address.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from batch_platform.core.personal_data import mask
from batch_platform.core.settings import Settings

HIDDEN = "********"

Redact = Callable[[str], str]
"""Takes out of a text what must not be seen."""

_SHORTEST = 4
"""A shorter value stands in too many words for something else."""

_PASSWORD_IN_ADDRESS = re.compile(r"(?P<before>\w+://[^\s:/@]*:)[^\s@/]+(?=@)")
_BEARER = re.compile(r"(?i)(?P<before>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}")

# As SQLAlchemy reads an address: a password may hold what ends the host elsewhere (/, ? and #).
_ADDRESS = re.compile(r"[\w+]+://[^:/@]*:(?P<password>[^@]*)@")


def redactor(settings: Settings) -> Redact:
    """A function that hides, in any text, these settings' secrets and everybody's personal data.

    A secret is known as it is, and as programs write it: in JSON, in an address, in a stack trace.
    """
    secrets = sorted(set(_secrets(settings)), key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def redact(text: str) -> str:
        if known is not None:
            text = known.sub(HIDDEN, text)
        return mask(without_credentials(text)).text

    return redact


def without_credentials(text: str) -> str:
    """Hide passwords in addresses and tokens of log-ins, whatever the settings are."""
    text = _PASSWORD_IN_ADDRESS.sub(rf"\g<before>{HIDDEN}", text)
    return _BEARER.sub(rf"\g<before>{HIDDEN}", text)


def redacted_texts(value: Any, redact: Redact, names: Collection[str] | None = None) -> Any:
    """A JSON value whose texts are redacted.

    Args:
        value: Objects, arrays, texts, numbers.
        redact: See `redactor`.
        names: Only texts somewhere below these names, where others are keys that must stay;
            all by default.
    """
    if isinstance(value, str):
        return redact(value) if names is None else value
    if isinstance(value, list):
        return [redacted_texts(each, redact, names) for each in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {
            name: redacted_texts(each, redact, None if names and name in names else names)
            for name, each in cast("Mapping[str, Any]", value).items()
        }
    return value


def _secrets(settings: Settings) -> Iterator[str]:
    for *_, value, _description in settings.variables():
        if isinstance(value, SecretStr):
            for part in _parts(value.get_secret_value()):
                yield from (each for each in _written(part) if len(each) >= _SHORTEST)


def _parts(secret: str) -> Iterator[str]:
    """The secret, and of each address in it the password and what names a webhook."""
    yield secret
    for piece in re.split(r"[\s,]+(?=\w+:)", secret):
        address = _ADDRESS.match(piece)
        if address:
            yield address["password"]
        elif piece.startswith(("http://", "https://")):
            path = urlsplit(piece.partition("#")[0]).path
            if len(path) > len("/services"):
                yield path


def _written(part: str) -> Iterator[str]:
    """A secret as it may stand in a text."""
    for plain in (part, unquote(part)):
        yield plain
        yield quote(plain, safe="")
        yield quote(plain)
        yield repr(plain)[1:-1]
        yield json.dumps(plain)[1:-1]
        yield json.dumps(plain, ensure_ascii=False)[1:-1]
