"""Copies that add to one another: whole or found not to be, and put together to a given day."""

import shutil
from datetime import timedelta

import pytest

from batch_platform.core.errors import PermanentError
from batch_platform.domains.backups.chains import create_link, restore_chain
from batch_platform.domains.backups.models import BackupKind, Manifest, State, Verification
from batch_platform.domains.backups.verification import verify
from batch_platform_tests.backup_world import DAY, World


def link(world: World, days_later: int = 0) -> Manifest:
    """One night's copy."""
    return create_link(
        DAY + timedelta(days=days_later),
        db=world.db,
        settings=world.settings,
        clock=world.clock,
    )


def checked(world: World, manifest: Manifest, method: str | None = None) -> Verification:
    return verify(
        manifest.backup_id,
        db=world.db,
        settings=world.settings,
        clock=world.clock,
        method=method,
    )


def test_a_chain_is_proved_restored_and_worth_nothing_without_a_link(world: World) -> None:
    full = link(world)
    assert (full.kind, full.parent_id) == (BackupKind.BASE, None)
    assert checked(world, full, "read").method == "read"
    world.execute("UPDATE notes SET body = 'changed' WHERE note_id = 1")
    world.now += timedelta(days=1)
    second = link(world, 1)
    assert (second.kind, second.parent_id) == (BackupKind.BASE_INCREMENT, full.backup_id)
    assert second.size_bytes < full.size_bytes / 2
    assert checked(world, second).is_good
    assert world.backups.backup(second.backup_id).state is State.GOOD

    target = world.folder / "restored"
    databases, rows = restore_chain(second, target, folder=world.backups, settings=world.settings)
    assert databases > 1
    assert rows > 20
    assert (target / "PG_VERSION").exists()
    shutil.rmtree(target)

    # A missing link: nothing that stands on it counts as good, and no folder appears.
    shutil.rmtree(world.backups.path / full.backup_id)
    states = {each.backup_id: each.state for each in world.backups.backups()}
    assert states[second.backup_id] is State.ORPHANED
    found = checked(world, second)
    assert f"{full.backup_id}, which it adds to, is missing" in found.problems[0]
    with pytest.raises(PermanentError, match="is missing"):
        restore_chain(second, target, folder=world.backups, settings=world.settings)
    assert not target.exists()
