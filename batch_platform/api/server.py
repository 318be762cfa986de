"""Serving the application with uvicorn: what it logs, how it ends."""

import gc
import logging

import uvicorn
from fastapi import FastAPI

from batch_platform.api.application import create_app
from batch_platform.api.listening import BACKLOG, listener, require_tokens_or_loopback
from batch_platform.core.log_lines import set_up_log
from batch_platform.core.redaction import redactor
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.gateways.tokens import TokenBook

_STOP_SECONDS = 10


def serve_api(settings: Settings) -> None:
    """Serve until a signal ends it.

    Raises:
        ConfigurationError: The port is taken, the address is not this machine's, or others would
            reach it while there is no token.
        RetryableError: It would serve others, and the database does not answer.
    """
    _log_of(settings)
    if not settings.api.is_loopback:
        require_tokens_or_loopback(settings.api, TokenBook(open_platform_db(settings)))
    with listener(settings.api) as socket:
        server_of(create_app(settings)).run(sockets=[socket])


def server_of(app: FastAPI) -> uvicorn.Server:
    """The server of an application; `run` it with the sockets that it shall listen on."""
    # Half a million objects of imported modules are there for good. Looking through them all for
    # garbage stops the server for a tenth of a second, twice a second under load.
    gc.collect()
    gc.freeze()
    # A line a request would tell who asked for whom.
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            backlog=BACKLOG,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )


def _log_of(settings: Settings) -> None:
    level = settings.platform.log_level
    set_up_log(level, redactor(settings))
    ours = logging.getLogger("batch_platform")
    # A command's lines for a person would tell everything a second time.
    ours.handlers.clear()
    ours.setLevel(level)
