"""That only one `up` serves a home folder, and what the next one must know if it dies unseen.

The claim is a file lock, which the kernel frees however its holder ends: a process id in a file may
be another process's by now. The file's content says whom to stop and what was left behind.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from batch_platform.core.errors import ConfigurationError, RetryableError

FOLDER_PREFIX = "batch-platform-up-"
"""How the name of an `up`'s own folder begins."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class UpRecord:
    """What a running `up` says of itself.

    Attributes:
        process_id: The process that looks after the servers.
        folder: A folder of its own; its path is in every server's command line.
        server_ids: Process (and process group) ids of its servers.
    """

    process_id: int
    folder: str
    server_ids: Sequence[int] = ()

    @property
    def code_server_socket(self) -> str:
        """Where its code server listens; its runs carry this address."""
        return str(Path(self.folder) / "code.sock")


class UpClaim:
    """The right to serve a home folder, held while this process lives."""

    def __init__(self, file: IO[str], predecessor: UpRecord | None) -> None:
        self._file = file
        self.predecessor = predecessor
        """The record of an `up` that died without clearing it."""

    def write(self, record: UpRecord) -> None:
        """Say who serves now."""
        self._replace(json.dumps(asdict(record)))

    def clear(self) -> None:
        """Say that nothing was left behind."""
        self._replace("")

    def _replace(self, content: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(content)
        self._file.flush()


@contextmanager
def claimed(home: Path) -> Iterator[UpClaim]:
    """Hold the claim on a home folder while the block runs.

    Raises:
        ConfigurationError: Another `up` holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _file(home).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"up is running already{_by(_read(file))}", "Stop it with batch-platform down"
            ) from None
        predecessor = _read(file)
        claim = UpClaim(file, predecessor)
        # Who holds the claim is true from now on; what was left behind, until it is cleared up.
        claim.write(replace(predecessor or UpRecord(0, ""), process_id=os.getpid()))
        yield claim


def end_up(home: Path, timeout_seconds: float = 40) -> bool:
    """End the `up` of a home folder, or the servers that a killed one left, and wait for it.

    Returns:
        Whether there was anything to end.

    Raises:
        RetryableError: It did not end.
    """
    running = _holder(home)
    if running is None:
        return _end_abandoned(home)
    deadline = time.monotonic() + timeout_seconds
    with suppress(ProcessLookupError):
        os.kill(running.process_id, signal.SIGTERM)
    while _holder(home) is not None:
        if time.monotonic() > deadline:
            raise RetryableError(
                f"up (process {running.process_id}) did not end", "Kill it, then run down again"
            )
        time.sleep(_POLL_SECONDS)
    return True


def _holder(home: Path) -> UpRecord | None:
    try:
        with _file(home).open() as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    record = _read(file)
                    if record is not None and record.process_id:
                        return record
                else:
                    return None
                # It has the lock and is about to write who it is.
                time.sleep(_POLL_SECONDS)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _end_abandoned(home: Path) -> bool:
    # The record stays: the runs of a killed `up` are marked by the next one.
    record = _read_file(home)
    return record is not None and end_leftovers(record)


def end_leftovers(record: UpRecord) -> bool:
    """Kill the servers of an `up` that was killed itself; tell whether there were any.

    A process id may be another's by now: only a command line that names the folder is ours.
    """
    found = False
    for process_id in record.server_ids:
        if record.folder in _command_of(process_id):
            with suppress(ProcessLookupError):
                os.killpg(process_id, signal.SIGKILL)
                found = True
    if Path(record.folder).name.startswith(FOLDER_PREFIX):
        shutil.rmtree(record.folder, ignore_errors=True)
    return found


def _file(home: Path) -> Path:
    return home / "up.lock"


def _read_file(home: Path) -> UpRecord | None:
    try:
        with _file(home).open() as file:
            return _read(file)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(file: IO[str]) -> UpRecord | None:
    file.seek(0)
    try:
        return UpRecord(**json.load(file))
    except json.JSONDecodeError:
        return None


def _by(record: UpRecord | None) -> str:
    return f" (process {record.process_id})" if record else ""


def _command_of(process_id: int) -> str:
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{process_id}/cmdline").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    command = ["ps", "-ww", "-o", "command=", "-p", str(process_id)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
