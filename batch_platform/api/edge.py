"""What every request passes first and every answer last, whatever it asks for.

One ASGI middleware, not several of Starlette's: `/fortune/today` must answer many at once.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_platform.api.problems import answer

SECURITY_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer that does not say otherwise."""

_WITH_SLASH = "/api/"
"""Addresses below end in a slash, as the old service's did; others do not. Both are understood."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d{1,5})?")


class Edge:
    """Refuses foreign host names, evens out trailing slashes, adds security headers.

    A page of somebody else's can make a browser call this machine under its own name (DNS
    rebinding); an address or `localhost` cannot be taken over like that, any other name must be
    known.

    Args:
        app: What is inside.
        names: Host names by which clients may call.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str] = ()) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names) | {"localhost"}
        self._accepted: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if not self._is_accepted(scope):
            refusal = answer(
                421,
                "This host name is not known here. Use the address, or add the name to"
                " BATCH_PLATFORM_API_NAMES",
            )
            await refusal(scope, receive, send_with_headers)
            return
        scope["path"] = _evened(scope["path"])
        await self._app(scope, receive, send_with_headers)

    def _is_accepted(self, scope: Scope) -> bool:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if host in self._accepted:
            return True
        match = _HOST.fullmatch(host.decode("latin-1"))
        name = match[1].strip("[]").lower() if match else ""
        if name not in self._names and not _is_address(name):
            return False
        if len(self._accepted) < 64:
            self._accepted.add(host)
        return True


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _evened(path: str) -> str:
    if path.startswith(_WITH_SLASH):
        return path if path.endswith("/") else f"{path}/"
    return path.rstrip("/") or "/"
