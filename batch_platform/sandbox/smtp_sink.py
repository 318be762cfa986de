"""An SMTP server that delivers nothing: it keeps every mail as an `.eml` file that one can open.

For `make demo` and tests. Listens on the loopback interface only. Refuses, delays and fails on
request. The page that shows the mails is in `mail_page`.
"""

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import BaseModel, ConfigDict, Field

from batch_platform.sandbox import loopback
from batch_platform.sandbox.mail_folder import MailFolder, StoredMail

_LARGEST_MAIL_BYTES = 64 * 2**20


class SmtpFault(StrEnum):
    """What the sink does wrong on request."""

    DROP_CONNECTION = "drop-connection"
    """Hangs up as soon as a client connects."""
    BUSY = "busy"
    """Greets with 421: come back later."""
    TEMPORARY = "temporary"
    """Refuses the mail with 451, as greylisting does."""
    PERMANENT = "permanent"
    """Refuses the mail with 554."""
    LOST_ANSWER = "lost-answer"
    """Takes the mail and hangs up before it says so."""


class SmtpSinkOptions(BaseModel):
    """How the sink behaves.

    Attributes:
        delay: Seconds between a mail's last byte and the answer.
        fault: What goes wrong, if anything.
        fault_times: How often it does; for ever when None.
        refused_recipients: Addresses that get 550.
        username: Name that a client has to log in with, over TLS; nobody has to when None.
        password: The name's password.
        largest_bytes: Larger mails get 552.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delay: float = Field(default=0.0, ge=0)
    fault: SmtpFault | None = None
    fault_times: int | None = Field(default=None, ge=0)
    refused_recipients: frozenset[str] = frozenset()
    username: str | None = None
    password: str | None = None
    largest_bytes: int = Field(default=_LARGEST_MAIL_BYTES, gt=0)


@dataclass(slots=True)
class SmtpSink:
    """The sink's state and what aiosmtpd calls on the way of a mail.

    Attributes:
        connections: Clients that connected so far.
        sent_after_tls: Whether the last mail came over TLS.
    """

    folder: MailFolder
    options: SmtpSinkOptions
    tls_context: ssl.SSLContext | None = None
    connections: int = 0
    sent_after_tls: bool = False
    _faults_left: float = field(init=False)
    _transports: set[asyncio.Transport] = field(default_factory=set[asyncio.Transport])

    def __post_init__(self) -> None:
        self.configure(self.options)

    def configure(self, options: SmtpSinkOptions) -> None:
        """Behave like that from now on; log-in rules count for new connections."""
        times = options.fault_times
        self.options = options
        self._faults_left = float("inf") if times is None else times

    async def start(self, bound: socket.socket) -> asyncio.Server:
        """Listen on a bound socket."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(self, loop), sock=bound)

    async def stop(self, server: asyncio.Server) -> None:
        """Hang up on everyone."""
        server.close()
        for transport in list(self._transports):
            transport.abort()
        await server.wait_closed()

    def meets(self, *faults: SmtpFault) -> SmtpFault | None:
        """Say which of these faults is due now, and use up one time of it."""
        if self.options.fault not in faults or self._faults_left < 1:
            return None
        self._faults_left -= 1
        return self.options.fault

    def connected(self, transport: asyncio.Transport) -> None:
        """A client connected."""
        self.connections += 1
        self._transports.add(transport)

    def disconnected(self, transport: asyncio.Transport) -> None:
        """A client went away."""
        self._transports.discard(transport)

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any
    ) -> AuthResult:
        """Compare a log-in; called by aiosmtpd."""
        wanted = (self.options.username, self.options.password)
        is_right = isinstance(login, LoginPassword) and wanted == (
            login.login.decode(),
            login.password.decode(),
        )
        return AuthResult(success=is_right, handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """A recipient is named; called by aiosmtpd."""
        if address in self.options.refused_recipients:
            return "550 5.1.1 No such mailbox (sandbox)"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """A mail has come in whole; called by aiosmtpd."""
        await asyncio.sleep(self.options.delay)
        fault = self.meets(SmtpFault.TEMPORARY, SmtpFault.PERMANENT, SmtpFault.LOST_ANSWER)
        if fault is SmtpFault.TEMPORARY:
            return "451 4.7.1 Try again later (sandbox)"
        if fault is SmtpFault.PERMANENT:
            return "554 5.7.1 Mail refused (sandbox)"
        content = envelope.original_content or b""
        name = self.folder.store(content, envelope.mail_from or "<>", envelope.rcpt_tos)
        self.sent_after_tls = session.ssl is not None
        if fault is SmtpFault.LOST_ANSWER and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return f"250 2.0.0 Kept as {name}, delivered to nobody (sandbox)"


class _Connection(SMTP):
    """One client's connection."""

    def __init__(self, sink: SmtpSink, loop: asyncio.AbstractEventLoop) -> None:
        needs_login = sink.options.username is not None
        super().__init__(
            sink,
            loop=loop,
            hostname="sandbox.invalid",
            ident="batch_platform sandbox, delivers nothing",
            data_size_limit=sink.options.largest_bytes,
            enable_SMTPUTF8=True,
            tls_context=sink.tls_context,
            auth_required=needs_login,
            authenticator=sink.authenticate,
        )
        self._sink = sink
        self._raw_transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._raw_transport is None and isinstance(transport, asyncio.Transport):
            self._raw_transport = transport
            self._sink.connected(transport)
            fault = self._sink.meets(SmtpFault.DROP_CONNECTION, SmtpFault.BUSY)
            if fault is SmtpFault.BUSY:
                transport.write(b"421 4.3.2 Too busy (sandbox)\r\n")
                transport.close()
                return
            if fault is SmtpFault.DROP_CONNECTION:
                transport.abort()
                return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._raw_transport is not None:
            self._sink.disconnected(self._raw_transport)
        if self.session is not None:
            super().connection_lost(error)


@dataclass(frozen=True, slots=True)
class RunningSmtpSink:
    """A handle on a running sink, in the same process.

    Attributes:
        port: Its port on the loopback interface.
        certificate: The certificate to trust when it offers STARTTLS, else None.
    """

    port: int
    certificate: Path | None
    _sink: SmtpSink

    @property
    def host(self) -> str:
        """Its address."""
        return loopback.LOOPBACK

    def mails(self) -> list[StoredMail]:
        """Every mail taken, in order of arrival."""
        return self._sink.folder.mails()

    def connections(self) -> int:
        """Clients that connected so far."""
        return self._sink.connections

    def last_came_over_tls(self) -> bool:
        """Whether the last mail taken came over TLS."""
        return self._sink.sent_after_tls

    def configure(self, **changes: Any) -> None:
        """Change options while it runs; the names are `SmtpSinkOptions`' attributes."""
        given = self._sink.options.model_dump() | changes
        self._sink.configure(SmtpSinkOptions.model_validate(given))


@contextmanager
def running_smtp_sink(
    folder: Path | None = None, *, port: int = 0, starttls: bool = False, **options: Any
) -> Iterator[RunningSmtpSink]:
    """Run a sink in a thread while the block runs.

    Args:
        folder: Where mails go; a temporary one, gone afterwards, when None.
        port: Port on the loopback interface; 0 takes a free one.
        starttls: Whether STARTTLS is offered, with a certificate made for the occasion.
        options: `SmtpSinkOptions`' attributes. A user name needs `starttls`.
    """
    chosen = SmtpSinkOptions(**options)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smtp-sink-")))
        certificate = scratch / "certificate.pem" if starttls else None
        context = _context(certificate) if certificate else None
        sink = SmtpSink(MailFolder(folder or scratch / "mails"), chosen, context)
        bound = loopback.loopback_socket(port)

        async def serve(ready: Callable[[], None], ended: asyncio.Event) -> None:
            server = await sink.start(bound)
            ready()
            try:
                await ended.wait()
            finally:
                await sink.stop(server)

        stack.enter_context(loopback.running_in_a_thread(serve))
        yield RunningSmtpSink(bound.getsockname()[1], certificate, sink)


def _context(certificate: Path) -> ssl.SSLContext:
    # Imported here because only tests of TLS need it, and the demo has to start quickly.
    from batch_platform.sandbox.certificates import self_signed_context

    return self_signed_context(certificate)
