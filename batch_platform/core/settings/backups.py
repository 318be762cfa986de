"""What is backed up, where to and for how long."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import SecretStr, field_validator
from pydantic_settings import NoDecode

from batch_platform.core.settings.section import Section, readable_cron, split_commas, variable


class BackupsSettings(Section):
    """Backups of databases, and snapshots of tables."""

    folder: Path | None = variable(
        "BACKUP_FOLDER", None, "Folder of the backups; <home>/backups by default"
    )
    database_urls: SecretStr | None = variable(
        "BACKUP_DATABASE_URLS",
        None,
        "Further PostgreSQL databases to back up: URLs divided by spaces or commas",
    )
    codec: Literal["auto", "zstd", "lz4", "gzip", "none"] = variable(
        "BACKUP_CODEC", "auto", "Compression of dumps; auto takes the best that pg_dump has"
    )
    level: int | None = variable(
        "BACKUP_COMPRESSION_LEVEL", None, "Level of the codec; zstd 3, lz4 1, gzip 1 by default"
    )
    jobs: int = variable(
        "BACKUP_JOBS",
        0,
        "Parallel dump processes; 0 takes one a core",
        ge=0,
        le=64,
    )
    check: Literal["restore", "read"] = variable(
        "BACKUP_CHECK",
        "restore",
        "How a backup is checked: restored and compared, or (cheap, proves less) only read through",
    )
    scratch_url: SecretStr | None = variable(
        "BACKUP_SCRATCH_URL",
        None,
        "Server for restore checks, user may make databases; one of our own by default",
    )
    programs: Path | None = variable(
        "BACKUP_PG_BINARIES",
        None,
        "Folder of pg_dump and its siblings; the best fitting one that is installed by default",
    )
    incremental: Literal["auto", "base", "days", "off"] = variable(
        "BACKUP_INCREMENTAL",
        "auto",
        "Incremental backups: base copies of the server, changed days as Parquet, or none;"
        " auto takes base where server and rights allow it",
    )
    retention_days: int = variable(
        "BACKUP_RETENTION_DAYS", 30, "Days that backups are kept", ge=1, le=3650
    )
    keep_monthly: int = variable(
        "BACKUP_KEEP_MONTHLY", 0, "Months of which the first good backup stays longer", ge=0
    )
    snapshot_retention_days: int = variable(
        "SNAPSHOT_RETENTION_DAYS", 7, "Days that snapshots of tables are kept", ge=1, le=3650
    )
    snapshot_tables: Annotated[list[str], NoDecode] = variable(
        "SNAPSHOT_TABLES", [], "Tables (schema.table, commas) to snapshot beside the stocks' six"
    )
    min_free_gb: float = variable(
        "BACKUP_MIN_FREE_GB", 10.0, "Free disk (GB) without which no backup is begun", ge=0
    )
    free_factor: float = variable(
        "BACKUP_FREE_FACTOR", 2.0, "Free disk wanted, as a multiple of the last backup's size", ge=0
    )
    copy_url: str = variable(
        "BACKUP_COPY_URL",
        "",
        "Where good backups are copied to: s3://bucket/folder or another folder; empty for nowhere",
    )
    copy_endpoint_url: str = variable(
        "BACKUP_COPY_ENDPOINT_URL", "", "Address of an S3-compatible store that is not Amazon's"
    )
    first_day: date = variable(
        "BACKUPS_FIRST_DAY", date(2024, 1, 1), "First day that a backup can be of"
    )
    cron: str = variable("BACKUP_CRON", "0 1 * * *", "When the databases are backed up")
    incremental_cron: str = variable(
        "BACKUP_INCREMENTAL_CRON", "30 1 * * *", "When the incremental backup is made"
    )
    snapshot_cron: str = variable("SNAPSHOT_CRON", "0 2 * * 0", "When tables are snapshotted")
    cleanup_cron: str = variable("BACKUP_CLEANUP_CRON", "0 3 * * 0", "When old backups go")
    snapshot_cleanup_cron: str = variable(
        "SNAPSHOT_CLEANUP_CRON", "30 3 * * 0", "When old snapshots go"
    )

    _commas = field_validator("snapshot_tables", mode="before")(split_commas)

    _crons = field_validator(
        "cron", "incremental_cron", "snapshot_cron", "cleanup_cron", "snapshot_cleanup_cron"
    )(readable_cron)

    @field_validator("snapshot_tables")
    @classmethod
    def _with_schemas(cls, value: list[str]) -> list[str]:
        for name in value:
            if len(name.split(".")) != 2 or not all(name.split(".")):
                raise ValueError(f"{name!r} is no table; write it with its schema, like stocks.x")
        return value

    @property
    def further_urls(self) -> list[str]:
        """The URLs of `BACKUP_DATABASE_URLS`, one by one."""
        if self.database_urls is None:
            return []
        text = self.database_urls.get_secret_value().strip()
        # A comma alone does not divide: a URL may name several hosts.
        return [part for part in re.split(r"[\s,]+(?=postgres)", text) if part]
