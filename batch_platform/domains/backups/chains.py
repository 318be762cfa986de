"""Copies of the whole server that add to one another: made, put together, proved by a start."""

import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from batch_platform.core.days import Clock, today
from batch_platform.core.errors import PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.folder import BackupFolder, figures_of_files, held_of
from batch_platform.domains.backups.logic import (
    IncrementPlan,
    chain_to,
    name_of,
    plan_increment,
)
from batch_platform.domains.backups.models import BackupKind, Manifest, Verification
from batch_platform.domains.backups.sources import require_room_for_backup, system_identifier
from batch_platform.domains.backups.workflow import remember
from batch_platform.gateways.files import temporary_folder
from batch_platform.gateways.pg_tools.base_backup import (
    IncrementImpossibleError,
    combine,
    copy_server,
    require_combinable,
    verify_copy,
)
from batch_platform.gateways.pg_tools.cluster import (
    give_to_server,
    read_everything,
    running_on,
    server_program,
)
from batch_platform.gateways.pg_tools.contents import server_version
from batch_platform.gateways.pg_tools.programs import PgPrograms, programs_for
from batch_platform.gateways.pg_tools.scratch import require_room
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import current_revision

DATA = "data"
"""The server's files, below a backup's folder."""

KINDS = (BackupKind.BASE, BackupKind.BASE_INCREMENT)

_MB = 1_000_000
_NOT_INCLUDED = ("files: .env, reports, logs",)
_COMBINED_FACTOR = 1.2


def create_link(
    day: date,
    *,
    db: PlatformDb,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport = unheard,
) -> Manifest:
    """Copy what changed on the server since the last copy, or all of it where the rules say so.

    Raises:
        RetryableError: Too little room, or the server went away.
        PermanentError: `pg_basebackup` failed.
    """
    folder, now = BackupFolder(settings.backup_folder), clock()
    backups = folder.backups()
    identifier = system_identifier(db)
    plan = plan_increment(
        held_of(backups, settings.platform.zone),
        today(lambda: now, settings.platform.zone),
        identifier,
    )
    kind = BackupKind.BASE if plan.parent_id is None else BackupKind.BASE_INCREMENT
    ((server_bytes,),) = db.fetch_all("SELECT sum(pg_database_size(oid))::bigint FROM pg_database")
    require_room_for_backup(folder.path, [kind], backups, settings, int(server_bytes))
    copying = _Copying(day, identifier, db, settings, clock, progress)
    taken = {each.backup_id for each in backups}
    try:
        manifest = copying.copy(folder, plan, kind, taken)
    except IncrementImpossibleError as error:
        full = IncrementPlan(None, f"The server cannot add to {plan.parent_id}: {error.problem}")
        manifest = copying.copy(folder, full, BackupKind.BASE, taken)
    remember(manifest, folder=folder, db=db, settings=settings)
    return manifest


class _Copying:
    """One night's copy; tried once more as a full one when the server cannot add."""

    def __init__(
        self,
        day: date,
        identifier: str,
        db: PlatformDb,
        settings: Settings,
        clock: Clock,
        progress: ProgressReport,
    ) -> None:
        self._day, self._identifier, self._db = day, identifier, db
        self._settings, self._clock, self._progress = settings, clock, progress
        self._tools = programs_for(server_version(db)[0], settings.backups.programs)

    def copy(
        self, folder: BackupFolder, plan: IncrementPlan, kind: BackupKind, taken: set[str]
    ) -> Manifest:
        started_at, started = self._clock(), time.perf_counter()
        backup_id = name_of(kind, started_at, self._settings.platform.zone, taken)
        parent = folder.manifest(plan.parent_id) if plan.parent_id else None
        with folder.writing(backup_id) as (temporary, claim):
            copy_server(
                self._db.url,
                temporary / DATA,
                programs=self._tools,
                claim=claim,
                parent=folder.path / parent.backup_id / DATA if parent else None,
                on_size=lambda size: self._progress(size // _MB, None, f"MB · {kind}"),
            )
            manifest = Manifest(
                backup_id=backup_id,
                kind=kind,
                day=self._day,
                started_at=started_at,
                finished_at=self._clock(),
                seconds=round(time.perf_counter() - started, 3),
                codec="none",
                program_version=f"pg_basebackup {self._tools.version}",
                platform_version=version("batch-platform"),
                platform_revision=current_revision(self._db) or "",
                is_made_up=self._settings.is_made_up,
                parent_id=plan.parent_id,
                base_id=parent.base_id if parent else backup_id,
                note=plan.reason,
                system_identifier=self._identifier,
                user=str(conninfo_to_dict(self._db.url).get("user") or ""),
                not_included=_NOT_INCLUDED,
                files=figures_of_files(temporary),
            )
            folder.write_manifest(temporary, manifest)
        return manifest


def verify_link(
    manifest: Manifest,
    *,
    settings: Settings,
    clock: Clock,
    method: str | None = None,
    progress: ProgressReport = unheard,
) -> list[Verification]:
    """Prove that a chain up to a link is whole: put together, started, and every row read.

    Args:
        manifest: The link's.
        settings: Where it lies, and how it is checked (`BACKUP_CHECK`).
        clock: The time.
        method: `restore` or `read` (links fit and hashes are right) instead of the setting's.
        progress: Hears how far it is.

    Returns:
        What was found of the link; before it, of each link below that is damaged.

    Raises:
        ConfigurationError: This machine cannot try it, which says nothing about the backup.
        RetryableError: The disk stood in the way.
    """
    folder, started = BackupFolder(settings.backup_folder), time.perf_counter()
    chosen = "read" if (method or settings.backups.check) == "read" else "restore"
    damaged: list[Verification] = []
    links, problems = _links(manifest, folder)
    for done, link in enumerate(links):
        progress(done, len(links), link.backup_id)
        found = folder.file_problems(link)
        if found and link.backup_id != manifest.backup_id:
            damaged.append(_finding(link, found, "read", 0.0, folder, clock))
        problems += [f"{link.backup_id}: {problem}" for problem in found]
    if not problems:
        try:
            _try_chain(links, folder, settings, starting=chosen == "restore")
        except PermanentError as error:
            problems.append(str(error))
    seconds = round(time.perf_counter() - started, 3)
    return [*damaged, _finding(manifest, problems, chosen, seconds, folder, clock)]


def restore_chain(
    manifest: Manifest,
    target: Path,
    *,
    folder: BackupFolder,
    settings: Settings,
) -> tuple[int, int]:
    """Put a chain together to a folder of a server's files, and prove it by starting a server.

    Args:
        manifest: The last link's.
        target: Folder to make; must not exist. On success it belongs to the server's user.
        folder: Where the links are.
        settings: Which programs to use.

    Returns:
        How many databases and rows were read in it.

    Raises:
        PermanentError: A link is missing or damaged, or no server starts on it; nothing is left.
        ConfigurationError: The target exists, or there are no fitting programs.
    """
    if target.exists():
        raise PermanentError(f"{target} is there already", "Name a folder that is not")
    links, problems = _links(manifest, folder)
    for link in links:
        problems += [f"{link.backup_id}: {each}" for each in folder.file_problems(link)]
    if problems:
        raise PermanentError(
            f"The chain to {manifest.backup_id} is damaged: {'; '.join(problems[:3])}",
            "Nothing was written; use another backup (batch-platform backups list)",
        )
    size = sum(link.size_bytes for link in links)
    require_room(target.parent, int(size * _COMBINED_FACTOR), "the restored server")
    with temporary_folder(target.parent, setting="--to-folder") as (temporary, claim):
        data = temporary / DATA
        tools = _tools_of(manifest, settings)
        combine(_folders(links, folder), data, programs=tools, claim=claim, is_kept=True)
        verify_copy(data, programs=tools)
        temporary.chmod(0o711)
        read = _started(data, manifest, tools)
        data.rename(target)
    return read


def _links(manifest: Manifest, folder: BackupFolder) -> tuple[list[Manifest], list[str]]:
    """The chain's manifests, the full one first; and what is missing of it."""
    known: dict[str, Manifest] = {manifest.backup_id: manifest}
    for backup in folder.backups():
        if backup.manifest is not None:
            known[backup.backup_id] = backup.manifest
    parents = {each.backup_id: each.parent_id for each in known.values()}
    try:
        return [known[each] for each in chain_to(manifest.backup_id, parents)], []
    except KeyError as missing:
        return [manifest], [f"{missing.args[0]}, which it adds to, is missing"]


def _folders(links: Sequence[Manifest], folder: BackupFolder) -> list[Path]:
    return [folder.path / link.backup_id / DATA for link in links]


def _tools_of(manifest: Manifest, settings: Settings) -> PgPrograms:
    major = int(manifest.program_version.split()[-1].partition(".")[0])
    return programs_for(major, settings.backups.programs)


def _try_chain(
    links: Sequence[Manifest], folder: BackupFolder, settings: Settings, *, starting: bool
) -> None:
    tools, folders = _tools_of(links[-1], settings), _folders(links, folder)
    if not starting:
        for each in folders:
            verify_copy(each, programs=tools)
        require_combinable(folders, programs=tools)
        return
    size = sum(link.size_bytes for link in links)
    require_room(settings.home, int(size * _COMBINED_FACTOR), "the restore check")
    with temporary_folder(settings.home / "scratch", setting="BATCH_PLATFORM_HOME") as (
        temporary,
        claim,
    ):
        data = temporary / DATA
        combine(folders, data, programs=tools, claim=claim, is_kept=False)
        verify_copy(data, programs=tools)
        temporary.chmod(0o711)
        _started(data, links[-1], tools)


def _started(data: Path, manifest: Manifest, tools: PgPrograms) -> tuple[int, int]:
    """Start a server on the files and read every row.

    Raises:
        PermanentError: It does not start, or something cannot be read.
    """
    binaries = server_program(tools)
    if binaries is None:
        # Put together and compared file by file, which is what can be proved here.
        return 0, 0
    give_to_server(data)
    with running_on(data, binaries, manifest.user) as url:
        return read_everything(url)


def _finding(
    manifest: Manifest,
    problems: Sequence[str],
    method: str,
    seconds: float,
    folder: BackupFolder,
    clock: Clock,
) -> Verification:
    found = Verification(
        backup_id=manifest.backup_id,
        method="restore" if method == "restore" else "read",
        verified_at=clock(),
        seconds=seconds,
        problems=tuple(problems),
        manifest_sha256=folder.manifest_sha256(manifest.backup_id),
        files=folder.seen_files(manifest),
    )
    folder.write_verification(found)
    return found
