"""Whatever happens to a backup is found, and what is not whole never counts as good."""

import gzip
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from batch_platform.core.errors import RetryableError
from batch_platform.domains.backups import sources, workflow
from batch_platform.domains.backups.folder import newest, sha256_of
from batch_platform.domains.backups.models import MANIFEST_NAME, BackupKind, State, Verification
from batch_platform.domains.backups.verification import verify
from batch_platform_tests.backup_world import DAY, World


def data_file(world: World) -> Path:
    """The dump's file with the rows of `notes`."""
    for file in world.backups.path.rglob("*.dat.gz"):
        if "2026-11-12" in gzip.decompress(file.read_bytes()).decode():
            return file
    raise AssertionError("The rows are in no file")


def checked(world: World, method: str | None = None) -> Verification:
    (backup,) = world.backups.backups()
    return verify(
        backup.backup_id, db=world.db, settings=world.settings, clock=world.clock, method=method
    )


def change_one_row(file: Path) -> None:
    """A row that says something else, in a file that is whole and listed with its new hash."""
    content = gzip.decompress(file.read_bytes())
    changed = content.replace(b"2026-11-02", b"2026-11-03", 1)
    assert changed != content
    file.write_bytes(gzip.compress(changed))
    manifest = file.parents[1] / MANIFEST_NAME
    known = json.loads(manifest.read_text())
    for each in known["files"]:
        if each["path"] == f"{file.parent.name}/{file.name}":
            each["size_bytes"], each["sha256"] = file.stat().st_size, sha256_of(file)
    manifest.write_text(json.dumps(known))


def drop_one_row(file: Path) -> None:
    content = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(content[content.index(b"\n") + 1 :]))
    known = json.loads((file.parents[1] / MANIFEST_NAME).read_text())
    for each in known["files"]:
        if each["path"].endswith(file.name) and each["path"].startswith(file.parent.name):
            each["size_bytes"], each["sha256"] = file.stat().st_size, sha256_of(file)
    (file.parents[1] / MANIFEST_NAME).write_text(json.dumps(known))


def flip_one_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    before = file.stat()
    file.write_bytes(content)
    # As rot does it: neither size nor time tells.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


TAMPERING: list[tuple[Callable[[Path], None], str]] = [
    (change_one_row, "public.notes has other content in as many rows"),
    (drop_one_row, "public.notes has 19 rows instead of 20"),
    (flip_one_byte, "has other content (SHA-256)"),
    (Path.unlink, "is missing"),
    (truncate, "bytes instead of"),
]


def test_tampering_is_found_and_what_was_tampered_with_is_not_good(world: World) -> None:
    world.dump()
    assert checked(world).is_good
    assert world.only().state is State.GOOD
    whole = {
        path: (path.read_bytes(), path.stat())
        for path in world.backups.path.rglob("*")
        if path.is_file()
    }
    for tamper, said in TAMPERING:
        tamper(data_file(world))
        # Before anybody looks into the files: all but rot shows in the list already.
        if tamper is not flip_one_byte:
            assert world.only().state is State.CHANGED, tamper
        found = checked(world)
        assert any(said in problem for problem in found.problems), (tamper, found.problems)
        assert world.only().state is State.BAD
        assert newest(world.backups.backups(), BackupKind.DUMP) is None
        for path, (content, status) in whole.items():
            path.write_bytes(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert world.only().state is State.GOOD


def test_a_bad_backup_fails_the_run_and_is_an_incident(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The dump loses its tail between being written and being checked.
    def remember(*arguments: object, **named: object) -> None:
        original(*arguments, **named)  # type: ignore[arg-type]
        truncate(data_file(world))

    original = workflow.remember
    monkeypatch.setattr(workflow, "remember", remember)
    world.variables["BACKUP_COPY_URL"] = str(world.folder / "elsewhere")
    made = world.run("backups_database_job")

    assert not made.is_success
    assert made.checks == {"backup_restores": False}
    assert world.only().state is State.BAD
    # What does not restore is not copied.
    assert not (world.folder / "elsewhere").exists()


def test_the_cheap_check_finds_what_is_cut_off_too(world: World) -> None:
    world.dump()
    assert checked(world, "read").is_good
    drop_one_row(data_file(world))
    # Rows it does not count: it says what it is.
    assert checked(world, "read").method == "read"
    truncate(data_file(world))
    assert not checked(world, "read").is_good


def _big(world: World, megabytes: int) -> None:
    world.execute(
        "CREATE TABLE big AS SELECT i, (SELECT string_agg(md5(random()::text), '')"
        " FROM generate_series(1, 300) WHERE i > 0) AS t"
        f" FROM generate_series(1, {megabytes * 100}) AS i"
    )


def test_a_full_disk_in_the_middle_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = world.folder / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(full)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("Only root can make a disk that is full")
    try:
        _big(world, 2)
        world.variables["BACKUP_FOLDER"] = full / "backups"
        # The disk looked large enough when it was asked.
        monkeypatch.setattr(sources, "require_room", lambda *_: None)
        with pytest.raises(RetryableError, match="disk is full"):
            world.dump()
        assert list((full / "backups").iterdir()) == []
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_a_killed_dump_leaves_nothing_that_is_listed(world: World) -> None:
    _big(world, 4)

    def kill() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for child in psutil.Process().children():
                if child.name() == "pg_dump" and str(world.backups.path) in str(child.cmdline()):
                    child.kill()
                    return

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(RetryableError, match="SIGKILL"):
        world.dump()
    killer.join()
    assert list(world.backups.path.iterdir()) == []
    assert world.rows("SELECT count(*) FROM backups.backups") == [(0,)]


def test_what_a_killed_platform_left_is_swept_by_the_next_night(world: World) -> None:
    world.dump()
    left = world.backups.path / ".0123456789abcdef.partial"
    left.mkdir()
    (left / "half").write_text("of a dump")
    world.dump(DAY)
    assert not left.exists()
    assert len(world.backups.backups()) == 2
