"""Putting databases back from a dump: beside what is there first, compared, then swapped.

A restore that fails, or whose content differs from the manifest, leaves everything as it was.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from batch_platform.core.days import Clock
from batch_platform.core.errors import (
    ConfigurationError,
    NoDataError,
    PartitionBusyError,
    PermanentError,
)
from batch_platform.core.hashing import lock_key
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.changed_days import apply_changed_days
from batch_platform.domains.backups.folder import BackupFolder, newest
from batch_platform.domains.backups.models import BackupKind, DatabaseFigures, Manifest, Role
from batch_platform.domains.backups.workflow import (
    expected_tables,
    programs_to_read,
    require_server_for,
)
from batch_platform.gateways.pg_tools.dump import differences, restore
from batch_platform.gateways.pg_tools.scratch import (
    create_database,
    drop_database,
    with_database,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.database import holders
from batch_platform.gateways.platform_services import dagster_database_url, platform_database_url

_MAINTENANCE_DATABASE = "postgres"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a database of a dump goes.

    Attributes:
        database: What the dump holds of it.
        db: The database that it becomes.
        table_count: Tables that are there now; None when there is no such database.
    """

    database: DatabaseFigures
    db: PlatformDb
    table_count: int | None

    @property
    def name(self) -> str:
        """The target database's name."""
        return self.db.address.rpartition("/")[2]

    @property
    def server(self) -> PlatformDb:
        """Its server, through a database that is not renamed."""
        return PlatformDb(with_database(self.db.url, _MAINTENANCE_DATABASE), self.db.setting)


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was restored.

    Attributes:
        name: Its name now.
        kept_as: What the database that was there before is called now; empty when there was none.
        row_count: Rows that were compared with the manifest.
    """

    name: str
    address: str
    kept_as: str
    table_count: int
    row_count: int
    seconds: float


def dump_and_changes(manifest: Manifest, folder: BackupFolder) -> tuple[Manifest, Manifest | None]:
    """What a restore of databases is made of: a dump, and changed days over it if they are meant.

    Raises:
        PermanentError: It is a copy of a server's files, or the dump that it adds to is missing.
    """
    if manifest.kind is BackupKind.DUMP:
        return manifest, None
    if manifest.kind is BackupKind.CHANGED_DAYS and manifest.parent_id:
        problems = folder.file_problems(manifest)
        if problems:
            raise PermanentError(
                f"{manifest.backup_id} is damaged: {'; '.join(problems[:3])}",
                "Nothing was changed; restore the dump that it adds to",
            )
        return folder.manifest(manifest.parent_id), manifest
    raise PermanentError(
        f"{manifest.backup_id} is a copy of a server's files, not of databases",
        "Put it together with --to-folder",
    )


def restore_targets(
    manifest: Manifest,
    settings: Settings,
    *,
    only: Sequence[str] = (),
    into: str | None = None,
) -> list[Target]:
    """Which databases of a dump go where.

    Args:
        manifest: The dump's.
        settings: The platform to restore.
        only: Names of databases; by default the platform's own and Dagster's.
        into: URL of the database that the one chosen becomes.

    Raises:
        NoDataError: The dump has no such database.
        PermanentError: It is not plain where a database should go.
    """
    unknown = set(only) - {each.name for each in manifest.databases}
    if unknown:
        raise NoDataError(
            f"{manifest.backup_id} has no database {', '.join(sorted(unknown))}",
            f"It has {', '.join(each.name for each in manifest.databases)}",
        )
    chosen = [
        each
        for each in manifest.databases
        if (each.name in only if only else each.role is not Role.OTHER)
    ]
    if into is not None:
        if len(chosen) != 1:
            raise PermanentError(
                "One URL is not enough for several databases", "Name one with --database"
            )
        return [_target(chosen[0], PlatformDb(into, "--into"))]
    if manifest.is_made_up != settings.is_made_up:
        raise PermanentError(
            f"{manifest.backup_id} holds {'made-up' if manifest.is_made_up else 'real'} data,"
            f" this is the {settings.profile} platform",
            "Restore it into a database of its own with --database and --into",
        )
    return [_target(each, _own_database(each, settings)) for each in chosen]


def restore_database(
    manifest: Manifest,
    target: Target,
    *,
    folder: BackupFolder,
    settings: Settings,
    clock: Clock,
    beside: bool = False,
    changes: Manifest | None = None,
) -> Restored:
    """Restore one database, compare it with the manifest and put it in its place.

    The database that was there is renamed, not dropped, unless it was empty.

    Args:
        manifest: The dump's; its files are checked by `require_whole` before.
        target: Where to.
        folder: Where the dump is.
        settings: Which programs to use.
        clock: The time, for names.
        beside: Leave what is there alone and give the restored one a name of its own.
        changes: Changed days to put over the platform's database.

    Raises:
        PermanentError: What was restored differs; it is dropped again.
        PartitionBusyError: A run works in the database that would be replaced.
        ConfigurationError: The server cannot hold it, or we may not make databases there.
    """
    started, server = time.perf_counter(), target.server
    require_server_for(target.database, server)
    stamp = f"{clock().astimezone(settings.platform.zone):%Y%m%d_%H%M%S}"
    with server.connect(f"restore {target.name}") as lock:
        _claim(lock, target.name)
        if not beside and target.table_count is not None:
            _require_idle(target)
        _drop_unfinished(server, target.name)
        fresh = PlatformDb(
            with_database(target.db.url, f"{target.name}_restoring_{uuid4().hex[:8]}"),
            target.db.setting,
        )
        fresh_name = fresh.address.rpartition("/")[2]
        _create(server, fresh_name)
        try:
            _fill(fresh, manifest, target.database, folder, settings)
            if changes is not None and target.database.role is Role.PLATFORM:
                apply_changed_days(fresh, changes, folder.path / changes.backup_id)
            if beside:
                name, kept_as = f"{target.name}_restored_{stamp}", ""
                _rename(lock, {fresh_name: name})
            else:
                name, kept_as = target.name, _swap(lock, target, fresh_name, stamp)
        except BaseException:
            drop_database(server, fresh_name)
            raise
    return Restored(
        name=name,
        address=PlatformDb(with_database(target.db.url, name)).address,
        kept_as=kept_as,
        table_count=len(target.database.tables),
        row_count=sum(table.rows for table in target.database.tables),
        seconds=time.perf_counter() - started,
    )


def require_whole(manifest: Manifest, folder: BackupFolder) -> None:
    """Read every file before anything is touched.

    Raises:
        PermanentError: One is not what it was.
    """
    problems = folder.file_problems(manifest)
    if problems:
        raise PermanentError(
            f"{manifest.backup_id} is damaged: {'; '.join(problems[:3])}",
            "Nothing was changed; use another backup (batch-platform backups list)",
        )


def _own_database(database: DatabaseFigures, settings: Settings) -> PlatformDb:
    if database.role is Role.PLATFORM:
        return PlatformDb(platform_database_url(settings))
    if database.role is Role.DAGSTER:
        return PlatformDb(dagster_database_url(settings))
    raise PermanentError(
        f"{database.name} is not the platform's own database",
        f"Say where it goes: --database {database.name} --into postgresql://…/{database.name}",
    )


def _target(database: DatabaseFigures, db: PlatformDb) -> Target:
    server = PlatformDb(with_database(db.url, _MAINTENANCE_DATABASE), db.setting)
    name = db.address.rpartition("/")[2]
    if not server.fetch_all("SELECT FROM pg_database WHERE datname = %s", [name]):
        return Target(database, db, None)
    ((count,),) = db.fetch_all(
        "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema'"
    )
    return Target(database, db, count)


def _claim(connection: psycopg.Connection, name: str) -> None:
    row = connection.execute(
        "SELECT pg_try_advisory_lock(%s)", [lock_key("restore", name)]
    ).fetchone()
    if row != (True,):
        raise PartitionBusyError(f"{name} is being restored by another command", "Wait for it")


def _drop_unfinished(server: PlatformDb, name: str) -> None:
    """Drop what restores that were killed left; nobody else restores it now."""
    for (unfinished,) in server.fetch_all(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{name}_restoring_"]
    ):
        drop_database(server, unfinished)


def _create(server: PlatformDb, name: str) -> None:
    try:
        create_database(server, name)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"The user of {server.setting} may not make databases at {server.address}",
            "Have an administrator run: ALTER ROLE … CREATEDB",
        ) from error


def _fill(
    fresh: PlatformDb,
    manifest: Manifest,
    database: DatabaseFigures,
    folder: BackupFolder,
    settings: Settings,
) -> None:
    jobs = os.cpu_count() or 1
    dump = folder.path / manifest.backup_id / database.folder
    restore(dump, fresh.url, programs=programs_to_read(manifest, settings), jobs=jobs)
    problems = differences(fresh, expected_tables(database), database.objects, workers=jobs)
    if problems:
        raise PermanentError(
            f"What was restored of {database.name} differs: {'; '.join(problems[:3])}",
            "Nothing was changed; use another backup",
        )


def _swap(connection: psycopg.Connection, target: Target, fresh_name: str, stamp: str) -> str:
    """Give the fresh database its name; return what the one before it is called now."""
    if target.table_count is None:
        _rename(connection, {fresh_name: target.name})
        return ""
    _require_idle(target)
    kept_as = f"{target.name}_before_{stamp}"
    old = sql.Identifier(target.name)
    # Or whoever is sent away would be back before the name is free.
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(old))
    try:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            [target.name],
        )
        _rename(connection, {target.name: kept_as, fresh_name: target.name})
    except BaseException:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(old))
        raise
    if target.table_count == 0:
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(kept_as)))
        return ""
    connection.execute(
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(kept_as))
    )
    return kept_as


def _require_idle(target: Target) -> None:
    with target.db.connect("restore") as connection:
        working = holders(connection)
    if working:
        raise PartitionBusyError(
            f"{target.name} is in use by {', '.join(working[:3])}",
            "Wait for it or stop the platform (batch-platform down), then restore",
        )


def _rename(connection: psycopg.Connection, names: dict[str, str]) -> None:
    with connection.transaction():
        for before, after in names.items():
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(before), sql.Identifier(after)
                )
            )


def find_backup(
    name: str,
    settings: Settings,
    *,
    until: date | None = None,
    kinds: Sequence[BackupKind] = (BackupKind.DUMP, BackupKind.CHANGED_DAYS),
) -> tuple[BackupFolder, Manifest]:
    """A backup by its id, by its folder wherever that is, or the newest good one.

    Args:
        name: Id or path; empty for the newest that passed its check.
        settings: Where backups lie.
        until: The last day that it may hold; None for any.
        kinds: Of which kind the newest may be.

    Raises:
        NoDataError: There is none.
        PermanentError: Its manifest cannot be read.
    """
    folder, backup_id = BackupFolder(settings.backup_folder), name
    if not name:
        fitting = [
            each
            for each in folder.backups()
            if until is None or (each.manifest is not None and each.manifest.day <= until)
        ]
        found = newest(fitting, *kinds)
        if found is None:
            of_day = f" until {until}" if until else ""
            raise NoDataError(
                f"There is no good backup{of_day} in {folder.path}",
                "See batch-platform backups list, or name one that nobody checked yet",
            )
        backup_id = found.backup_id
    elif (path := Path(name).expanduser().resolve()).is_dir():
        folder, backup_id = BackupFolder(path.parent), path.name
    folder.backup(backup_id)
    return folder, folder.manifest(backup_id)
