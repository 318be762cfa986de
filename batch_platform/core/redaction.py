"""Taking secrets and personal data out of text for people and files: logs, support bundles.

A secret setting's value is found wherever it stands, whole or as the password of an address.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from batch_platform.core.personal_data import mask
from batch_platform.core.settings import Settings

HIDDEN = "********"

_SHORTEST = 4
"""A shorter value stands in too many words for something else."""

_PASSWORD_IN_ADDRESS = re.compile(r"(?P<before>\w+://[^\s:/@]*:)[^\s@/]+(?=@)")
_BEARER = re.compile(r"(?i)(?P<before>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}")


def redactor(settings: Settings) -> Callable[[str], str]:
    """A function that hides, in any text, these settings' secrets and everybody's personal data."""
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


def _secrets(settings: Settings) -> Iterator[str]:
    for *_, value, _description in settings.variables():
        if isinstance(value, SecretStr):
            for part in _parts(value.get_secret_value()):
                if len(part) >= _SHORTEST:
                    yield part


def _parts(secret: str) -> Iterator[str]:
    """The secret, and of each address in it the password and what names a webhook."""
    yield secret
    for piece in re.split(r"[\s,]+", secret):
        try:
            address = urlsplit(piece)
        except ValueError:
            continue
        if address.password:
            plain = unquote(address.password)
            yield from {address.password, plain, quote(plain, safe="")}
        elif address.scheme in {"http", "https"} and len(address.path) > len("/services"):
            yield address.path
