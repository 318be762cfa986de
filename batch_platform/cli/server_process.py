"""One server of `up`: a child in a process group of its own whose output goes to a bounded log.

Whatever the child and its own children write, the log holds JSON lines (`core.log_lines`).

Which servers there are, and when they start and end, is decided in `servers`.
"""

import logging
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from threading import Thread
from typing import IO

from batch_platform.core.days import Clock, utc_now
from batch_platform.core.log_lines import as_json_line
from batch_platform.core.redaction import Redact

LOG_BYTES = 10_000_000
LOG_FILES = 3


class ServerProcess:
    """A command that is started, watched, started again and ended with everything it started."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        redact: Redact = str,
        clock: Clock = utc_now,
    ) -> None:
        """Prepare it; nothing starts yet.

        Args:
            name: What people call it.
            command: Program and arguments.
            environment: Its whole environment.
            folder: Its working folder.
            log: File of its output; kept to three of 10 MB, its folder for the owner alone.
            redact: Takes out of a line what no log may hold.
            clock: Of lines that do not say when they were written.
        """
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._folder = folder
        self._redact = redact
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        log.parent.chmod(0o700)
        self._log_handler = RotatingFileHandler(
            log,
            maxBytes=LOG_BYTES,
            backupCount=LOG_FILES - 1,
            encoding="utf-8",
            errors="replace",
            delay=True,
        )

    @property
    def process_id(self) -> int:
        """Its id, which is its process group's too; 0 before the first start."""
        return self._child.pid if self._child else 0

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        """Start it, for the first time or again."""
        self._child = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Its own group: a Ctrl-C is for `up`, which then ends everybody in order.
            start_new_session=True,
        )
        assert self._child.stdout is not None  # noqa: S101 - a pipe was asked for above
        # Not a file of its own: a server that runs for months would fill the disk.
        Thread(target=self._keep_log, args=[self._child.stdout], daemon=True).start()

    def ask_to_end(self) -> None:
        """Ask it and all that it started to end in an orderly way."""
        self._signal_group(signal.SIGTERM)

    def kill_rest(self) -> None:
        """Kill what is left of its group after it died."""
        self._signal_group(signal.SIGKILL)

    def end(self, timeout_seconds: float) -> None:
        """Wait for it, then kill whatever of its group is left.

        The group, not the leader alone: runs and code servers must not outlive `up`.
        """
        if self._child is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_seconds)
        self.kill_rest()
        self._child.wait()
        self._log_handler.close()

    def _signal_group(self, number: int) -> None:
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def _keep_log(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                text = as_json_line(
                    line.decode(errors="replace").rstrip("\n"),
                    logger=self.name,
                    redact=self._redact,
                    now=self._clock(),
                )
                self._log_handler.handle(logging.makeLogRecord({"msg": text}))
