"""A batch server that is none, for OpenAI's clients and for Gemini's.

For the demo, tests and benchmarks. Answers are made up by rule, in the form that each request asks
for. It listens on the loopback interface only.

As a process of its own: `python -m batch_platform.sandbox.batch_server --folder DIR`; from Python:
`with running_batch_server(folder) as server: server.openai_url`. Options (`BatchOptions`) can be
changed while it runs, at `/sandbox/batches/configure`; what it saw is at `/sandbox/batches/stats`.
"""

import argparse
import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from batch_platform.sandbox import loopback
from batch_platform.sandbox.batch_book import GEMINI, OPENAI, BatchBook
from batch_platform.sandbox.batch_desk import Desk, control_routes, cutting_off
from batch_platform.sandbox.batch_gemini import GeminiBatchRoutes, GeminiForm
from batch_platform.sandbox.batch_openai import OpenAIBatchRoutes, OpenAIForm
from batch_platform.sandbox.batch_options import BatchOptions

CONTROL = "/sandbox/batches"


def add_batches(
    application: web.Application,
    folder: Path,
    options: BatchOptions,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """Let a server speak of files and batches as well.

    Args:
        application: One that is not served yet.
        folder: Where files and jobs are kept; what is there from before is served on.
        options: How it behaves at first.
        clock: Seconds since the epoch.
    """
    book = BatchBook(folder, options, {OPENAI: OpenAIForm(), GEMINI: GeminiForm()}, clock)
    desk = Desk(book)
    application.middlewares.append(cutting_off)
    application.add_routes(OpenAIBatchRoutes(desk).routes())
    application.add_routes(GeminiBatchRoutes(desk).routes())
    application.add_routes(control_routes(desk, CONTROL))
    return application


@dataclass(frozen=True, slots=True)
class RunningBatchServer:
    """A handle on a running server, from the same machine.

    Attributes:
        port: Its port on the loopback interface.
    """

    port: int

    @property
    def openai_url(self) -> str:
        """Base address in OpenAI's form."""
        return f"http://{loopback.LOOPBACK}:{self.port}/v1/"

    @property
    def gemini_url(self) -> str:
        """Gemini's address, as `GEMINI_BASE_URL` has it."""
        return f"http://{loopback.LOOPBACK}:{self.port}/v1beta/openai/"

    def stats(self) -> dict[str, Any]:
        """See `BatchBook.summary`."""
        return self._ask("GET", f"{CONTROL}/stats")

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Change options while the server runs; counted faults start afresh.

        Raises:
            ValueError: A change makes no sense.
        """
        return self._ask("POST", f"{CONTROL}/configure", changes)

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(loopback.LOOPBACK, self.port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= 400:
            raise ValueError(answer["error"]["message"])
        return answer


@contextmanager
def running_batch_server(
    folder: Path,
    *,
    port: int = 0,
    as_process: bool = False,
    clock: Callable[[], float] = time.time,
    **options: Any,
) -> Iterator[RunningBatchServer]:
    """Run a batch server while the block runs.

    Args:
        folder: Where files and jobs are kept.
        port: Port on the loopback interface; 0 takes a free one.
        as_process: Whether in a process of its own.
        clock: Seconds since the epoch; only for a server in a thread.
        options: `BatchOptions`' attributes.
    """
    chosen = BatchOptions(**options)
    if as_process:
        with _server_process(folder, port, chosen) as server:
            yield server
        return
    bound = loopback.loopback_socket(port)
    with loopback.serving_in_a_thread(
        lambda: add_batches(web.Application(), folder, chosen, clock), bound
    ):
        yield RunningBatchServer(bound.getsockname()[1])


@contextmanager
def _server_process(folder: Path, port: int, options: BatchOptions) -> Iterator[RunningBatchServer]:
    command = [sys.executable, "-m", "batch_platform.sandbox.batch_server", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--folder", str(folder), "--options", options.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    with process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError("The sandbox's batch server did not start")
            yield RunningBatchServer(json.loads(line)["port"])
        finally:
            process.terminate()


async def _serve_until_signalled(folder: Path, port: int, options: BatchOptions) -> None:
    bound = loopback.loopback_socket(port)
    runner = await loopback.start_application(
        add_batches(web.Application(), folder, options), bound
    )
    server = RunningBatchServer(bound.getsockname()[1])
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    said = {"openai_url": server.openai_url, "gemini_url": server.gemini_url, "port": server.port}
    sys.stdout.write(json.dumps({"made_up": True, **said}) + "\n")
    sys.stdout.flush()
    await ended.wait()
    await runner.cleanup()


def main(arguments: list[str] | None = None) -> int:
    """Run the server until SIGINT or SIGTERM; says its addresses in a line of JSON when ready."""
    parser = argparse.ArgumentParser(prog="batch_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on the loopback interface")
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--options", default="{}", help="how it behaves, as JSON")
    asked = parser.parse_args(arguments)
    try:
        options = BatchOptions.model_validate_json(asked.options)
        asyncio.run(_serve_until_signalled(asked.folder, asked.port, options))
    except (ValidationError, OSError) as error:
        sys.stderr.write(f"The batch server cannot start: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
