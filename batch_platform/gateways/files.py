"""Files that are there whole or not at all.

How a file reaches its final name belongs here; what is in it (`workbook`, dumps, archives) does
not. POSIX only: a writer's claim on its temporary is a `flock`, which ends with its process.
"""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from batch_platform.core.errors import ConfigurationError, PlatformError, RetryableError

TEMPORARY_PATTERN = ".*.partial"
"""Names of files that are being written, in the folder where they will appear."""

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT}
_UNUSABLE_FOLDER = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


def usable_folder(path: Path, *, setting: str) -> Path:
    """Make a folder unless it is there, and make sure that files can be written in it.

    Args:
        path: The folder.
        setting: The variable or option that chose it, for the error's remedy.

    Returns:
        The folder.

    Raises:
        ConfigurationError: It cannot be made or written to.
        RetryableError: The disk is full.
    """
    with plain_errors(path, setting):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return path


@contextmanager
def atomic_file(path: Path, *, setting: str) -> Generator[Path]:
    """Hand out a temporary path that becomes `path` when the block ends well.

    The temporary is in the same folder (which is made if need be), so the rename is atomic; file
    and folder reach the disk before this returns. After any error the temporary is gone and an
    older file is as it was. Temporaries that killed processes left in the folder are removed first.

    Args:
        path: The file to make or replace.
        setting: The variable or option that chose the folder, for the error's remedy.

    Raises:
        ConfigurationError: The folder cannot be made or written to.
        RetryableError: The disk is full; in the block too, whatever file there met it.
    """
    with plain_errors(path, setting):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        _remove_abandoned(path.parent)
        temporary, claim = _claimed_temporary(path.parent)
    try:
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        except OSError as error:
            raise (_full_disk(path, temporary) if error.errno in _FULL_DISK else error) from error
        with plain_errors(path, setting):
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(claim)


@contextmanager
def atomic_folder(path: Path, *, setting: str) -> Generator[tuple[Path, int]]:
    """Hand out a temporary folder, private to this user, that becomes `path` when the block ends.

    As with `atomic_file`: beside its final place, on the disk before it is renamed, gone after an
    error; folders that killed processes left there are removed first.

    Args:
        path: The folder to make; must not exist.
        setting: The variable or option that chose the folder around it, for the error's remedy.

    Returns:
        The temporary folder, and a descriptor that claims it: a program that writes into it
        inherits that, so that the folder counts as abandoned only when the program has ended too.

    Raises:
        ConfigurationError: The folder cannot be made or written to.
        RetryableError: The disk is full.
    """
    with temporary_folder(path.parent, setting=setting) as (temporary, claim):
        try:
            yield temporary, claim
            _sync_tree(temporary)
        except OSError as error:
            raise (_full_disk(path, None) if error.errno in _FULL_DISK else error) from error
        with plain_errors(path, setting):
            temporary.rename(path)
            _sync_folder(path.parent)


@contextmanager
def temporary_folder(
    parent: Path, *, setting: str, remove: Callable[[Path], object] | None = None
) -> Generator[tuple[Path, int]]:
    """Hand out a folder, private to this user, that is gone when the block ends.

    Those that killed processes left in `parent` are removed first.

    Args:
        parent: Where it is made.
        setting: The variable or option that chose `parent`, for the error's remedy.
        remove: Removes what is more than files, before the files.

    Returns:
        The folder and its claim; see `atomic_folder`.
    """
    with plain_errors(parent, setting):
        parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned_folders(parent, remove)
        temporary, claim = _claimed_folder(parent)
    try:
        yield temporary, claim
    finally:
        if remove is not None and temporary.exists():
            remove(temporary)
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(claim)


def remove_abandoned_folders(
    parent: Path, remove: Callable[[Path], object] | None = None
) -> list[Path]:
    """Remove what killed processes left half-made in `parent`; return what it was."""
    removed: list[Path] = []
    for temporary in parent.glob(TEMPORARY_PATTERN):
        if not temporary.is_dir():
            continue
        try:
            claim = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue  # gone by now, or another user's: not ours to judge
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if remove is not None:
                remove(temporary)
            shutil.rmtree(temporary, ignore_errors=True)
            removed.append(temporary)
        except BlockingIOError:
            continue  # its writer lives
        finally:
            os.close(claim)
    return removed


@contextmanager
def plain_errors(path: Path, setting: str) -> Generator[None]:
    """Say plainly what the disk refuses, for files that are not written at one go.

    Args:
        path: The file or folder that is written.
        setting: The variable or option that chose it, for the error's remedy.

    Raises:
        ConfigurationError: It cannot be made or written to.
        RetryableError: The disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_DISK:
            raise _full_disk(path, None) from error
        if error.errno in _UNUSABLE_FOLDER:
            raise ConfigurationError(
                f"{path} cannot be written: {os.strerror(error.errno or 0)}",
                f"Choose a folder that this user may write to with {setting}",
            ) from error
        raise


def _claimed_temporary(folder: Path) -> tuple[Path, int]:
    while True:
        temporary = folder / f".{secrets.token_hex(8)}.partial"
        # Not `tempfile`: its files are private to the user, a report is for whom the umask allows.
        claim = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(claim, fcntl.LOCK_EX)
        if temporary.exists():
            return temporary, claim
        os.close(claim)  # another process swept it between its creation and its lock


def _claimed_folder(folder: Path) -> tuple[Path, int]:
    while True:
        temporary = folder / f".{secrets.token_hex(8)}.partial"
        temporary.mkdir(mode=0o700)
        try:
            claim = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another process swept it at once
        fcntl.flock(claim, fcntl.LOCK_EX)
        if temporary.exists():
            return temporary, claim
        os.close(claim)  # another process swept it between its creation and its lock


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            with (Path(parent) / name).open("rb") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(parent))


def _remove_abandoned(folder: Path) -> None:
    for temporary in folder.glob(TEMPORARY_PATTERN):
        try:
            claim = os.open(temporary, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # gone by now, or another user's: not ours to judge
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink(missing_ok=True)
        except BlockingIOError:
            continue  # its writer lives
        finally:
            os.close(claim)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _full_disk(path: Path, temporary: Path | None) -> PlatformError:
    written = temporary.stat().st_size if temporary is not None and temporary.exists() else 0
    free = shutil.disk_usage(path.parent if path.parent.exists() else path.anchor).free
    return RetryableError(
        f"The disk is full: {path} has no room"
        f" ({written / 1e6:.1f} MB were written, {free / 1e6:.1f} MB are free)",
        f"Make room on the disk of {path.parent} and run this again; nothing was left half-written",
    )
