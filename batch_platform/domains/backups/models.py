"""What is known of a backup. The manifest in its folder is all that a restore needs.

Manifests are read by later versions of the platform: a change of meaning is a new schema version.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from batch_platform.gateways.pg_tools.contents import Method

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"
VERIFICATION_NAME = "verification.json"


class BackupKind(StrEnum):
    """What a backup is made of."""

    DUMP = "dump"
    """Every database as `pg_dump` writes it, from one snapshot each."""
    BASE = "base"
    """The whole server's files, by `pg_basebackup`."""
    BASE_INCREMENT = "base_increment"
    """Blocks of the server's files that changed since the parent."""
    CHANGED_DAYS = "changed_days"
    """Partitions that were overwritten since the parent, a dump, as Parquet."""


class Role(StrEnum):
    """Which database of the platform one is."""

    PLATFORM = "platform"
    DAGSTER = "dagster"
    OTHER = "other"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class TableFigures(_Frozen):
    """Rows and checksum of a table in the backup's snapshot; see `pg_tools.contents`."""

    table_schema: str
    name: str
    rows: int
    checksum: str
    method: Method


class DatabaseFigures(_Frozen):
    """One database of a dump.

    Attributes:
        role: Which one it is.
        name: Its name.
        address: `host:port/name` it came from.
        server_version: PostgreSQL's version there.
        folder: Its dump, below the backup's folder.
        database_bytes: What it took on the server.
        dump_bytes: What the dump takes.
        seconds: How long dumping and counting took.
        snapshot: Which transactions it has seen (`pg_current_snapshot`).
        system_identifier: Of the server's cluster; empty when it may not be asked.
        extensions: Names of its extensions.
        tables: What it held.
        objects: Kind → how many.
    """

    role: Role
    name: str
    address: str
    server_version: str
    folder: str
    database_bytes: int
    dump_bytes: int
    seconds: float
    snapshot: str
    system_identifier: str
    extensions: tuple[str, ...]
    tables: tuple[TableFigures, ...]
    objects: dict[str, int]


class ChangedPartition(_Frozen):
    """A partition of a table in a backup of changed days.

    Attributes:
        table: `schema.table`.
        where: Column → the value's text.
        file: Parquet file below the backup's folder; every value as PostgreSQL's text.
    """

    table: str
    where: dict[str, str | None]
    rows: int
    checksum: str
    method: Method
    file: str


class FileFigures(_Frozen):
    """A file of the backup: path below its folder, bytes, SHA-256 in hexadecimal."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(_Frozen):
    """All that is known of a backup when it is made.

    Attributes:
        backup_id: Kind and local time; its folder's name.
        day: The last day that is whole in it: its partition.
        parent_id: The backup that it adds to.
        base_id: The full backup at the beginning of its chain; itself when it is full.
        seconds: How long it took, without its check.
        codec: `zstd:3`; `none` for base backups.
        program_version: Of `pg_dump` or `pg_basebackup`.
        platform_revision: Of the platform's tables.
        note: Why it is what it is, when that is not plain.
        system_identifier: Of the server's cluster, for copies of the whole server.
        user: A role of that server, for those copies.
        not_included: What a restored platform needs from elsewhere.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    backup_id: str
    kind: BackupKind
    day: date
    started_at: datetime
    finished_at: datetime
    seconds: float
    codec: str
    program_version: str
    platform_version: str
    platform_revision: str
    is_made_up: bool
    parent_id: str | None = None
    base_id: str
    note: str = ""
    databases: tuple[DatabaseFigures, ...] = ()
    changed: tuple[ChangedPartition, ...] = ()
    system_identifier: str = ""
    user: str = ""
    not_included: tuple[str, ...] = ()
    files: tuple[FileFigures, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def row_count(self) -> int:
        """Rows that were counted; 0 for copies of a server's files."""
        of_tables = (table.rows for each in self.databases for table in each.tables)
        return sum(of_tables) + sum(each.rows for each in self.changed)


class SeenFile(_Frozen):
    """How a file looked when it was last checked: a change shows without reading it."""

    size_bytes: int
    modified_ns: int


class Verification(_Frozen):
    """What a check of a backup found.

    Attributes:
        method: `restore`: restored and compared. `read`: hashes right and readable to the end,
            which does not prove that it restores.
        problems: A sentence each; none when it is good.
        manifest_sha256: Of the manifest that was checked.
        files: Path → how it looked.
    """

    backup_id: str
    method: Literal["restore", "read"]
    verified_at: datetime
    seconds: float
    problems: tuple[str, ...]
    manifest_sha256: str
    files: dict[str, SeenFile]

    @property
    def is_good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


class State(StrEnum):
    """What is known of a backup now."""

    GOOD = "good"
    """Restored and compared, and unchanged since."""
    READABLE = "readable"
    """Read through to its end, and unchanged since; nobody tried to restore it."""
    UNVERIFIED = "unverified"
    """Not checked yet, or not on this machine."""
    CHANGED = "changed"
    """A file changed or vanished since it was checked."""
    BAD = "bad"
    """A check failed, or the manifest cannot be read."""
    ORPHANED = "orphaned"
    """It adds to a backup that is not there or not good."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup in the folder.

    Attributes:
        manifest: None when it cannot be read.
        problem: Why its state is not `GOOD`, in a sentence; may be empty.
    """

    backup_id: str
    manifest: Manifest | None
    state: State
    verification: Verification | None
    problem: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it passed a check and did not change since."""
        return self.state in (State.GOOD, State.READABLE)


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """A copy of a table in the schema `snapshots`.

    Attributes:
        week: Its partition, named after a Sunday.
        taken_at: UTC.
        checksum: Of the rows when it was taken.
        method: How they were hashed; see `pg_tools.contents.Method`.
        is_there: Whether the copy still exists: dumps do not hold it.
    """

    snapshot_name: str
    week: date
    source_schema: str
    source_table: str
    taken_at: datetime
    row_count: int
    checksum: str
    method: Method
    size_bytes: int
    seconds: float
    is_made_up: bool
    is_there: bool

    @property
    def source(self) -> str:
        """`schema.table` that it is a copy of."""
        return f"{self.source_schema}.{self.source_table}"
