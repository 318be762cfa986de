"""Runs whose process died without a word, so that none stays "in progress" for hours.

Dagster watches over the runs that it starts, not over those of a command. Such a run, if its
process is killed, would count as running until `max_runtime_seconds` and hold one of the places
that nightly runs wait for. Each command's run therefore has a file that its process locks: the
kernel unlocks it however the process ends.
"""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import dagster as dg

_MESSAGE = "The command's process ended without a word: it was killed, or the machine went down."


@contextmanager
def watched_run(folder: Path, run_id: str) -> Generator[None, None, None]:
    """Let others see, while the block runs, that the run's process lives.

    Args:
        folder: Where the files are; made when it is missing.
        run_id: The run that this process executes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / run_id
    with _claimed(file):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def fail_abandoned_runs(folder: Path, instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs whose process is gone as failed.

    Returns:
        Their ids.
    """
    abandoned: list[str] = []
    for file in folder.glob("*"):
        try:
            claim = file.open("r")
        except FileNotFoundError:
            continue  # its run has ended meanwhile
        with claim:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its process lives
            run = instance.get_run_by_id(file.name)
            if run is not None and not run.is_finished:
                instance.report_run_failed(run, _MESSAGE)
                abandoned.append(run.run_id)
            file.unlink(missing_ok=True)
    return abandoned


def _claimed(file: Path) -> IO[str]:
    """Make a run's file and lock it."""
    while True:
        claim = file.open("w")
        fcntl.flock(claim, fcntl.LOCK_EX)
        if file.exists():
            return claim
        claim.close()  # another command swept it between its creation and its lock
