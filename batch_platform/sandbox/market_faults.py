"""How the made-up exchange and data portal go wrong on purpose.

What an error looks like is each service's own business; this is the list they share and the
rule by which it hits a call.
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web


class MarketFault(StrEnum):
    """What can go wrong with a call."""

    BAD_KEY = "bad-key"
    NOT_APPROVED = "not-approved"
    QUOTA = "quota"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    SHORT_BODY = "short-body"
    HTML = "html"
    SERVER_ERROR = "500"
    RESET = "reset"
    FEWER_ROWS = "fewer-rows"


@dataclass
class FaultSwitches:
    """Which calls go wrong; may be changed while the server runs.

    Attributes:
        by_path: Part of a path → what goes wrong with every call to it.
        delay_seconds: How long every answer takes.
        calls: Paths that were asked, in order, with the day.
    """

    by_path: dict[str, MarketFault] = field(default_factory=dict[str, MarketFault])
    delay_seconds: float = 0.0
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def of(self, path: str) -> MarketFault | None:
        """What goes wrong with a call to a path."""
        return next((fault for part, fault in self.by_path.items() if part in path), None)

    async def play(
        self, request: web.Request, fault: MarketFault | None, body: bytes, content_type: str
    ) -> web.StreamResponse:
        """Send an answer, or what a fault of the connection leaves of it."""
        await asyncio.sleep(self.delay_seconds)
        match fault:
            case MarketFault.TRUNCATED:
                return web.Response(body=body[: len(body) * 2 // 3], content_type=content_type)
            case MarketFault.HTML:
                page = "<html><body><h1>점검 중입니다</h1></body></html>"
                return web.Response(text=page, content_type="text/html")
            case MarketFault.SERVER_ERROR:
                return web.Response(status=500, text="Internal Server Error")
            case MarketFault.SHORT_BODY:
                response = web.StreamResponse(headers={"Content-Length": str(len(body))})
                await response.prepare(request)
                await response.write(body[: len(body) // 2])
                _drop(request)
                return response
            case MarketFault.RESET:
                _drop(request)
                return web.Response()
            case _:
                return web.Response(body=body, content_type=content_type)


def _drop(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
