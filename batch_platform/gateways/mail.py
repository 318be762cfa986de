"""The mail server: one mail goes out, or one sentence says why it did not.

Nothing here tries twice: what calls it (Dagster's retry of a step) decides by the error's type.
What a mail says belongs to whom it concerns (`domains.*.report_mail`, `operations.failure_mail`);
that a mail is not sent twice is `sent_mails`' business.
"""

import smtplib
import socket
import ssl
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from mimetypes import guess_type
from pathlib import Path
from typing import NoReturn

from batch_platform.core.days import Clock, utc_now
from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.core.settings import MailSettings

ATTACHMENT_LIMIT_BYTES = 20_000_000
"""Attachments of a mail together; the large providers refuse mails of 25 MB, encoding included."""

_BASE64_GROWTH = 1.37  # four characters for three bytes, and line ends
_BODY_ROOM_BYTES = 200_000
_TLS_PORT = 465
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class MailMessage:
    """What a mail says and to whom; who sends it and when is the mailer's.

    Attributes:
        recipients: Addresses, with or without a name (`홍길동 <hong@example.org>`).
        attachments: Files; their names are kept.
    """

    subject: str
    text: str
    html: str
    recipients: tuple[str, ...]
    attachments: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class SentMail:
    """What the server took.

    Attributes:
        accepted: Addresses it will deliver to.
        refused: Addresses it will not deliver to, with its reason.
        left_out: Files that were too large to attach; the mail names them instead.
    """

    message_id: str
    accepted: tuple[str, ...]
    refused: dict[str, str]
    left_out: tuple[Path, ...]


class Mailer:
    """Sends mails through the configured server. Holds no connection between mails.

    Args:
        settings: The server, the sender and its password.
        clock: For the mails' date.
        tls_context: Which certificates are trusted; the machine's by default.
        timeout_seconds: Longest wait for one answer of the server.
    """

    def __init__(
        self,
        settings: MailSettings,
        *,
        clock: Clock = utc_now,
        tls_context: ssl.SSLContext | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._tls_context = tls_context
        self._timeout_seconds = timeout_seconds

    @property
    def is_configured(self) -> bool:
        """Whether there are a server and a sender: without them no mail is expected."""
        return bool(self._settings.server and self._settings.sender)

    def check_reachable(self) -> str:
        """Connect and log in, send nothing.

        Returns:
            The server's address and how the connection is protected.

        Raises:
            ConfigurationError: The server does not exist, or refuses the password or the TLS.
            RetryableError: It does not answer, or not now.
        """
        with self._session() as session:
            code, answer = session.noop()
            if code != 250:
                raise _answered(code, answer, f"{self._address} does not take commands")
            protection = "TLS" if isinstance(session.sock, ssl.SSLSocket) else "no encryption"
        return f"{self._address} ({protection})"

    def send(self, message: MailMessage, *, message_id: str) -> SentMail:
        """Send one mail to all its recipients.

        When the server refuses some of them, the others get it and the answer says which. Files
        over the limit (ours, or the server's own) are not attached: the mail says where they are.

        Args:
            message: The mail.
            message_id: Its Message-ID, in angle brackets; the same mail should have the same one.

        Raises:
            ConfigurationError: Server, sender, password, TLS or every recipient is wrong.
            RetryableError: The server does not answer, or asks to come back later.
            PermanentError: The server refuses this mail for what it is.
        """
        recipients = [_address(recipient, "RECIPIENT_EMAILS") for recipient in message.recipients]
        if not recipients:
            raise ConfigurationError("The mail has no recipients", "Set RECIPIENT_EMAILS")
        sender = _address(self._settings.sender or "", "SENDER_EMAIL")
        with self._session() as session:
            attached, left_out = _that_fit(message.attachments, _room_bytes(session))
            mail = _compose(message, sender, recipients, attached, left_out)
            mail["Message-ID"] = _one_line(message_id)
            mail["Date"] = format_datetime(self._clock())
            addresses = [recipient.addr_spec for recipient in recipients]
            refusals = session.send_message(mail, sender.addr_spec, addresses)
        return SentMail(
            message_id=message_id,
            accepted=tuple(address for address in addresses if address not in refusals),
            refused={
                address: _sentence(code, answer) for address, (code, answer) in refusals.items()
            },
            left_out=tuple(left_out),
        )

    @property
    def _address(self) -> str:
        return f"{self._settings.server}:{self._settings.port}"

    @contextmanager
    def _session(self) -> Generator[smtplib.SMTP]:
        if not self.is_configured:
            raise ConfigurationError(
                "No mail server is configured", "Set SMTP_SERVER and SENDER_EMAIL"
            )
        try:
            session = self._connect()
            try:
                self._protect(session)
                self._log_in(session)
                yield session
            finally:
                _hang_up(session)
        except (smtplib.SMTPException, OSError) as error:
            self._explain(error)

    def _connect(self) -> smtplib.SMTP:
        host, port = self._settings.server or "", self._settings.port
        security = self._settings.security
        if security == "tls" or (security == "auto" and port == _TLS_PORT):
            return smtplib.SMTP_SSL(
                host, port, timeout=self._timeout_seconds, context=self._trust()
            )
        return smtplib.SMTP(host, port, timeout=self._timeout_seconds)

    def _protect(self, session: smtplib.SMTP) -> None:
        security = self._settings.security
        session.ehlo_or_helo_if_needed()
        if security == "none" or isinstance(session.sock, ssl.SSLSocket):
            return
        if session.has_extn("starttls"):
            session.starttls(context=self._trust())
            session.ehlo()
        elif security == "starttls" or self._settings.password is not None:
            raise ConfigurationError(
                f"{self._address} offers no encryption (STARTTLS)",
                "Use the port that does, or SMTP_SECURITY=none if the password may go unprotected",
            )

    def _log_in(self, session: smtplib.SMTP) -> None:
        password = self._settings.password
        if password is not None:
            sender = _address(self._settings.sender or "", "SENDER_EMAIL")
            session.login(sender.addr_spec, password.get_secret_value())

    def _trust(self) -> ssl.SSLContext:
        return self._tls_context or ssl.create_default_context()

    def _explain(self, error: smtplib.SMTPException | OSError) -> NoReturn:
        """Raise the platform's error for what went wrong, the server's own words in it."""
        raise self._translated(error) from error

    def _translated(self, error: smtplib.SMTPException | OSError) -> PlatformError:
        where = self._address
        match error:
            case smtplib.SMTPRecipientsRefused():
                return _all_refused(error)
            case smtplib.SMTPAuthenticationError():
                return _answered(
                    error.smtp_code,
                    error.smtp_error,
                    f"{where} does not accept the password of {self._settings.sender}",
                    ConfigurationError,
                    "Check SENDER_EMAIL and SENDER_PASSWORD (some providers want an app password)",
                )
            case smtplib.SMTPSenderRefused():
                return _answered(
                    error.smtp_code,
                    error.smtp_error,
                    f"{where} does not take mail from {self._settings.sender}",
                    ConfigurationError,
                    "Check SENDER_EMAIL, and SENDER_PASSWORD if the server wants a log-in",
                )
            case smtplib.SMTPResponseException():
                return _answered(
                    error.smtp_code, error.smtp_error, f"{where} refused the mail", PermanentError
                )
            case smtplib.SMTPNotSupportedError():
                return ConfigurationError(
                    f"{where} lacks what this mail needs: {_one_line(str(error))}",
                    "Remove SENDER_PASSWORD if the server knows no log-in, or use another server",
                )
            case ssl.SSLCertVerificationError():
                return ConfigurationError(
                    f"The certificate of {where} is not trusted: {error.verify_message}",
                    "Check SMTP_SERVER, or let this machine trust it (SSL_CERT_FILE)",
                )
            case ssl.SSLError():
                return ConfigurationError(
                    f"{where} does not speak TLS as expected",
                    "Check SMTP_PORT and SMTP_SECURITY (tls on 465, starttls on 587)",
                )
            case socket.gaierror() if error.errno != socket.EAI_AGAIN:
                return ConfigurationError(
                    f"The mail server {self._settings.server} is not known", "Check SMTP_SERVER"
                )
            case _:
                return RetryableError(
                    f"The mail server {where} does not answer: {_one_line(str(error))}",
                    "Check SMTP_SERVER and SMTP_PORT if this stays so",
                )


def _hang_up(session: smtplib.SMTP) -> None:
    try:
        session.quit()
    except (smtplib.SMTPException, OSError):
        session.close()  # it hung up first: what was sent is sent, what failed is already known


def _address(text: str, setting: str) -> Address:
    name, spec = parseaddr(text)
    try:
        if text != _one_line(text):
            raise ValueError("a line break")
        user, _, domain = spec.rpartition("@")
        # Domains in Hangul go over the wire in their ASCII form (RFC 5891).
        return Address(display_name=name, addr_spec=f"{user}@{domain.encode('idna').decode()}")
    except (ValueError, IndexError, HeaderParseError) as error:
        raise ConfigurationError(
            f"{_one_line(text)!r} is not a mail address", f"Correct {setting}"
        ) from error


def _room_bytes(session: smtplib.SMTP) -> int:
    """What attachments may take together: our limit, or the server's if that is less (RFC 1870)."""
    offered = session.esmtp_features.get("size", "")
    if not offered.isdigit() or int(offered) == 0:
        return ATTACHMENT_LIMIT_BYTES
    room = int((int(offered) - _BODY_ROOM_BYTES) / _BASE64_GROWTH)
    return max(0, min(ATTACHMENT_LIMIT_BYTES, room))


def _that_fit(files: Sequence[Path], room: int) -> tuple[dict[Path, bytes], dict[Path, int]]:
    """Read the files that fit; of the others, tell the size."""
    attached: dict[Path, bytes] = {}
    left_out: dict[Path, int] = {}
    for file in files:
        try:
            size = file.stat().st_size
            if size > room:
                left_out[file] = size
                continue
            attached[file] = file.read_bytes()
        except OSError as error:
            raise PermanentError(
                f"{file} cannot be attached: {error.strerror}", "Make the report again"
            ) from error
        room -= size
    return attached, left_out


def _compose(
    message: MailMessage,
    sender: Address,
    recipients: Sequence[Address],
    attached: Mapping[Path, bytes],
    left_out: Mapping[Path, int],
) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = tuple(recipients)
    mail["Subject"] = _one_line(message.subject)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    text, html = message.text, message.html
    for file, size in left_out.items():
        note = f"첨부하기에 너무 큰 파일({size / 1e6:.1f} MB): {file}"
        text += f"\n{note}\n"
        paragraph = f'<p style="font-family:sans-serif;font-size:13px">{escape(note)}</p>'
        before, end, after = html.rpartition("</body>")
        html = f"{before}{paragraph}{end}{after}" if end else html + paragraph
    # base64: not every server on the way takes 8-bit text or lines of any length.
    mail.set_content(_whole_characters(text), cte="base64")
    mail.add_alternative(_whole_characters(html), subtype="html", cte="base64")
    for file, content in attached.items():
        kind = _XLSX if file.suffix == ".xlsx" else guess_type(file.name)[0]
        main, _, sub = (kind or "application/octet-stream").partition("/")
        # A Korean name is written as RFC 2231 says, which Outlook, Gmail and Naver all read.
        mail.add_attachment(content, maintype=main, subtype=sub, filename=file.name)
    return mail


def _whole_characters(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _one_line(text: str) -> str:
    """Keep a header one header: line breaks and control characters become spaces."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(_whole_characters(printable).split())


def _sentence(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return f"{code} {_one_line(text)[:200]}"


def _answered(
    code: int,
    answer: bytes | str,
    problem: str,
    when_final: type[PlatformError] = PermanentError,
    remedy: str = "",
) -> PlatformError:
    """Tell a server's "not now" (4xx, RFC 5321 4.2.1) from its "no"."""
    said = f"{problem} ({_sentence(code, answer)})"
    return when_final(said, remedy) if code >= 500 else RetryableError(said)


def _all_refused(error: smtplib.SMTPRecipientsRefused) -> PlatformError:
    said = "; ".join(
        f"{address}: {_sentence(code, answer)}"
        for address, (code, answer) in error.recipients.items()
    )
    problem = f"The mail server takes none of the recipients ({said})"
    if any(code < 500 for code, _ in error.recipients.values()):
        return RetryableError(problem)
    return ConfigurationError(problem, "Correct RECIPIENT_EMAILS (MAILTO for failures)")
