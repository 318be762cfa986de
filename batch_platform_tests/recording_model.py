"""The sandbox's model server for tests that must see what it was sent, or have it pass for real."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from batch_platform.sandbox import loopback
from batch_platform.sandbox.chat_calls import FINGERPRINT
from batch_platform.sandbox.model_server import ModelServer, ModelServerOptions, RunningModelServer


@dataclass
class RecordingModel:
    """A running model server.

    Attributes:
        server: Its handle.
        received: Every request's body and headers, in order of arrival.
    """

    server: RunningModelServer
    received: list[str] = field(default_factory=list)


@contextmanager
def recording_model(*, passes_for_real: bool = False, **options: Any) -> Iterator[RecordingModel]:
    """Run a model server in a thread while the block runs.

    Args:
        passes_for_real: Leave out of the answers that they are made up: a live platform refuses
            those, and a command in a test runs as a live one.
        options: `ModelServerOptions`' attributes.
    """
    received: list[str] = []

    @web.middleware
    async def record(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        if request.path.startswith("/sandbox"):
            return await handler(request)
        received.append((await request.read()).decode() + str(dict(request.headers)))
        response = await handler(request)
        if passes_for_real and isinstance(response, web.Response):
            response.headers.popall("x-sandbox", None)
            response.body = bytes(response.body or b"").replace(FINGERPRINT.encode(), b"fp_test")
        return response

    def application() -> web.Application:
        application = ModelServer(ModelServerOptions(**options)).application()
        application.middlewares.append(record)
        return application

    bound = loopback.loopback_socket()
    with loopback.serving_in_a_thread(application, bound):
        yield RecordingModel(RunningModelServer(bound.getsockname()[1]), received)
