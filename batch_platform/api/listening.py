"""Where the API may listen, and the socket on which it does; without the web framework."""

import os
import socket

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import ApiSettings
from batch_platform.gateways.tokens import TokenBook

BACKLOG = 2048
"""Connections that wait to be taken; the kernel may allow fewer."""


def require_tokens_or_loopback(settings: ApiSettings, tokens: TokenBook) -> None:
    """Refuse to serve other machines before anybody was given a token.

    Raises:
        ConfigurationError: The address is another than loopback's, and no token is in force.
    """
    if not settings.is_loopback and not tokens.has_any():
        raise ConfigurationError(
            f"The API would listen on {settings.host}, where other machines reach it, and there is"
            " no token",
            "Run batch-platform tokens create --name NAME first, or unset BATCH_PLATFORM_API_HOST",
        )


def listener(settings: ApiSettings) -> socket.socket:
    """Listen.

    Raises:
        ConfigurationError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigurationError(
            f"The API cannot listen on {settings.host} port {settings.port}: {reason}",
            "Stop what uses it, or set BATCH_PLATFORM_API_HOST and BATCH_PLATFORM_API_PORT",
        ) from None
