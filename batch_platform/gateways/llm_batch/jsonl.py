"""Files of lines: written within the limits, read one by one. A line's form is its client's."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from batch_platform.core.errors import PermanentError
from batch_platform.gateways.files import atomic_file
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.models import BatchLimits, BatchLine, BatchRequest, Chunk

# JSON may hold them bare, but some readers of lines take them for the end of one.
_ODD_LINE_BREAKS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_ODD = re.compile("[\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BUFFER_BYTES = 1 << 20
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
        with file.open("rb", buffering=_BUFFER_BYTES) as lines:
            for line in lines:
                if not line.isspace():
                    yield read(line.rstrip(b"\r\n"))


def write_chunks(
    requests: Iterable[BatchRequest],
    client: BatchClient,
    folder: Path,
    max_requests: int,
    max_bytes: int,
    *,
    setting: str = "BATCH_PLATFORM_HOME",
) -> list[Chunk]:
    """Write requests as JSONL files `chunk-0001.jsonl`, … of a folder.

    The same requests give the same bytes. A file appears under its name only when it is whole.

    Args:
        requests: Read once, a request at a time.
        client: Who will send them: knows the form of a line and the provider's limits.
        folder: Made when it is not there.
        max_requests: Our own limit of a file's lines; the provider's counts when it is narrower.
        max_bytes: Our own limit of a file's bytes; likewise.
        setting: The variable that chose the folder, for an error's remedy.

    Raises:
        PermanentError: Two requests have one custom id, or one is longer than a file may be.
        ConfigurationError: The folder cannot be written to.
        RetryableError: The disk is full.
    """
    limits = client.limits.within(max_requests, max_bytes)
    numbered = _numbered(_lines(requests, client, limits), limits)
    chunks: list[Chunk] = []
    for number, lines in groupby(numbered, key=itemgetter(0)):
        file = folder / f"chunk-{number:04d}.jsonl"
        with atomic_file(file, setting=setting) as unfinished:
            chunks.append(_written(number, file, unfinished, lines))
    return chunks


def _lines(
    requests: Iterable[BatchRequest], client: BatchClient, limits: BatchLimits
) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for request in requests:
        line, custom_id = client.line(request), request.custom_id
        if custom_id in seen:
            raise PermanentError(f"Two requests of the batch are named {custom_id}")
        seen.add(custom_id)
        if len(line) > limits.max_file_bytes:
            raise PermanentError(
                f"The request {custom_id} has {len(line):,} bytes: more than a file may have",
                "Raise the limit of a file's size or shorten the text",
            )
        yield custom_id, line


def _numbered(
    lines: Iterable[tuple[str, bytes]], limits: BatchLimits
) -> Iterator[tuple[int, str, bytes]]:
    """Give each line the number of its file."""
    number, count, length = 1, 0, 0
    for custom_id, line in lines:
        if count == limits.max_requests or length + len(line) > limits.max_file_bytes:
            number, count, length = number + 1, 0, 0
        count, length = count + 1, length + len(line)
        yield number, custom_id, line


def _written(
    number: int, file: Path, unfinished: Path, lines: Iterable[tuple[int, str, bytes]]
) -> Chunk:
    digest, length, custom_ids = hashlib.sha256(), 0, list[str]()
    with unfinished.open("wb", buffering=_BUFFER_BYTES) as output:
        for _, custom_id, line in lines:
            output.write(line)
            digest.update(line)
            length += len(line)
            custom_ids.append(custom_id)
    return Chunk(number, file, len(custom_ids), length, digest.hexdigest(), tuple(custom_ids))
