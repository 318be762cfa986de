"""Pieces of files on their way: the one place where something is sent or asked for again.

Only what does no harm twice is repeated: a part of an upload and the rest of a download.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from batch_platform.core.errors import PermanentError, RetryableError
from batch_platform.gateways.files import plain_errors, usable_folder
from batch_platform.gateways.llm.retries import LONGEST_DELAY_SECONDS

T = TypeVar("T")

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.2
_SETTING = "BATCH_PLATFORM_HOME"
_WHOLE = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a piece is tried.

    Attributes:
        attempts: Tries in a row that bring nothing new, before the error is let through.
        sleep: Waits seconds between two tries.
    """

    attempts: int = _ATTEMPTS
    sleep: Callable[[float], None] = time.sleep

    def repeated(self, piece: Callable[[], T]) -> T:
        """Do something that may be done twice until it succeeds.

        Raises:
            RetryableError: It failed every time, or the other side asks for a long delay.
        """
        for failures in range(1, self.attempts):
            try:
                return piece()
            except RetryableError as error:
                self.pause(failures, error)
        return piece()

    def pause(self, failures: int, error: RetryableError) -> None:
        """Wait after a failure.

        Raises:
            RetryableError: The other side asks for so long that waiting here is no use.
        """
        asked = error.retry_after_seconds or 0.0
        if asked > LONGEST_DELAY_SECONDS:
            raise error
        self.sleep(max(asked, _FIRST_PAUSE_SECONDS * 2 ** (failures - 1)))


class Body(Protocol):
    """A response whose body is still to be read."""

    @property
    def status_code(self) -> int:
        """200 for the whole, 206 for the rest, 416 when nothing is left."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """With case-insensitive names."""
        ...

    def iter_bytes(self) -> Iterator[bytes]:
        """The body, in pieces as they arrive."""
        ...


Opener = Callable[[Mapping[str, str]], AbstractContextManager[Body]]
"""Asks for a file with these headers; raises the platform's errors, while it is read as well."""


def fetched(name: str, folder: Path, opened: Opener, patience: Patience) -> Path:
    """Bring a file that never changes into a folder, whole.

    Args:
        name: The provider's name of it, from which the file's own is made.
        folder: What is there of the file already is not fetched again.
        opened: Asks for it.
        patience: How often a connection may break without bringing a byte.

    Raises:
        RetryableError: It breaks again and again, or the disk is full.
        ConfigurationError: The folder cannot be written to.
    """
    usable_folder(folder, setting=_SETTING)
    file = folder / (re.sub(r"[^\w.-]", "_", name) + ".jsonl")
    if file.exists():
        return file
    part = file.with_suffix(".part")
    failures = 0
    with plain_errors(file, _SETTING):
        while True:
            before = _length(part)
            try:
                _fetch_rest(part, opened)
                break
            except RetryableError as error:
                failures = 1 if _length(part) > before else failures + 1
                if failures >= patience.attempts:
                    raise
                patience.pause(failures, error)
        part.replace(file)
    return file


def keep(memory: Path, upload: Mapping[str, object]) -> None:
    """Write down how far an upload is; private to this user, as its address gives rights."""
    with plain_errors(memory, _SETTING):
        memory.touch(mode=0o600)
        memory.write_text(json.dumps(upload))


def remembered(memory: Path) -> dict[str, Any]:
    """What was written down of an upload; empty when nothing was, or when half of it was."""
    try:
        said: Any = json.loads(memory.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return cast(dict[str, Any], said) if isinstance(said, dict) else {}


def _fetch_rest(part: Path, opened: Opener) -> None:
    have = _length(part)
    # A length in bytes means something only when the body is sent as it is.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with opened(headers) as body:
        whole = _whole_length(body)
        if body.status_code == 416:
            if whole == have:
                return
            part.unlink()
            raise RetryableError("What was fetched is longer than the provider's file")
        is_rest = body.status_code == 206
        with part.open("ab" if is_rest else "wb") as output:
            for piece in body.iter_bytes():
                output.write(piece)
            output.flush()
            os.fsync(output.fileno())
    if whole is not None and _length(part) < whole:
        raise RetryableError(f"{_length(part):,} of {whole:,} bytes came of the provider's file")
    if whole is not None and _length(part) > whole:
        part.unlink()
        raise PermanentError("The provider's file is longer than it says")


def _whole_length(body: Body) -> int | None:
    if body.status_code in (206, 416):
        said = _WHOLE.fullmatch(body.headers.get("content-range", ""))
        return int(said[1]) if said else None
    length = body.headers.get("content-length", "")
    return int(length) if length.isdigit() else None


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
