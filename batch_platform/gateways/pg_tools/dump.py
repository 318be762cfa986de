"""Dumps of one database by `pg_dump`, and what `pg_restore` makes of them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.pg_tools.contents import (
    Contents,
    Snapshot,
    TableContent,
    content_of_table,
    contents_of,
    objects_of,
    steady,
)
from batch_platform.gateways.pg_tools.programs import (
    Codec,
    PgPrograms,
    connection_arguments,
    run,
    running,
)
from batch_platform.gateways.platform_db import PlatformDb

LOCK_WAIT_SECONDS = 60
_SECONDS_BETWEEN_REPORTS = 1.0

SizeReport = Callable[[int], None]
"""Hears how many bytes were written so far."""


def dump_with_contents(
    snapshot: Snapshot,
    url: str,
    target: Path,
    *,
    programs: PgPrograms,
    codec: Codec,
    level: int,
    jobs: int,
    claim: int,
    without_schemas: Sequence[str] = (),
    on_size: SizeReport | None = None,
) -> Contents:
    """Dump a snapshot in the directory format while its tables are counted beside it.

    Args:
        snapshot: The moment to dump; of the database that `url` names.
        url: Its libpq URL.
        target: Folder to make.
        programs: The programs to use.
        codec: Compression.
        level: The codec's level.
        jobs: Dump processes; each table is one process's.
        claim: Descriptor of the folder around `target`; see `files.atomic_folder`.
        without_schemas: Schemas whose tables are left out (the schemas themselves are not).
        on_size: Hears about the dump's growth.

    Returns:
        What the snapshot holds, for a comparison with what comes of the dump.

    Raises:
        RetryableError: A lock, the disk or the server stood in the way.
        PermanentError: `pg_dump` failed for another reason.
    """
    conninfo, environment = connection_arguments(url)
    compression = {"none": "0", "gzip": str(level)}.get(codec, f"{codec}:{level}")
    arguments = [
        programs.path("pg_dump"),
        f"--dbname={conninfo}",
        f"--file={target}",
        "--format=directory",
        f"--compress={compression}",
        f"--jobs={jobs}",
        f"--snapshot={snapshot.name}",
        f"--lock-wait-timeout={LOCK_WAIT_SECONDS * 1000}",
        "--no-password",
        # The folder around it reaches the disk as a whole before it gets its name.
        "--no-sync",
        *(f"--exclude-table={schema}.*" for schema in without_schemas),
    ]
    report = _size_reporter(target, on_size)
    with running(arguments, environment, claim=claim, while_waiting=report):
        return contents_of(snapshot, without_schemas, on_table=lambda _: report())


def restore(dump: Path, url: str, *, programs: PgPrograms, jobs: int = 2) -> None:
    """Restore a dump into an empty database, all or nothing left to trust.

    Owners and grants are left out: everything belongs to the user who restores.

    Raises:
        PermanentError: The dump is damaged or the server lacks something that it needs.
        RetryableError: The server or its disk stood in the way.
    """
    conninfo, environment = connection_arguments(url)
    run(
        [
            programs.path("pg_restore"),
            f"--dbname={conninfo}",
            "--no-owner",
            "--no-privileges",
            "--exit-on-error",
            f"--jobs={jobs}",
            "--no-password",
            str(dump),
        ],
        environment,
    )


def read_through(dump: Path, *, programs: PgPrograms) -> None:
    """Read a dump to its end without restoring it: finds what is cut off or does not decompress.

    Raises:
        PermanentError: It cannot be read.
    """
    run([programs.path("pg_restore"), "--file=/dev/null", str(dump)])


def differences(
    db: PlatformDb,
    expected: Sequence[TableContent],
    objects: dict[str, int],
    *,
    workers: int = 2,
) -> list[str]:
    """Compare a restored database with what it should hold.

    Returns:
        A sentence for each table (or kind of object) that differs; none when all is the same.
    """

    def compared(table: TableContent) -> str | None:
        with db.connect("restore check") as connection:
            steady(connection)
            try:
                found = content_of_table(connection, table.schema, table.name, method=table.method)
            except psycopg.errors.UndefinedTable:
                return f"{table.full_name} is missing"
        if found == table:
            return None
        if found.rows != table.rows:
            return f"{table.full_name} has {found.rows:,} rows instead of {table.rows:,}"
        return f"{table.full_name} has other content in as many rows ({table.rows:,})"

    with ThreadPoolExecutor(workers) as pool:
        problems = [problem for problem in pool.map(compared, expected) if problem]
    with db.connect("restore check") as connection:
        found = objects_of(connection)
    problems += [
        f"{found.get(kind, 0)} {kind} instead of {count}"
        for kind, count in objects.items()
        if found.get(kind, 0) != count
    ]
    return problems


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder, which may grow or vanish meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _size_reporter(target: Path, on_size: SizeReport | None) -> Callable[[], None]:
    last = time.monotonic()

    def report() -> None:
        nonlocal last
        if on_size is None or time.monotonic() - last < _SECONDS_BETWEEN_REPORTS:
            return
        last = time.monotonic()
        on_size(folder_size(target))

    return report


def database_size(db: PlatformDb) -> int:
    """Bytes that a database takes on its server."""
    ((size,),) = db.fetch_all("SELECT pg_database_size(current_database())")
    if not isinstance(size, int):
        raise RetryableError("The server did not tell the database's size")
    return size
