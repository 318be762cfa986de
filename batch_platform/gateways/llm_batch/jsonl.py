"""Files of lines: written within the limits, read one by one. A line's form is its client's."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from batch_platform.core.errors import PermanentError
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.models import BatchLine, BatchRequest, Chunk

# JSON may hold them bare, but some readers of lines take them for the end of one.
_ODD_LINE_BREAKS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_ODD = re.compile("[\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_bytes(value: object) -> bytes:
    """A value as JSON on one line, UTF-8; a lone surrogate becomes U+FFFD."""
    text = _encoded(value)
    if not text.isascii():
        if _ODD.search(text):
            text = text.translate(_ODD_LINE_BREAKS)
        try:
            return text.encode()
        except UnicodeEncodeError:
            text = _SURROGATE.sub("\ufffd", text)
    return text.encode()


def lines_of(files: Iterable[Path], read: Callable[[bytes], BatchLine]) -> Iterator[BatchLine]:
    """Read the lines of files, holding one at a time."""
    for file in files:
        with file.open("rb", buffering=1 << 20) as lines:
            for line in lines:
                if not line.isspace():
                    yield read(line.rstrip(b"\r\n"))


def write_chunks(
    requests: Iterable[BatchRequest],
    client: BatchClient,
    folder: Path,
    max_requests: int,
    max_bytes: int,
) -> list[Chunk]:
    """Write requests as JSONL files `chunk-0001.jsonl`, … of a folder.

    The same requests give the same bytes. A file appears under its name only when it is whole.

    Args:
        requests: Read once, a request at a time.
        client: Who will send them: knows the form of a line and the provider's limits.
        folder: Made when it is not there.
        max_requests: Our own limit of a file's lines; the provider's counts when it is narrower.
        max_bytes: Our own limit of a file's bytes; likewise.

    Raises:
        PermanentError: Two requests have one custom id, or one is longer than a file may be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limits = client.limits.within(max_requests, max_bytes)
    seen: set[str] = set()
    chunks: list[Chunk] = []
    writing: _Writing | None = None
    try:
        for request in requests:
            line, custom_id = client.line(request), request.custom_id
            if custom_id in seen:
                raise PermanentError(f"Two requests of the batch are named {custom_id}")
            seen.add(custom_id)
            if len(line) > limits.max_file_bytes:
                raise PermanentError(
                    f"The request {custom_id} has {len(line):,} bytes: more than a file may have",
                    "Raise max_file_size_mb or shorten the text",
                )
            if writing is not None and not writing.has_room(line, limits.max_requests):
                chunks.append(writing.finished())
                writing = None
            if writing is None:
                writing = _Writing(folder, len(chunks) + 1, limits.max_file_bytes)
            writing.add(custom_id, line)
        if writing is not None:
            chunks.append(writing.finished())
            writing = None
    finally:
        if writing is not None:
            writing.given_up()
    return chunks


class _Writing:
    """A file in the making."""

    def __init__(self, folder: Path, number: int, max_bytes: int) -> None:
        self._number, self._max_bytes = number, max_bytes
        self._file = folder / f"chunk-{number:04d}.jsonl"
        self._unfinished = self._file.with_suffix(".unfinished")
        # Closed by `finished` or `given_up`.
        self._output: BinaryIO = self._unfinished.open("wb", buffering=1 << 20)
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._custom_ids: list[str] = []

    def has_room(self, line: bytes, max_requests: int) -> bool:
        return len(self._custom_ids) < max_requests and self._bytes + len(line) <= self._max_bytes

    def add(self, custom_id: str, line: bytes) -> None:
        self._output.write(line)
        self._digest.update(line)
        self._bytes += len(line)
        self._custom_ids.append(custom_id)

    def finished(self) -> Chunk:
        self._output.flush()
        os.fsync(self._output.fileno())
        self._output.close()
        self._unfinished.replace(self._file)
        return Chunk(
            self._number,
            self._file,
            len(self._custom_ids),
            self._bytes,
            self._digest.hexdigest(),
            tuple(self._custom_ids),
        )

    def given_up(self) -> None:
        self._output.close()
        self._unfinished.unlink(missing_ok=True)
