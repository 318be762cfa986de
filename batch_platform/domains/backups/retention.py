"""Removing old backups: planned first, and nothing goes before the last good one was read."""

from dataclasses import dataclass

from batch_platform.core.days import Clock, today
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.copies import remove_copies
from batch_platform.domains.backups.folder import BackupFolder, held_of
from batch_platform.domains.backups.logic import Retention, chain_to, last_good, plan_retention
from batch_platform.domains.backups.models import Verification
from batch_platform.domains.backups.store import BackupStore
from batch_platform.gateways.files import remove_abandoned_folders
from batch_platform.gateways.platform_db import PlatformDb


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went and what stayed.

    Attributes:
        retention: The plan that was carried out.
        freed_bytes: What the removed backups took, or would have.
        damaged: Ids of backups that counted as good until this looked at them.
    """

    retention: Retention
    freed_bytes: int
    damaged: tuple[str, ...]


def plan_pruning(settings: Settings, clock: Clock) -> Pruned:
    """Tell what would go, and why the rest stays; change nothing."""
    folder = BackupFolder(settings.backup_folder)
    return _planned(folder, settings, clock, ())


def prune(settings: Settings, clock: Clock, *, db: PlatformDb | None) -> Pruned:
    """Remove what the plan says, after reading what must not be lost.

    The last good backup's files are compared with their hashes first; one that is damaged is marked
    so, and the plan is made anew without counting on it.

    Args:
        settings: How long backups are kept.
        clock: The time.
        db: Where removals are remembered; None for nowhere.

    Raises:
        RetryableError: A copy elsewhere cannot be removed.
    """
    folder = BackupFolder(settings.backup_folder)
    damaged: list[str] = []
    planned = _planned(folder, settings, clock, damaged)
    while planned.retention.removed:
        found = _damaged_among_last_good(folder, settings, clock)
        if not found:
            break
        damaged += found
        planned = _planned(folder, settings, clock, damaged)
    for backup_id in planned.retention.removed:
        folder.remove(backup_id)
    if folder.path.is_dir():
        remove_abandoned_folders(folder.path)
    remove_copies(planned.retention.removed, settings)
    if db is not None and planned.retention.removed:
        BackupStore(db).mark_removed(planned.retention.removed, clock())
    return planned


def _planned(
    folder: BackupFolder, settings: Settings, clock: Clock, damaged: list[str] | tuple[str, ...]
) -> Pruned:
    zone, backups = settings.platform.zone, folder.backups()
    retention = plan_retention(
        held_of(backups, zone),
        today(clock, zone),
        keep_days=settings.backups.retention_days,
        keep_monthly=settings.backups.keep_monthly,
    )
    freed = sum(
        each.manifest.size_bytes
        for each in backups
        if each.manifest is not None and each.backup_id in retention.removed
    )
    return Pruned(retention, freed, tuple(damaged))


def _damaged_among_last_good(folder: BackupFolder, settings: Settings, clock: Clock) -> list[str]:
    """Read what the plan counts on; mark and return what is not what it was."""
    backups = folder.backups()
    known = {each.backup_id: each for each in backups}
    parents = {
        each.backup_id: each.manifest.parent_id for each in backups if each.manifest is not None
    }
    damaged: list[str] = []
    for last in last_good(held_of(backups, settings.platform.zone)):
        for link in chain_to(last.backup_id, parents):
            manifest, seen = known[link].manifest, known[link].verification
            problems = folder.file_problems(manifest) if manifest else []
            if manifest is None or not problems:
                continue
            damaged.append(link)
            folder.write_verification(
                Verification(
                    backup_id=link,
                    method=seen.method if seen else "read",
                    verified_at=clock(),
                    seconds=0.0,
                    problems=tuple(problems),
                    manifest_sha256=folder.manifest_sha256(link),
                    files=folder.seen_files(manifest),
                )
            )
    return damaged
