"""A file appears whole or not at all, whatever happens on the way."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batch_platform.core.errors import ConfigurationError, RetryableError
from batch_platform.gateways.files import atomic_file, usable_folder

# Says where it is and waits: for tests of what another process does in the middle of a file.
WRITE_AND_WAIT = """
import sys
from pathlib import Path
from batch_platform.gateways.files import atomic_file
with atomic_file(Path(sys.argv[1]), setting="REPORT_FOLDER") as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""
FILL_THE_DISK = """
import os, sys
from pathlib import Path
from batch_platform.core.errors import RetryableError
from batch_platform.gateways.files import atomic_file
target = Path(sys.argv[1]) / "report.xlsx"
target.write_text("older")
try:
    with atomic_file(target, setting="REPORT_FOLDER") as temporary:
        temporary.write_bytes(bytes(10**6))
except RetryableError as error:
    print(os.listdir(sys.argv[1]), target.read_text(), error)
"""


def write(path: Path, text: str, error: Exception | None = None) -> None:
    with atomic_file(path, setting="REPORT_FOLDER") as temporary:
        temporary.write_text(text)
        if error:
            raise error


def test_a_file_is_made_with_its_folders_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "chats" / "보고서.xlsx"
    write(path, "new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_readable_for_whom_the_umask_allows(tmp_path: Path) -> None:
    path = tmp_path / "report"
    old = os.umask(0o022)
    try:
        write(path, "new")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_file_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report"
    with atomic_file(path, setting="REPORT_FOLDER") as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent


def test_an_error_leaves_the_older_file_and_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "report"
    write(path, "older")
    with pytest.raises(ZeroDivisionError):
        write(path, "half", ZeroDivisionError())
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="REPORT_FOLDER"):
        write(tmp_path / "file" / "report", "new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_names_the_setting(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="REPORT_FOLDER"):
        write(tmp_path / "report", "new")


def test_a_folder_in_the_files_place_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    with pytest.raises(ConfigurationError, match="directory"):
        write(tmp_path / "report", "new")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_can_be_retried_and_tells_how_full(tmp_path: Path, number: int) -> None:
    path = tmp_path / "report"
    write(path, "older")
    with pytest.raises(RetryableError, match=r"2\.0 MB were written, [\d.]+ MB are free"):
        write(path, "x" * 2_000_000, OSError(number, os.strerror(number)))
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_really_is_full_leaves_the_older_file(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed: no disk of one's own to fill")
    probe = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", tmp_path])
    if probe.returncode:
        pytest.skip("this machine lets nobody mount a disk of one's own to fill")
    done = subprocess.run(
        [*command, tmp_path, sys.executable, FILL_THE_DISK],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("['report.xlsx'] older The disk is full")


def test_an_error_of_another_kind_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        write(tmp_path / "report", "half", ConnectionResetError(errno.ECONNRESET, "reset"))


def test_what_a_killed_run_left_is_swept_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_AND_WAIT, tmp_path / name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("killed", "alive")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
    killed, alive = writers
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 2

    write(tmp_path / "other", "new")

    assert len(list(tmp_path.glob(".*"))) == 1
    alive.communicate(b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "other"]
    assert (tmp_path / "alive").read_text() == "half"


def test_a_folder_is_made_with_all_above_it(tmp_path: Path) -> None:
    folder = usable_folder(tmp_path / "a" / "b", setting="BATCH_PLATFORM_HOME")
    assert folder.is_dir()
    assert usable_folder(folder, setting="BATCH_PLATFORM_HOME") == folder


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/home", "/proc/home"])
def test_a_folder_that_cannot_be_one_is_a_setting_to_correct(place: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{place} cannot be written.*BATCH_PLATFORM_HOME"):
        usable_folder(Path(place), setting="BATCH_PLATFORM_HOME")
