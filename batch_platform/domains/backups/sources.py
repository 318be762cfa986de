"""Which databases belong in a backup, and which programs and room it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from batch_platform.core.settings import Settings
from batch_platform.domains.backups.logic import room_needed
from batch_platform.domains.backups.models import Backup, BackupKind, Role
from batch_platform.gateways.pg_tools.scratch import require_room
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import dagster_database_url

SNAPSHOTS_SCHEMA = "snapshots"

NOT_INCLUDED = (
    "roles and their passwords (whoever restores owns everything)",
    "the server's configuration",
    "files: .env, reports, logs",
    f"copies of tables in the schema {SNAPSHOTS_SCHEMA}",
)
"""What a platform needs beside a dump."""


@dataclass(frozen=True, slots=True)
class Source:
    """A database to back up.

    Attributes:
        without_schemas: Schemas whose tables are not backed up.
    """

    role: Role
    db: PlatformDb
    without_schemas: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The database's name."""
        return self.db.address.rpartition("/")[2]


def databases(settings: Settings, db: PlatformDb) -> list[Source]:
    """The platform's database, Dagster's storage and those of `BACKUP_DATABASE_URLS`."""
    return [
        Source(Role.PLATFORM, db, (SNAPSHOTS_SCHEMA,)),
        Source(Role.DAGSTER, PlatformDb(dagster_database_url(settings))),
        *(
            Source(Role.OTHER, PlatformDb(url, "BACKUP_DATABASE_URLS"))
            for url in settings.backups.further_urls
        ),
    ]


def require_room_for_backup(
    folder: Path,
    kinds: Sequence[BackupKind],
    backups: Sequence[Backup],
    settings: Settings,
    database_bytes: int,
) -> None:
    """Begin nothing that may fill the disk.

    Raises:
        RetryableError: Too little is free; the numbers are told.
    """
    sizes = [
        each.manifest.size_bytes
        for each in backups
        if each.manifest is not None and each.manifest.kind in kinds
    ]
    needed = room_needed(
        min_free_gb=settings.backups.min_free_gb,
        factor=settings.backups.free_factor,
        last_bytes=sizes[-1] if sizes else 0,
        database_bytes=database_bytes,
    )
    require_room(folder, needed, "a backup (BACKUP_MIN_FREE_GB, BACKUP_FREE_FACTOR)")


def system_identifier(db: PlatformDb) -> str:
    """Names the server's cluster; empty when the server does not tell this user."""
    with db.connect("backup") as connection:
        try:
            row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
        except psycopg.errors.InsufficientPrivilege:
            return ""
    return str(row[0]) if row else ""
