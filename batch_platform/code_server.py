"""The code server of a platform that stands: serves the definitions, and starts runs in no time.

    python -m batch_platform.code_server --socket /run/batch/code.sock
    python -m batch_platform.code_server --host 0.0.0.0 --port 4000

Dagster's own (`dagster code-server start`) starts every run in a new interpreter, which imports
everything again: two and a half seconds of a core for each run of a night. Here runs are forked
from a process that has imported it once. All else is Dagster's. New code needs a new start of this
server; for trying things out `dagster dev` loads code again at a click.
"""

# A run's process imports this module again: nothing belongs here that `run_template` does not load.

import argparse
import logging
import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from threading import Event, Thread
from typing import Any

from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import FuturesAwareThreadPoolExecutor
from dagster._grpc.server import DagsterApiServer, DagsterGrpcServer
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers

_CODE_MODULE = "batch_platform.definitions"
_RUN_TEMPLATE = "batch_platform.run_template"
_LOCATION = "batch_platform"


class ForkingCodeServer(DagsterApiServer):
    """Dagster's code server, whose runs begin with everything imported."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([_RUN_TEMPLATE])
        self._mp_ctx = context


def serve(*, host: str, port: int | None, socket: str | None, level: str, log_format: str) -> None:
    """Serve the definitions until a signal ends it.

    Args:
        host: Address of the port.
        port: Where to listen; None with a socket.
        socket: File of a socket where to listen instead.
        level: Least level of what is logged.
        log_format: As Dagster names it: colored, json or rich.
    """
    setup_interrupt_handlers()
    configure_loggers(formatter=log_format, log_level=level.upper())
    logger = logging.getLogger("dagster.code_server")
    ending, executor = Event(), FuturesAwareThreadPoolExecutor()
    code = LoadableTargetOrigin(
        executable_path=sys.executable, module_name=_CODE_MODULE, working_directory=os.getcwd()
    )
    servicer = ForkingCodeServer(
        server_termination_event=ending,
        logger=logger,
        server_threadpool_executor=executor,
        loadable_target_origin=code,
        # What keeps the code from loading is then shown by the webserver.
        lazy_load_user_code=True,
        location_name=_LOCATION,
    )
    server = DagsterGrpcServer(ending, servicer, logger, executor, host, port, socket)
    # The first run need not wait for it, and serving does not.
    Thread(target=forkserver.ensure_running, name="run-template", daemon=True).start()
    logger.info("Serving %s in process %d", _CODE_MODULE, os.getpid())
    try:
        server.serve()
    except KeyboardInterrupt:
        logger.info("The code server was told to end")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m batch_platform.code_server", description="Serve the platform's definitions."
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="listen on this port")
    where.add_argument("--socket", help="listen on a socket in this file")
    parser.add_argument("--host", default="127.0.0.1", help="of the port (default: %(default)s)")
    parser.add_argument(
        "--log-level",
        default="info",
        choices=["debug", "info", "warning", "error", "critical"],
        help="least level that is logged (default: %(default)s)",
    )
    parser.add_argument(
        "--log-format",
        default="colored",
        choices=["colored", "json", "rich"],
        help="of the log (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    serve(
        host=given.host,
        port=given.port,
        socket=given.socket,
        level=given.log_level,
        log_format=given.log_format,
    )


if __name__ == "__main__":
    main()
