"""What steps, schedules and sensors print, kept beside their runs. Named in `dagster.yaml`.

Dagster's own keeper copies the process' two output streams as they are, by two helper processes
each; this one copies what Python writes, without secrets and personal data. What a library in C
or a child process writes is in the log of the server that the run belongs to.
"""

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO, Any, Self, cast

from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._serdes import ConfigurableClassData

from batch_platform.core.redaction import Redact, redactor
from batch_platform.core.settings import load_settings


class RedactedComputeLogs(LocalComputeLogManager):
    """Dagster's keeper of local files, with what no log may hold taken out of every line."""

    def __init__(
        self, base_dir: str, redact: Redact, inst_data: ConfigurableClassData | None = None
    ) -> None:
        super().__init__(base_dir, inst_data=inst_data)
        self._redact = redact

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No settings here: all come from the platform's."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Build it for Dagster; called when an instance is opened, never at import."""
        settings = load_settings()
        # Where Dagster keeps them by itself.
        base_dir = settings.home / "dagster" / "storage"
        return cls(str(base_dir), redactor(settings), inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext]:
        """Keep what is printed while the block runs."""
        with (
            self._kept(log_key, ComputeIOType.STDOUT) as out,
            self._kept(log_key, ComputeIOType.STDERR) as err,
            redirect_stdout(cast("IO[str]", CopiedStream(sys.stdout, out))),
            redirect_stderr(cast("IO[str]", CopiedStream(sys.stderr, err))),
        ):
            yield CapturedLogContext(log_key)
        # By this Dagster knows that nothing more comes.
        Path(self.complete_artifact_path(log_key)).touch()

    @contextmanager
    def open_log_stream(self, log_key: Sequence[str], io_type: ComputeIOType) -> Iterator[IO[str]]:
        """A file for what a schedule or sensor logs."""
        with self._kept(log_key, io_type) as lines:
            yield cast("IO[str]", lines)

    @contextmanager
    def _kept(self, log_key: Sequence[str], io_type: ComputeIOType) -> Generator["RedactedLines"]:
        path = Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[io_type]))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", buffering=1, encoding="utf-8", errors="replace") as file:
            lines = RedactedLines(file.write, self._redact)
            try:
                yield lines
            finally:
                lines.close()


class RedactedLines:
    """Takes text in pieces, and hands on each whole line once it is redacted."""

    def __init__(self, write: Callable[[str], object], redact: Redact) -> None:
        self._write, self._redact = write, redact
        self._begun = ""
        self._is_closed = False

    def write(self, text: str) -> int:
        """Take a piece. What comes after the end is for nobody."""
        if not self._is_closed:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._write(f"{self._redact(line)}\n")
        return len(text)

    def flush(self) -> None:
        """A line that is only begun waits: half a secret would not be known for one."""

    def close(self) -> None:
        """Hand on the last line, if it has no end."""
        if self._begun:
            self.write("\n")
        self._is_closed = True


class CopiedStream:
    """A stream whose text is copied; in all else the stream itself."""

    def __init__(self, stream: IO[str], copy: RedactedLines) -> None:
        self._stream, self._copy = stream, copy

    def write(self, text: str) -> int:
        """Write, and copy. What moves on a terminal (bars) is seen there, and not kept."""
        if not self._stream.isatty():
            self._copy.write(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
