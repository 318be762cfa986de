"""Copies elsewhere, and removing what is old without losing what is needed."""

import os
from datetime import timedelta

import pytest

from batch_platform.core.errors import PermanentError
from batch_platform.domains.backups.copies import copies, copy_good_backups, fetch_copy
from batch_platform.domains.backups.models import State
from batch_platform.domains.backups.retention import plan_pruning, prune
from batch_platform.domains.backups.verification import verify
from batch_platform_tests.backup_world import World


def night(world: World, *, days_later: int, is_checked: bool = True) -> str:
    """One night's backup, checked as cheaply as can be."""
    world.now += timedelta(days=days_later)
    backup_id = world.dump().backup_id
    if is_checked:
        verify(backup_id, db=world.db, settings=world.settings, clock=world.clock, method="read")
    return backup_id


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_good_backups_are_copied_once_and_come_back(world: World, place: str) -> None:
    url = str(world.folder / "elsewhere") if place == "folder" else f"memory://{world.folder.name}"
    world.variables["BACKUP_COPY_URL"] = url
    good = night(world, days_later=0)
    night(world, days_later=0, is_checked=False)
    # Only what passed its check.
    assert copy_good_backups(world.settings).backup_ids == (good,)
    assert copy_good_backups(world.settings).backup_ids == ()
    before = world.backups.manifest(good)
    world.backups.remove(good)
    assert fetch_copy("", world.settings) == good
    assert world.backups.manifest(good) == before
    assert world.backups.file_problems(before) == []
    # Not checked here yet: it came over a wire.
    assert world.backups.backup(good).state is State.UNVERIFIED

    remote = copies(world.settings)
    assert remote
    world.backups.remove(good)
    damaged = world.folder / "damaged"
    damaged.write_text("x")
    remote.put(damaged, f"{good}/{before.files[0].path}", _sha256("x"))
    with pytest.raises(PermanentError, match="came damaged"):
        fetch_copy(good, world.settings)
    assert good not in {each.backup_id for each in world.backups.backups()}


def test_old_backups_go_and_their_copies_too(world: World) -> None:
    world.variables["BACKUP_COPY_URL"] = str(world.folder / "elsewhere")
    old = night(world, days_later=0)
    new = night(world, days_later=31)
    copy_good_backups(world.settings)
    assert plan_pruning(world.settings, world.clock).retention.removed == (old,)
    assert len(world.backups.backups()) == 2

    assert world.run("backups_retention_job", None).is_success
    assert world.only().backup_id == new
    assert [path.name for path in (world.folder / "elsewhere").iterdir()] == [new]
    assert world.rows("SELECT backup_id FROM backups.backups WHERE removed_at IS NOT NULL") == [
        (old,)
    ]


def test_a_last_good_backup_that_rotted_does_not_cost_the_one_before(world: World) -> None:
    older = night(world, days_later=0)
    rotten = night(world, days_later=1)
    file = next(world.backups.path.glob(f"{rotten}/*/*.dat.gz"))
    status, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    world.now += timedelta(days=60)

    done = prune(world.settings, world.clock, db=None)
    assert done.damaged == (rotten,)
    assert world.only().backup_id == older
    assert done.retention.removed == (rotten,)


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
