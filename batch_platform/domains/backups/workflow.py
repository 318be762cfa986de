"""Making a backup of every database and proving that it restores. Plain Python."""

import os
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from batch_platform.core.days import Clock
from batch_platform.core.errors import ConfigurationError, PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.folder import BackupFolder, figures_of_files, newest
from batch_platform.domains.backups.logic import dump_jobs, name_of
from batch_platform.domains.backups.models import (
    BackupKind,
    DatabaseFigures,
    Manifest,
    TableFigures,
    Verification,
)
from batch_platform.domains.backups.sources import (
    NOT_INCLUDED,
    Source,
    require_room_for_backup,
    system_identifier,
)
from batch_platform.domains.backups.store import BackupStore
from batch_platform.gateways.metrics_file import append_metrics
from batch_platform.gateways.pg_tools.contents import (
    TableContent,
    exported_snapshot,
    installed_extensions,
    missing_extensions,
    server_version,
)
from batch_platform.gateways.pg_tools.dump import (
    database_size,
    differences,
    dump_with_contents,
    folder_size,
    read_through,
    restore,
)
from batch_platform.gateways.pg_tools.programs import PgPrograms, programs_for
from batch_platform.gateways.pg_tools.scratch import (
    require_room,
    scratch_database,
    scratch_server,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import current_revision

_MB = 1_000_000
_RESTORED_FACTOR = 1.5
"""Room for a restore, as a multiple of the database: it writes a log of what it does too."""


def create_dump(
    day: date,
    sources: Sequence[Source],
    *,
    db: PlatformDb,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport = unheard,
) -> Manifest:
    """Dump every database, with figures of what its snapshot holds. Whole or not at all.

    Args:
        day: The backup's partition: the last day that is whole in it.
        sources: The databases; each is one moment of its own.
        db: Where it is remembered.
        settings: What is wanted.
        clock: The time.
        progress: Hears megabytes written, of as many as last time.

    Raises:
        RetryableError: Too little room, a lock that could not be had, a server that went away.
        ConfigurationError: No fitting `pg_dump`, or no right to read something.
        PermanentError: `pg_dump` failed.
    """
    folder = BackupFolder(settings.backup_folder)
    backups = folder.backups()
    require_room_for_backup(
        folder.path,
        [BackupKind.DUMP],
        backups,
        settings,
        sum(database_size(source.db) for source in sources),
    )
    tools = _programs_for_all(sources, settings)
    codec, level = tools.compression(settings.backups.codec, settings.backups.level)
    last = newest(backups, BackupKind.DUMP)
    expected_mb = last.manifest.size_bytes // _MB if last and last.manifest else None
    started_at, started = clock(), time.perf_counter()
    backup_id = name_of(
        BackupKind.DUMP,
        started_at,
        settings.platform.zone,
        {backup.backup_id for backup in backups},
    )
    with folder.writing(backup_id) as (temporary, claim):
        figures = [
            _dump_one(
                source,
                temporary,
                claim,
                tools,
                settings,
                _grown(temporary, expected_mb, progress, source.name),
            )
            for source in sources
        ]
        manifest = Manifest(
            backup_id=backup_id,
            kind=BackupKind.DUMP,
            day=day,
            started_at=started_at,
            finished_at=clock(),
            seconds=round(time.perf_counter() - started, 3),
            codec=f"{codec}:{level}" if codec != "none" else codec,
            program_version=f"pg_dump {tools.version}",
            platform_version=version("batch-platform"),
            platform_revision=current_revision(db) or "",
            is_made_up=settings.is_made_up,
            base_id=backup_id,
            databases=tuple(figures),
            not_included=NOT_INCLUDED,
            files=figures_of_files(temporary),
        )
        folder.write_manifest(temporary, manifest)
    remember(manifest, folder=folder, db=db, settings=settings)
    return manifest


def remember(
    manifest: Manifest, *, folder: BackupFolder, db: PlatformDb, settings: Settings
) -> None:
    """Write a backup's figures into the database and the metrics file."""
    BackupStore(db).add(manifest, folder.manifest_sha256(manifest.backup_id))
    append_metrics(
        settings.home,
        manifest.finished_at,
        "backup",
        {
            "size_mb": round(manifest.size_bytes / _MB, 3),
            "elapsed_minutes": round(manifest.seconds / 60, 4),
        },
    )


def verify_dump(
    manifest: Manifest,
    *,
    settings: Settings,
    clock: Clock,
    method: str | None = None,
    progress: ProgressReport = unheard,
) -> Verification:
    """Prove that a dump restores: into scratch databases, compared with its manifest.

    Args:
        manifest: The dump's manifest.
        settings: Where it lies, where to try it and how (`BACKUP_CHECK`).
        clock: The time.
        method: `restore` or `read` instead of the setting's.
        progress: Hears databases that are done.

    Returns:
        What was found, written beside the backup too.

    Raises:
        ConfigurationError: This machine cannot try it, which says nothing about the backup.
        RetryableError: The scratch server or its disk stood in the way.
    """
    folder, started = BackupFolder(settings.backup_folder), time.perf_counter()
    chosen = "read" if (method or settings.backups.check) == "read" else "restore"
    seen = folder.seen_files(manifest)
    problems = folder.file_problems(manifest)
    if not problems:
        check = _restore_problems if chosen == "restore" else _reading_problems
        problems = check(manifest, folder.path / manifest.backup_id, settings, progress)
    verification = Verification(
        backup_id=manifest.backup_id,
        method=chosen,
        verified_at=clock(),
        seconds=round(time.perf_counter() - started, 3),
        problems=tuple(problems),
        manifest_sha256=folder.manifest_sha256(manifest.backup_id),
        files=seen,
    )
    folder.write_verification(verification)
    return verification


def expected_tables(database: DatabaseFigures) -> list[TableContent]:
    """What a restored database must hold."""
    return [
        TableContent(table.table_schema, table.name, table.rows, table.checksum, table.method)
        for table in database.tables
    ]


def programs_to_read(manifest: Manifest, settings: Settings) -> PgPrograms:
    """Programs that can read a dump.

    Raises:
        ConfigurationError: None is as new as those that wrote it.
    """
    major = int(manifest.program_version.split()[-1].partition(".")[0])
    return programs_for(major, settings.backups.programs)


def require_server_for(database: DatabaseFigures, server: PlatformDb) -> None:
    """Refuse a server that cannot hold a dumped database, before anything is tried.

    Raises:
        ConfigurationError: It is older, or lacks an extension.
    """
    major, full = server_version(server)
    needed = int(database.server_version.partition(".")[0])
    if major < needed:
        raise ConfigurationError(
            f"The server of {server.setting} is PostgreSQL {full},"
            f" older than the {database.server_version} that {database.name} comes from",
            f"Use a server of version {needed} or newer",
        )
    missing = missing_extensions(server, database.extensions)
    if missing:
        raise ConfigurationError(
            f"The server of {server.setting} lacks {', '.join(missing)},"
            f" which {database.name} uses",
            "Install the extensions there or choose a server that has them (BACKUP_SCRATCH_URL"
            " for checks)",
        )


def _programs_for_all(sources: Sequence[Source], settings: Settings) -> PgPrograms:
    newest_major = max(server_version(source.db)[0] for source in sources)
    return programs_for(newest_major, settings.backups.programs)


def _dump_one(
    source: Source,
    temporary: Path,
    claim: int,
    tools: PgPrograms,
    settings: Settings,
    on_size: Callable[[int], None],
) -> DatabaseFigures:
    codec, level = tools.compression(settings.backups.codec, settings.backups.level)
    started = time.perf_counter()
    name = f"{source.role}_{source.name}.dump"
    target = temporary / name.replace("/", "_")
    with exported_snapshot(source.db, source.without_schemas) as snapshot:
        contents = dump_with_contents(
            snapshot,
            source.db.url,
            target,
            programs=tools,
            codec=codec,
            level=level,
            jobs=dump_jobs(settings.backups.jobs, os.cpu_count() or 1),
            claim=claim,
            without_schemas=source.without_schemas,
            on_size=on_size,
        )
    return DatabaseFigures(
        role=source.role,
        name=source.name,
        address=source.db.address,
        server_version=server_version(source.db)[1],
        folder=target.name,
        database_bytes=database_size(source.db),
        dump_bytes=folder_size(target),
        seconds=round(time.perf_counter() - started, 3),
        snapshot=snapshot.visible,
        system_identifier=system_identifier(source.db),
        extensions=installed_extensions(source.db),
        tables=tuple(
            TableFigures(
                table_schema=table.schema,
                name=table.name,
                rows=table.rows,
                checksum=table.checksum,
                method=table.method,
            )
            for table in contents.tables
        ),
        objects=contents.objects,
    )


def _grown(
    temporary: Path, expected_mb: int | None, progress: ProgressReport, name: str
) -> Callable[[int], None]:
    before = folder_size(temporary)

    def report(size: int) -> None:
        progress((before + size) // _MB, expected_mb, f"MB · {name}")

    return report


def _restore_problems(
    manifest: Manifest, path: Path, settings: Settings, progress: ProgressReport
) -> list[str]:
    tools = programs_to_read(manifest, settings)
    chosen = settings.backups.scratch_url
    if chosen is None:
        largest = max((each.database_bytes for each in manifest.databases), default=0)
        require_room(settings.home, int(largest * _RESTORED_FACTOR), "the restore check")
    problems: list[str] = []
    jobs = os.cpu_count() or 1
    with scratch_server(settings.home, chosen.get_secret_value() if chosen else None) as url:
        for done, database in enumerate(manifest.databases):
            progress(done, len(manifest.databases), database.name)
            require_server_for(database, PlatformDb(url, "BACKUP_SCRATCH_URL"))
            with scratch_database(url, "BACKUP_SCRATCH_URL") as scratch:
                try:
                    restore(path / database.folder, scratch.url, programs=tools, jobs=jobs)
                except PermanentError as error:
                    problems.append(f"{database.name} does not restore: {error}")
                    continue
                found = differences(
                    scratch, expected_tables(database), database.objects, workers=jobs
                )
                problems += [f"{database.name}: {problem}" for problem in found]
    return problems


def _reading_problems(
    manifest: Manifest, path: Path, settings: Settings, progress: ProgressReport
) -> list[str]:
    tools = programs_to_read(manifest, settings)
    problems: list[str] = []
    for done, database in enumerate(manifest.databases):
        progress(done, len(manifest.databases), database.name)
        try:
            read_through(path / database.folder, programs=tools)
        except PermanentError as error:
            problems.append(f"{database.name} cannot be read to its end: {error}")
    return problems
