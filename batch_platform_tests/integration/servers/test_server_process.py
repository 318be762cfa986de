"""What `up` relies on for each of its servers."""

import json
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from batch_platform.cli import server_process
from batch_platform.cli.server_process import LOG_FILES, ServerProcess
from batch_platform_tests.running_platform import wait_until


def server(folder: Path, code: str) -> ServerProcess:
    return ServerProcess(
        "server",
        [sys.executable, "-c", code],
        environment=os.environ,
        folder=folder,
        log=folder / "logs" / "server.log",
    )


def test_its_log_never_takes_more_than_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "LOG_BYTES", 2_000)
    talkative = server(tmp_path, "for n in range(1_000): print(f'line {n}')")
    talkative.start()
    log = tmp_path / "logs" / "server.log"
    wait_until(lambda: log.exists() and 'line 999"' in log.read_text(), 20, "the last line")
    talkative.end(5)
    files = list(log.parent.iterdir())
    assert len(files) == LOG_FILES
    assert all(file.stat().st_size <= 2_000 for file in files)


def test_what_it_started_ends_with_it_even_if_it_will_not(tmp_path: Path) -> None:
    stubborn = server(
        tmp_path,
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)\n"
        "sys.stdout.flush()\n"
        "time.sleep(600)",
    )
    stubborn.start()
    log = tmp_path / "logs" / "server.log"
    said = wait_until(lambda: log.exists() and log.read_text(), 20, "its word")
    started = int(json.loads(said)["message"])
    stubborn.ask_to_end()
    start = time.monotonic()
    stubborn.end(0.5)
    assert time.monotonic() - start < 5
    assert stubborn.exit_code is not None
    wait_until(lambda: not psutil.pid_exists(started), 5, "its child has ended")
