"""Background processes that several processes share and that end when nobody needs them.

The embedded PostgreSQL and the sandbox run this way: whoever needs one takes a lease (a shared file
lock, which the kernel frees however its holder dies) and starts the process if it is not there. The
process itself is a `serve` loop that ends once no lease was seen for a while. What runs inside is
not this file's business.
"""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Protocol

from batch_platform.core.errors import ConfigurationError, RetryableError

IDLE_SECONDS = 5.0
"""How long a process waits for a new lease before it ends: commands in a row find it warm."""

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class ServiceFolder:
    """The files through which leases and one background process find one another."""

    path: Path

    @property
    def leases(self) -> Path:
        """Locked in shared mode by users, tried in exclusive mode by the process."""
        return self.path / "leases.lock"

    @property
    def process_lock(self) -> Path:
        """Locked by the one process that serves."""
        return self.path / "process.lock"

    @property
    def ready(self) -> Path:
        """JSON that the process writes once it can be used."""
        return self.path / "ready.json"

    @property
    def log(self) -> Path:
        """What the process printed since its last start."""
        return self.path / "process.log"


class Service(Protocol):
    """What runs inside a leased process."""

    def start(self) -> Mapping[str, object]:
        """Start, wait until usable, and return what users need to know (ports, pids)."""
        ...

    def keep_alive(self) -> Mapping[str, object] | None:
        """Look after it, twice a second; return a new description after a restart."""
        ...

    def stop(self) -> None:
        """Stop in an orderly way."""
        ...


class Lease:
    """Holds a background process alive until `release` or the end of this process."""

    def __init__(self, folder: ServiceFolder, command: Sequence[str]) -> None:
        """Take a lease and start the process if it does not run.

        Args:
            folder: Where the process's files are; made if missing.
            command: Arguments after `python` that run `serve` for this folder.

        Raises:
            ConfigurationError: The process says it cannot start; its last line is in the message.
            RetryableError: It did not become ready within a minute.
        """
        folder.path.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._file = folder.leases.open("a")
        fcntl.flock(self._file, fcntl.LOCK_SH)
        try:
            self.description = self._await_ready(command)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the lease back; the process ends some seconds after the last one."""
        self._file.close()

    def _await_ready(self, command: Sequence[str]) -> Mapping[str, object]:
        deadline = time.monotonic() + 60
        starter: subprocess.Popen[bytes] | None = None
        while time.monotonic() < deadline:
            if is_running(self._folder):
                description = _read_ready(self._folder)
                if description is not None:
                    if starter is not None:
                        _detach(starter)
                    return description
            elif starter is None or starter.poll() is not None:
                # What a signal ended (somebody's kill, a lack of memory) may well start now.
                if starter is not None and starter.returncode > 0:
                    raise ConfigurationError(
                        f"{self._folder.path.name} did not start: {_last_line(self._folder.log)}",
                        f"See {self._folder.log}",
                    )
                starter = _spawn(self._folder, command)
            time.sleep(0.05)
        raise RetryableError(
            f"{self._folder.path.name} was not ready within a minute", f"See {self._folder.log}"
        )


def is_running(folder: ServiceFolder) -> bool:
    """Tell whether the process of this folder holds its lock."""
    try:
        with folder.process_lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        raise
    return False


def stop(folder: ServiceFolder, timeout_seconds: float = 40) -> bool:
    """End the process of this folder whoever uses it; tell whether one was running."""
    description = _read_ready(folder)
    if not is_running(folder) or description is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(int(str(description["process_id"])), signal.SIGTERM)
    deadline = time.monotonic() + timeout_seconds
    while is_running(folder):
        if time.monotonic() > deadline:
            raise RetryableError(f"{folder.path.name} did not stop", f"See {folder.log}")
        time.sleep(0.05)
    return True


def serve(folder: ServiceFolder, service: Service, idle_seconds: float = IDLE_SECONDS) -> None:
    """Run `service` until it is told to stop or has had no lease for `idle_seconds`.

    Returns at once when another process serves the folder already.
    """
    lock = folder.process_lock.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    folder.ready.unlink(missing_ok=True)
    ended = _on_signals()
    leases = folder.leases.open("a")
    try:
        _write_ready(folder, service.start())
        idle_polls = 0
        while not ended() and idle_polls < idle_seconds / _POLL_SECONDS:
            time.sleep(_POLL_SECONDS)
            changed = service.keep_alive()
            if changed is not None:
                _write_ready(folder, changed)
            idle_polls = idle_polls + 1 if _is_free(leases, idle_polls, idle_seconds) else 0
    finally:
        folder.ready.unlink(missing_ok=True)
        service.stop()
        leases.close()
        lock.close()


def _is_free(leases: IO[str], idle_polls: int, idle_seconds: float) -> bool:
    """Tell whether nobody holds a lease; at the last poll the lock is kept.

    New users then wait for the end of this process instead of finding one that is about to go.
    """
    file = leases.fileno()
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    if idle_polls + 1 < idle_seconds / _POLL_SECONDS:
        fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _on_signals() -> Callable[[], bool]:
    state = {"ended": False}

    def end(_number: int, _frame: FrameType | None) -> None:
        state["ended"] = True

    signal.signal(signal.SIGTERM, end)
    # Ctrl-C in the terminal that started us is for the user's command, not for what others share.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return lambda: state["ended"]


def _spawn(folder: ServiceFolder, command: Sequence[str]) -> subprocess.Popen[bytes]:
    with folder.log.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _detach(process: subprocess.Popen[bytes]) -> None:
    """Tell `subprocess` that nobody here waits for this child: it outlives us on purpose."""
    process.returncode = 0


def _write_ready(folder: ServiceFolder, description: Mapping[str, object]) -> None:
    content = json.dumps({**description, "process_id": os.getpid()})
    temporary = folder.ready.with_suffix(".new")
    temporary.write_text(content)
    temporary.replace(folder.ready)


def _read_ready(folder: ServiceFolder) -> Mapping[str, object] | None:
    try:
        return json.loads(folder.ready.read_text())
    except FileNotFoundError:
        return None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it printed nothing"
