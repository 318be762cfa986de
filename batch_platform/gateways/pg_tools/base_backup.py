"""Copies of a whole server's files by `pg_basebackup`, full and incremental, and chains of them.

Source: PostgreSQL's documentation of `pg_basebackup --incremental`, `pg_combinebackup` and
`pg_verifybackup`, version 17 and later. Which copy adds to which is the domain's.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from batch_platform.core.errors import PermanentError
from batch_platform.gateways.pg_tools.contents import server_version
from batch_platform.gateways.pg_tools.dump import SizeReport, folder_size
from batch_platform.gateways.pg_tools.programs import PgPrograms, connection_arguments, run
from batch_platform.gateways.platform_db import PlatformDb

BASE_MANIFEST = "backup_manifest"
"""PostgreSQL's own list of a copy's files, and what the next copy starts from."""

_FIRST_MAJOR = 17
_NEEDED = ("pg_basebackup", "pg_combinebackup", "pg_verifybackup")


class IncrementImpossibleError(PermanentError):
    """The server cannot add to that copy any more; a full one is needed."""


def why_not_incremental(db: PlatformDb, programs: PgPrograms) -> str:
    """Why a server's files cannot be copied incrementally, in a sentence; empty when they can."""
    major, full = server_version(db)
    if major < _FIRST_MAJOR:
        return f"PostgreSQL {full} has no incremental base backups; version {_FIRST_MAJOR} has"
    if programs.major != major or not all((programs.folder / each).exists() for each in _NEEDED):
        return f"There are no {', '.join(_NEEDED)} of version {major} here"
    ((summarizes, level, may_copy),) = db.fetch_all(
        "SELECT current_setting('summarize_wal'), current_setting('wal_level'),"
        " (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)"
    )
    if summarizes != "on":
        return "The server does not summarize its WAL (summarize_wal = on)"
    if level == "minimal":
        return "The server's wal_level is minimal"
    if not may_copy:
        return "The user may not replicate (ALTER ROLE … REPLICATION)"
    return ""


def copy_server(
    url: str,
    target: Path,
    *,
    programs: PgPrograms,
    claim: int,
    parent: Path | None = None,
    on_size: SizeReport | None = None,
) -> None:
    """Copy a server's files, with the WAL that makes them consistent.

    Args:
        url: libpq URL of any database of the server.
        target: Folder to make.
        programs: Of the server's major version.
        claim: Descriptor of the folder around `target`; see `files.atomic_folder`.
        parent: The copy that this one adds to; None for a full one.
        on_size: Hears about the copy's growth.

    Raises:
        IncrementImpossibleError: The server lacks what it needs to add to `parent`.
        PermanentError: `pg_basebackup` failed for another reason.
        RetryableError: The disk or the server stood in the way.
    """
    conninfo, environment = connection_arguments(url)
    arguments = [
        programs.path("pg_basebackup"),
        f"--dbname={conninfo}",
        f"--pgdata={target}",
        "--format=plain",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        # The folder around it reaches the disk as a whole before it gets its name.
        "--no-sync",
        "--no-password",
    ]
    if parent is not None:
        arguments.append(f"--incremental={parent / BASE_MANIFEST}")
    report = _sizes(target, on_size)
    try:
        run(arguments, environment, claim=claim, while_waiting=report)
    except PermanentError as error:
        if parent is not None and ("summar" in error.problem or "manifest" in error.problem):
            raise IncrementImpossibleError(error.problem) from error
        raise


def verify_copy(folder: Path, *, programs: PgPrograms) -> None:
    """Compare a copy with PostgreSQL's own list of its files, and read its WAL.

    Raises:
        PermanentError: A file is missing, changed or not on the list.
    """
    run([programs.path("pg_verifybackup"), "--exit-on-error", "--quiet", str(folder)])


def combine(
    chain: Sequence[Path], target: Path, *, programs: PgPrograms, claim: int, is_kept: bool
) -> None:
    """Put a full copy and those that add to it together to one that a server starts from.

    Args:
        chain: The full one first, each adding to the one before.
        target: Folder to make.
        programs: Of the copies' major version.
        claim: Descriptor of the folder around `target`.
        is_kept: Whether it must survive a power cut.

    Raises:
        PermanentError: A link is missing or does not fit.
    """
    syncing = [] if is_kept else ["--no-sync"]
    run(
        [programs.path("pg_combinebackup"), f"--output={target}", *syncing, *map(str, chain)],
        claim=claim,
    )


def require_combinable(chain: Sequence[Path], *, programs: PgPrograms) -> None:
    """Look whether a chain's links fit, without writing anything.

    Raises:
        PermanentError: A link is missing or does not fit.
    """
    unused = chain[-1].with_name("never-written")
    run([programs.path("pg_combinebackup"), "--dry-run", f"--output={unused}", *map(str, chain)])


def _sizes(target: Path, on_size: SizeReport | None) -> Callable[[], None]:
    calls = 0

    def report() -> None:
        nonlocal calls
        calls += 1
        # Thousands of files are looked at each time.
        if on_size is not None and calls % 40 == 0:
            on_size(folder_size(target))

    return report
