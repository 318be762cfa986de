"""Commands that begin and end at the same time do not trip over each other's claims."""

import fcntl
import threading
from pathlib import Path
from unittest.mock import create_autospec

import dagster as dg
import pytest

from batch_platform.operations.abandoned_runs import fail_abandoned_runs, watched_run


def test_a_run_that_ends_while_others_are_looked_through_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "a-run"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    assert fail_abandoned_runs(tmp_path, create_autospec(dg.DagsterInstance)) == []


def test_a_claim_that_is_swept_before_it_is_locked_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "a-run"
    with file.open("w") as sweeper:
        fcntl.flock(sweeper, fcntl.LOCK_EX)
        is_watched, may_end = threading.Event(), threading.Event()

        def watch() -> None:
            with watched_run(tmp_path, "a-run"):
                is_watched.set()
                may_end.wait()

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert not is_watched.wait(0.2)
        file.unlink()
    assert is_watched.wait(5)
    assert file.exists()
    may_end.set()
    watcher.join()
    assert not file.exists()
