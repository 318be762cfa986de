"""Backups of the partitions that were overwritten since a dump, as Parquet files.

For servers whose files cannot be copied. They hold what `PartitionTransaction.overwrite` wrote and
nothing else: a table that is written another way is in the dumps only, and the manifest says so.
"""

import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from batch_platform.core.days import Clock, today
from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.change_store import ChangeStore
from batch_platform.domains.backups.folder import BackupFolder, figures_of_files, held_of
from batch_platform.domains.backups.logic import base_of_changed_days, name_of
from batch_platform.domains.backups.models import (
    BackupKind,
    ChangedPartition,
    DatabaseFigures,
    Manifest,
    Role,
    Verification,
)
from batch_platform.domains.backups.sources import (
    NOT_INCLUDED,
    SNAPSHOTS_SCHEMA,
    require_room_for_backup,
    system_identifier,
)
from batch_platform.domains.backups.workflow import remember
from batch_platform.gateways.pg_tools.contents import exported_snapshot, server_version
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import current_revision

_NOT_INCLUDED = (*NOT_INCLUDED, "tables that are not overwritten by partition (dumps hold them)")


def create_changed_days(
    day: date,
    *,
    db: PlatformDb,
    settings: Settings,
    clock: Clock,
    note: str,
    progress: ProgressReport = unheard,
) -> Manifest:
    """Write every partition that was overwritten since Sunday's dump, from one snapshot.

    Args:
        day: The backup's partition.
        db: The platform's database.
        settings: What is wanted.
        clock: The time.
        note: Why it is no copy of the server's files.
        progress: Hears partitions that are done.

    Raises:
        NoDataError: There is no good dump to add to.
        RetryableError: Too little room, or the server went away.
    """
    folder, started_at, started = BackupFolder(settings.backup_folder), clock(), time.perf_counter()
    backups, zone = folder.backups(), settings.platform.zone
    base_id = base_of_changed_days(held_of(backups, zone), today(lambda: started_at, zone))
    if base_id is None:
        raise NoDataError("There is no good dump to add changed days to", "Make one first")
    base, platform = folder.manifest(base_id), _platform_of(folder.manifest(base_id))
    require_room_for_backup(folder.path, [BackupKind.CHANGED_DAYS], backups, settings, 0)
    if platform.system_identifier != system_identifier(db):
        raise NoDataError(
            f"{base_id} is of another server, so nobody knows what changed since",
            "Make a dump first",
        )
    taken = {each.backup_id for each in backups}
    backup_id = name_of(BackupKind.CHANGED_DAYS, started_at, zone, taken)
    with (
        folder.writing(backup_id) as (temporary, _),
        exported_snapshot(db, (SNAPSHOTS_SCHEMA,)) as snapshot,
    ):
        store = ChangeStore(snapshot.connection)
        changed: list[ChangedPartition] = []
        partitions = store.overwritten_since(platform.snapshot)
        for number, (table, where) in enumerate(partitions):
            progress(number, len(partitions), table)
            file = temporary / f"{number:06d}_{table}.parquet"
            content = store.export(table, where, file)
            changed.append(
                ChangedPartition(
                    table=table,
                    where=where,
                    rows=content.rows,
                    checksum=content.checksum,
                    method=content.method,
                    file=file.name,
                )
            )
        manifest = Manifest(
            backup_id=backup_id,
            kind=BackupKind.CHANGED_DAYS,
            day=day,
            started_at=started_at,
            finished_at=clock(),
            seconds=round(time.perf_counter() - started, 3),
            codec="parquet zstd",
            program_version=f"server {server_version(db)[1]}",
            platform_version=version("batch-platform"),
            platform_revision=current_revision(db) or "",
            is_made_up=settings.is_made_up,
            parent_id=base.backup_id,
            base_id=base.backup_id,
            note=note,
            changed=tuple(changed),
            not_included=_NOT_INCLUDED,
            files=figures_of_files(temporary),
        )
        folder.write_manifest(temporary, manifest)
    remember(manifest, folder=folder, db=db, settings=settings)
    return manifest


def verify_changed_days(manifest: Manifest, *, settings: Settings, clock: Clock) -> Verification:
    """Read every file of a backup of changed days and count its rows.

    It proves less than a restore: applying it to its dump is compared when it is restored.
    """
    folder, started = BackupFolder(settings.backup_folder), time.perf_counter()
    problems = folder.file_problems(manifest)
    if not problems:
        path = folder.path / manifest.backup_id
        problems = [
            f"{each.file} has {rows:,} rows instead of {each.rows:,}"
            for each in manifest.changed
            if (rows := ChangeStore.rows_in(path / each.file)) != each.rows
        ]
    found = Verification(
        backup_id=manifest.backup_id,
        method="read",
        verified_at=clock(),
        seconds=round(time.perf_counter() - started, 3),
        problems=tuple(problems),
        manifest_sha256=folder.manifest_sha256(manifest.backup_id),
        files=folder.seen_files(manifest),
    )
    folder.write_verification(found)
    return found


def apply_changed_days(fresh: PlatformDb, manifest: Manifest, path: Path) -> None:
    """Put changed partitions over a restored dump, in one transaction, and compare them.

    Raises:
        PermanentError: What was written differs from the manifest; nothing was.
    """
    with fresh.connect("restore changed days") as connection, connection.transaction():
        store = ChangeStore(connection)
        problems = [
            f"{each.table} {each.where}"
            for each in manifest.changed
            if not store.replace(each, path / each.file)
        ]
        if problems:
            raise PermanentError(
                f"What was restored of {manifest.backup_id} differs: {', '.join(problems[:3])}",
                "Nothing was changed; use another backup",
            )


def _platform_of(manifest: Manifest) -> DatabaseFigures:
    found: Sequence[DatabaseFigures] = [
        each for each in manifest.databases if each.role is Role.PLATFORM
    ]
    if not found:
        raise NoDataError(
            f"{manifest.backup_id} does not hold the platform's database", "Make a dump first"
        )
    return found[0]
