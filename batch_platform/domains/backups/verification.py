"""Checking a backup of any kind, and remembering what was found."""

from batch_platform.core.days import Clock
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.chains import verify_link
from batch_platform.domains.backups.changed_days import verify_changed_days
from batch_platform.domains.backups.folder import BackupFolder
from batch_platform.domains.backups.models import BackupKind, Verification
from batch_platform.domains.backups.store import BackupStore
from batch_platform.domains.backups.workflow import verify_dump
from batch_platform.gateways.platform_db import PlatformDb


def verify(
    backup_id: str,
    *,
    db: PlatformDb | None,
    settings: Settings,
    clock: Clock,
    method: str | None = None,
    progress: ProgressReport = unheard,
) -> Verification:
    """Check a backup as its kind wants it.

    Args:
        backup_id: Which one.
        db: Where the result is remembered beside the backup's folder; None for nowhere.
        settings: Where backups lie and how they are checked.
        clock: The time.
        method: `restore` or `read` instead of the setting's.
        progress: Hears how far it is.

    Raises:
        PermanentError: There is no such backup, or its manifest cannot be read.
        ConfigurationError: This machine cannot try it, which says nothing about the backup.
        RetryableError: The scratch server or its disk stood in the way.
    """
    folder = BackupFolder(settings.backup_folder)
    folder.backup(backup_id)
    manifest = folder.manifest(backup_id)
    if manifest.kind is BackupKind.DUMP:
        found = [
            verify_dump(manifest, settings=settings, clock=clock, method=method, progress=progress)
        ]
    elif manifest.kind is BackupKind.CHANGED_DAYS:
        found = [verify_changed_days(manifest, settings=settings, clock=clock)]
    else:
        found = verify_link(
            manifest, settings=settings, clock=clock, method=method, progress=progress
        )
    if db is not None:
        for each in found:
            of = manifest if each.backup_id == backup_id else folder.manifest(each.backup_id)
            BackupStore(db).add_verification(of, each.manifest_sha256, each)
    return found[-1]
