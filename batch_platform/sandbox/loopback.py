"""Serving on the loopback interface alone: ports, and a server in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

LOOPBACK = "127.0.0.1"
_SHUTDOWN_SECONDS = 0.2
_START_SECONDS = 20


def loopback_socket(port: int = 0) -> socket.socket:
    """Bind a port of the loopback interface; 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, port))
    except OSError:
        bound.close()
        raise
    return bound


async def start_application(application: web.Application, bound: socket.socket) -> web.AppRunner:
    """Serve an application on a bound socket until the runner's `cleanup`.

    A handler whose client has gone is cancelled, and nobody waits for a handler that hangs.
    """
    runner = web.AppRunner(
        application,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    await web.SockSite(runner, bound, backlog=1024).start()
    return runner


@contextmanager
def serving_in_a_thread(
    application: Callable[[], web.Application], bound: socket.socket
) -> Iterator[None]:
    """Serve an application in a thread with an event loop of its own while the block runs."""

    async def serve(ready: Callable[[], None], ended: asyncio.Event) -> None:
        runner = await start_application(application(), bound)
        ready()
        try:
            await ended.wait()
        finally:
            await runner.cleanup()

    with running_in_a_thread(serve):
        yield


@contextmanager
def running_in_a_thread(
    serve: Callable[[Callable[[], None], asyncio.Event], Awaitable[None]],
) -> Iterator[None]:
    """Run a coroutine in a thread of its own while the block runs.

    Args:
        serve: Gets a function to call when it is ready and an event that tells it to end.

    Raises:
        RuntimeError: It ended or failed before it was ready.
    """
    is_ready = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    failures: list[Exception] = []

    async def whole() -> None:
        try:
            await serve(is_ready.set, ended)
        except OSError as error:
            failures.append(error)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                runner.run(whole())
            finally:
                is_ready.set()

    thread = threading.Thread(target=run, name="sandbox", daemon=True)
    thread.start()
    is_ready.wait(_START_SECONDS)
    if failures or not thread.is_alive():
        thread.join()
        raise RuntimeError(f"A sandbox server did not start: {failures}")
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(_START_SECONDS)
