"""A folder of `.eml` files, one a mail, as the SMTP sink writes it and the mail page reads it."""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

ENVELOPE_FROM = "X-Sandbox-Mail-From"
ENVELOPE_TO = "X-Sandbox-Rcpt-To"


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail that the sink took.

    Attributes:
        name: File name; names sort in order of arrival.
        message: The mail as it was sent, below the sandbox's own `X-Sandbox…` headers, which tell
            the envelope: who really sent it to whom, blind copies included.
    """

    name: str
    message: EmailMessage

    @property
    def recipients(self) -> list[str]:
        """Addresses of the envelope."""
        return str(self.message[ENVELOPE_TO]).split(", ")


class MailFolder:
    """Stores and lists mails.

    Args:
        folder: Made when it is missing.
        clock: The time now, for names that sort; UTC.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def store(self, content: bytes, sender: str, recipients: list[str]) -> str:
        """Write a mail whole or not at all.

        Returns:
            Its name.
        """
        name = f"{self._clock():%Y%m%dT%H%M%S.%f}-{next(self._numbers):06d}.eml"
        envelope = (
            "X-Sandbox: made-up\r\n"
            f"{ENVELOPE_FROM}: {sender}\r\n"
            f"{ENVELOPE_TO}: {', '.join(recipients)}\r\n"
        )
        unfinished = self._folder / f".{name}.unfinished"
        unfinished.write_bytes(envelope.encode("utf-8") + content)
        os.replace(unfinished, self._folder / name)
        return name

    def mails(self) -> list[StoredMail]:
        """Every mail, in order of arrival."""
        return [StoredMail(name, _parsed(self._folder / name)) for name in self.names()]

    def names(self) -> list[str]:
        """Every mail's name, in order of arrival."""
        return sorted(
            entry.name
            for entry in self._folder.iterdir()
            if entry.suffix == ".eml" and not entry.name.startswith(".")
        )

    def mail(self, name: str) -> StoredMail | None:
        """The mail of that name; None when there is none, whatever the name tries to be."""
        return StoredMail(name, _parsed(self._folder / name)) if name in self.names() else None


def _parsed(file: Path) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(file.read_bytes())
    assert isinstance(message, EmailMessage)  # noqa: S101 - what policy.default makes
    return message
