"""Processes that several processes share: one start, an end when nobody needs them, no debris."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_platform.core.errors import ConfigurationError
from batch_platform.gateways.leased_process import Lease, ServiceFolder, is_running, stop

SERVICE = str(Path(__file__).with_name("service.py"))
USER = """
import sys, time
from pathlib import Path
from batch_platform.gateways.leased_process import Lease, ServiceFolder
lease = Lease(ServiceFolder(Path(sys.argv[1])), [sys.argv[2], sys.argv[1], "1"])
print(lease.description["answer"], flush=True)
time.sleep(float(sys.argv[3]))
"""


def command(folder: Path, idle_seconds: float = 1, *words: str) -> list[str]:
    return [SERVICE, str(folder), str(idle_seconds), *words]


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def starts(folder: Path) -> int:
    return len((folder / "starts").read_text().splitlines())


def user(folder: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder), SERVICE, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_many_users_at_once_share_one_process(tmp_path: Path) -> None:
    users = [user(tmp_path, 0.5) for _ in range(6)]
    assert [process.communicate()[0] for process in users] == ["42\n"] * 6
    assert starts(tmp_path) == 1
    assert wait_for(lambda: not is_running(ServiceFolder(tmp_path)))


def test_it_ends_after_the_last_lease_and_starts_again_for_the_next(tmp_path: Path) -> None:
    folder = ServiceFolder(tmp_path)
    lease = Lease(folder, command(tmp_path))
    time.sleep(2)
    assert is_running(folder)
    lease.release()
    assert wait_for(lambda: not is_running(folder))
    assert (tmp_path / "stopped").exists()
    again = Lease(folder, command(tmp_path))
    assert starts(tmp_path) == 2
    again.release()


def test_a_user_that_is_killed_gives_its_lease_back(tmp_path: Path) -> None:
    process = user(tmp_path, 60)
    assert process.stdout is not None
    assert process.stdout.readline() == "42\n"
    process.kill()
    process.communicate()
    assert wait_for(lambda: not is_running(ServiceFolder(tmp_path)))


def test_after_the_process_is_killed_the_next_user_gets_a_new_one(tmp_path: Path) -> None:
    folder = ServiceFolder(tmp_path)
    first = Lease(folder, command(tmp_path))
    os.kill(int(str(first.description["process_id"])), signal.SIGKILL)
    assert wait_for(lambda: not is_running(folder))
    second = Lease(folder, command(tmp_path))
    assert starts(tmp_path) == 2
    first.release()
    second.release()


def test_it_can_be_ended_while_it_is_leased(tmp_path: Path) -> None:
    folder = ServiceFolder(tmp_path)
    lease = Lease(folder, command(tmp_path))
    assert stop(folder)
    assert not is_running(folder)
    assert not stop(folder)
    lease.release()


def test_ctrl_c_in_a_user_s_terminal_does_not_reach_it(tmp_path: Path) -> None:
    folder = ServiceFolder(tmp_path)
    lease = Lease(folder, command(tmp_path))
    os.kill(int(str(lease.description["process_id"])), signal.SIGINT)
    time.sleep(0.7)
    assert is_running(folder)
    lease.release()


def test_a_process_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="The service has no port"):
        Lease(ServiceFolder(tmp_path), command(tmp_path, 1, "fails"))


def test_a_process_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    lease = Lease(ServiceFolder(tmp_path), command(tmp_path, 1, "is-killed-once"))
    assert lease.description["answer"] == 42
    assert (tmp_path / "was killed").exists()
    lease.release()
