"""The sandbox's services, each on a loopback port that stays the same from start to start.

To add a service: write an async context manager that serves on a bound socket, enter it in
`SERVICES`, and give `SandboxAddresses` a property for its address. Nothing here knows how a
service works.
"""

import asyncio
import fcntl
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from batch_platform.core.errors import ConfigurationError
from batch_platform.sandbox import krx_server, loopback, opendart_server, public_data_server
from batch_platform.sandbox.batch_options import BatchOptions
from batch_platform.sandbox.batch_server import add_batches
from batch_platform.sandbox.mail_folder import MailFolder
from batch_platform.sandbox.mail_page import mail_page
from batch_platform.sandbox.model_server import ModelServer, ModelServerOptions
from batch_platform.sandbox.smtp_sink import SmtpSink, SmtpSinkOptions

_BATCHES = BatchOptions(start_seconds=2, run_seconds=15, error_share=0.01)
"""Long enough to see a job run, and with lines that must be asked again."""
_LOCK_SECONDS = 2.0
_LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SandboxAddresses:
    """Where the services of a home listen, or will when they are started.

    Attributes:
        ports: Service's name in `SERVICES` → its loopback port.
    """

    ports: Mapping[str, int]

    @property
    def model_url(self) -> str:
        """Base address of the model server, for the `openai` package: chat, files and batches."""
        return f"{self._url('model')}/v1"

    @property
    def gemini_url(self) -> str:
        """Base address of the same server's files and batches in Gemini's form."""
        return f"{self._url('model')}/v1beta/openai/"

    @property
    def krx_url(self) -> str:
        """Base address of the exchange."""
        return f"{self._url('krx')}{krx_server.PREFIX}"

    @property
    def public_data_url(self) -> str:
        """Base address of the data portal."""
        return f"{self._url('public_data')}{public_data_server.PREFIX}"

    @property
    def opendart_url(self) -> str:
        """Base address of the disclosure office."""
        return f"{self._url('opendart')}{opendart_server.PREFIX}"

    @property
    def smtp_host(self) -> str:
        """Host of the SMTP sink."""
        return loopback.LOOPBACK

    @property
    def smtp_port(self) -> int:
        """Port of the SMTP sink."""
        return self.ports["smtp"]

    @property
    def mail_page_url(self) -> str:
        """Page that shows the mails."""
        return f"{self._url('mail_page')}/"

    def _url(self, service: str) -> str:
        return f"http://{loopback.LOOPBACK}:{self.ports[service]}"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service may want to know.

    Attributes:
        folder: The sandbox's own folder, `<home>/sandbox`.
        model_delay_seconds: How long the model server takes for an answer.
    """

    folder: Path
    model_delay_seconds: float = 0.0


Service = Callable[[ServiceSettings, socket.socket], AbstractAsyncContextManager[None]]
"""Serves on a bound socket while its block runs."""


@asynccontextmanager
async def _serving(application: web.Application, bound: socket.socket) -> AsyncIterator[None]:
    runner = await loopback.start_application(application, bound)
    try:
        yield
    finally:
        await runner.cleanup()


def _model(settings: ServiceSettings, bound: socket.socket) -> AbstractAsyncContextManager[None]:
    options = ModelServerOptions(delay=settings.model_delay_seconds)
    application = ModelServer(options).application()
    add_batches(application, settings.folder / "batches", _BATCHES)
    return _serving(application, bound)


@asynccontextmanager
async def _smtp(settings: ServiceSettings, bound: socket.socket) -> AsyncIterator[None]:
    sink = SmtpSink(_mails(settings), SmtpSinkOptions())
    server = await sink.start(bound)
    try:
        yield
    finally:
        await sink.stop(server)


def _mail_page(
    settings: ServiceSettings, bound: socket.socket
) -> AbstractAsyncContextManager[None]:
    return _serving(mail_page(_mails(settings)), bound)


def _krx(settings: ServiceSettings, bound: socket.socket) -> AbstractAsyncContextManager[None]:
    del settings
    return _serving(krx_server.KrxServer().application(), bound)


def _public_data(
    settings: ServiceSettings, bound: socket.socket
) -> AbstractAsyncContextManager[None]:
    del settings
    return _serving(public_data_server.PublicDataServer().application(), bound)


def _opendart(settings: ServiceSettings, bound: socket.socket) -> AbstractAsyncContextManager[None]:
    del settings
    return _serving(opendart_server.OpenDartServer().application(), bound)


def _mails(settings: ServiceSettings) -> MailFolder:
    return MailFolder(settings.folder / "mails")


SERVICES: Mapping[str, Service] = {
    "model": _model,
    "smtp": _smtp,
    "mail_page": _mail_page,
    "krx": _krx,
    "public_data": _public_data,
    "opendart": _opendart,
}
"""Every service by name, in the order in which they start."""


def sandbox_addresses(home: Path) -> SandboxAddresses:
    """Tell where the sandbox of a home listens.

    Raises:
        ConfigurationError: It never ran there, or a service was added since.
    """
    ports = _remembered_ports(_folder(home))
    missing = [name for name in SERVICES if name not in ports]
    if missing:
        raise ConfigurationError(
            f"The sandbox of {home} has no port for {', '.join(missing)}",
            f"Start it: python -m batch_platform.sandbox --home {home}",
        )
    return SandboxAddresses(ports)


@asynccontextmanager
async def running_services(
    home: Path, *, model_delay_seconds: float = 0.0
) -> AsyncIterator[SandboxAddresses]:
    """Serve everything while the block runs.

    Raises:
        ConfigurationError: Another process serves this home.
    """
    settings = ServiceSettings(_folder(home), model_delay_seconds)
    settings.folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_only_process(settings.folder))
        sockets = _bound_sockets(settings.folder)
        for bound in sockets.values():
            stack.callback(bound.close)
        for name, service in SERVICES.items():
            await stack.enter_async_context(service(settings, sockets[name]))
        yield SandboxAddresses({name: _port(bound) for name, bound in sockets.items()})


def _folder(home: Path) -> Path:
    return home / "sandbox"


@asynccontextmanager
async def _only_process(folder: Path) -> AsyncIterator[None]:
    """Hold the folder's lock; a predecessor that is just ending gets a moment to do so."""
    with (folder / "lock").open("a") as lock:
        for _ in range(round(_LOCK_SECONDS / _LOCK_POLL_SECONDS)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_POLL_SECONDS)
        else:
            raise ConfigurationError(
                f"A sandbox already runs in {folder}", "Use that one, or end it first"
            )
        yield


def _bound_sockets(folder: Path) -> dict[str, socket.socket]:
    """Bind each service's remembered port, or a free one where that is taken, and remember them."""
    remembered = _remembered_ports(folder)
    sockets = {name: _bound(remembered.get(name, 0)) for name in SERVICES}
    ports = {name: _port(bound) for name, bound in sockets.items()}
    if ports != remembered:
        unfinished = folder / "ports.json.unfinished"
        unfinished.write_text(json.dumps(ports, indent=2) + "\n")
        os.replace(unfinished, folder / "ports.json")
    return sockets


def _bound(port: int) -> socket.socket:
    try:
        return loopback.loopback_socket(port)
    except OSError:
        return loopback.loopback_socket()


def _port(bound: socket.socket) -> int:
    return bound.getsockname()[1]


def _remembered_ports(folder: Path) -> dict[str, int]:
    try:
        return json.loads((folder / "ports.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
