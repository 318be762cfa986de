"""What every request passes first and every answer last, whatever it asks for.

One ASGI middleware, not several of Starlette's: `/fortune/today` must answer many at once.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_platform.api.problems import ProblemError, ProblemResponse, answer

SECURITY_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer that does not say otherwise."""

MOST_BODY_BYTES = 65_536
_TOO_LARGE = f"A body has at most {MOST_BODY_BYTES:,} bytes"
_WITH_SLASH = "/api/"
"""Addresses below end in a slash, as the old service's did; others do not. Both are understood."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d{1,5})?")


class Edge:
    """Refuses foreign names and large bodies, evens out last slashes, adds security headers.

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

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        scope["path"] = _evened(scope["path"])
        if scope["method"] == "HEAD":
            # Answered as a GET is; the server, whose own scope stays, leaves the body out.
            scope = {**scope, "method": "GET"}
        if _header(scope, b"transfer-encoding"):
            receive = _counted(receive)
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ProblemResponse | None:
        if not self._is_accepted(_header(scope, b"host")):
            return answer(
                421,
                "This host name is not known here. Use the address, or add the name to"
                " BATCH_PLATFORM_API_NAMES",
            )
        announced = _header(scope, b"content-length")
        if announced.isdigit() and int(announced) > MOST_BODY_BYTES:
            return answer(413, _TOO_LARGE)
        return None

    def _is_accepted(self, host: bytes) -> bool:
        if host in self._accepted:
            return True
        match = _HOST.fullmatch(host.decode("latin-1"))
        name = match[1].strip("[]").lower() if match else ""
        if name not in self._names and not _is_address(name):
            return False
        if len(self._accepted) < 64:
            self._accepted.add(host)
        return True


def _counted(receive: Receive) -> Receive:
    """Read a body of unknown size, up to the most that is taken."""
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MOST_BODY_BYTES:
            raise ProblemError(413, _TOO_LARGE)
        return message

    return receive_counted


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


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
