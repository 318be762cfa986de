"""Checking a backup of any kind, and remembering what was found."""

from batch_platform.core.days import Clock
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.folder import BackupFolder
from batch_platform.domains.backups.models import Verification
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
    found = verify_dump(manifest, settings=settings, clock=clock, method=method, progress=progress)
    if db is not None:
        BackupStore(db).add_verification(manifest, found.manifest_sha256, found)
    return found
