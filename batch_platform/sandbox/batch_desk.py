"""What the batch server's two forms share: locks, faults of connections, files in and out."""

import asyncio
import json
import mmap
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from aiohttp import web
from pydantic import ValidationError

from batch_platform.sandbox.batch_book import BatchBook
from batch_platform.sandbox.batch_options import BatchOptions

P = ParamSpec("P")
T = TypeVar("T")

MADE_UP = {"x-sandbox": "made-up"}
_COUNTED = ("lost_creates", "refused_creates", "broken_uploads", "broken_downloads")
_BLOCK = 1 << 16
_NAMES = re.compile(r'\b(name|filename)="([^"]*)"')


class CutOffError(Exception):
    """The connection is to be cut here."""


class Desk:
    """Takes and gives files, plays faults, does the book's work off the event loop.

    Args:
        book: Files and jobs.
    """

    def __init__(self, book: BatchBook) -> None:
        self.book = book
        self._lock = asyncio.Lock()
        self._left = Counter[str]()
        self._count_afresh()

    @property
    def options(self) -> BatchOptions:
        """How the server behaves."""
        return self.book.options

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change options; counted faults start afresh.

        Raises:
            ValidationError: A change makes no sense.
        """
        self.book.options = self.options.changed(changes)
        self._count_afresh()

    def _count_afresh(self) -> None:
        self._left = Counter({name: getattr(self.options, name) for name in _COUNTED})

    def is_hit(self, fault: str) -> bool:
        """Whether a counted fault hits now; one less is left then."""
        if self._left[fault] <= 0:
            return False
        self._left[fault] -= 1
        return True

    async def working(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something with the book, one at a time."""
        async with self._lock:
            return await asyncio.to_thread(work, *args, **kwargs)

    def counted(self, operation: str) -> None:
        """Note that an operation was asked for."""
        self.book.calls[operation] += 1

    async def take(self, request: web.Request, target: Path, *, is_appended: bool) -> None:
        """Write a request's plain body to a file.

        Raises:
            CutOffError: The fault of a broken upload hit; half of it is there.
        """
        whole = request.content_length or 0
        limit = whole // 2 if self.is_hit("broken_uploads") else None
        taken = 0
        with target.open("ab" if is_appended else "wb") as output:
            async for block in request.content.iter_chunked(_BLOCK):
                if limit is not None and taken + len(block) > limit:
                    output.write(block[: limit - taken])
                    raise CutOffError
                output.write(block)
                taken += len(block)

    async def take_part(self, request: web.Request, target: Path, name: str) -> dict[str, str]:
        """Write the file of a form to a file; gives the form's other fields.

        Raises:
            CutOffError: The fault of a broken upload hit.
        """
        # aiohttp's own reader of forms warns of itself when a boundary falls between two packets.
        whole = target.with_suffix(".form")
        try:
            await self.take(request, whole, is_appended=False)
            return await asyncio.to_thread(_unpacked, whole, _boundary(request), target, name)
        finally:
            whole.unlink()

    async def give(self, request: web.Request, file: Path) -> web.StreamResponse:
        """Send a file, or the rest of it that is asked for."""
        length, start = file.stat().st_size, 0
        asked = request.headers.get("Range", "")
        headers = {**MADE_UP, "Content-Type": "application/octet-stream"}
        if asked and self.options.has_ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= length:
                headers["Content-Range"] = f"bytes */{length}"
                return web.Response(status=416, headers=headers)
            headers["Content-Range"] = f"bytes {start}-{length - 1}/{length}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = length - start
        is_broken = self.is_hit("broken_downloads")
        left = (length - start) // 2 if is_broken else length - start
        await response.prepare(request)
        with file.open("rb") as content:
            content.seek(start)
            while left > 0:
                block = content.read(min(_BLOCK, left))
                await response.write(block)
                left -= len(block)
        if is_broken:
            raise CutOffError
        await response.write_eof()
        return response


def _boundary(request: web.Request) -> bytes:
    return b"--" + request.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()


def _unpacked(form: Path, boundary: bytes, target: Path, file_field: str) -> dict[str, str]:
    """Take a form in a file apart (RFC 7578): its file goes to another file."""
    fields: dict[str, str] = {}
    with form.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as said:
        start = said.find(boundary)
        while (end := said.find(boundary, start + len(boundary))) > 0:
            head_end = said.find(b"\r\n\r\n", start)
            names = dict(_NAMES.findall(said[start:head_end].decode()))
            content_end = end - len(b"\r\n")
            if names["name"] == file_field:
                fields["filename"] = names.get("filename", "")
                with target.open("wb") as output:
                    output.write(memoryview(said[head_end + 4 : content_end]))
            else:
                fields[names["name"]] = said[head_end + 4 : content_end].decode()
            start = end
    return fields


def cut(request: web.Request) -> web.Response:
    """Close the connection without an answer; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def as_json(value: object, status: int = 200, headers: Mapping[str, str] = MADE_UP) -> web.Response:
    """A response in JSON, marked as made up."""
    return web.Response(
        body=json.dumps(value, ensure_ascii=False).encode(),
        status=status,
        content_type="application/json",
        headers=headers,
    )


@web.middleware
async def cutting_off(
    request: web.Request, handler: Callable[[web.Request], Any]
) -> web.StreamResponse:
    """Cut connections where a handler says so."""
    try:
        return await handler(request)
    except CutOffError:
        return cut(request)


def control_routes(desk: Desk, prefix: str) -> list[web.RouteDef]:
    """`stats` and `configure`, for whoever tries something out."""

    async def stats(_request: web.Request) -> web.Response:
        return as_json(await desk.working(desk.book.summary))

    async def configure(request: web.Request) -> web.Response:
        try:
            desk.configure(await request.json())
        except (ValidationError, ValueError) as error:
            return as_json({"error": {"message": str(error)}}, 400)
        return as_json(desk.options.model_dump(mode="json", exclude={"api_key"}))

    return [web.get(f"{prefix}/stats", stats), web.post(f"{prefix}/configure", configure)]
