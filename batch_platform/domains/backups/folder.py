"""The folder of backups: what is in it, whole or not at all, and whether it is still as it was.

Nothing here knows how a backup is made or restored. The folder alone says all that is known of a
backup: a machine that has nothing else can restore from it.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.domains.backups.logic import Held, kind_and_time
from batch_platform.domains.backups.models import (
    MANIFEST_NAME,
    VERIFICATION_NAME,
    Backup,
    FileFigures,
    Manifest,
    SeenFile,
    State,
    Verification,
)
from batch_platform.gateways.files import atomic_file, atomic_folder, usable_folder

_SETTING = "BACKUP_FOLDER"
_Model = TypeVar("_Model", bound=BaseModel)
_OWN_FILES = {MANIFEST_NAME, VERIFICATION_NAME}


class BackupFolder:
    """All backups of one platform.

    Args:
        path: The folder; made, private to this user, when the first backup is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def backups(self) -> list[Backup]:
        """Every backup with its state, the oldest first.

        Reads manifests and looks at the files' sizes and times: cheap, so what changed without a
        trace there is found by `file_problems` only.
        """
        if not self.path.is_dir():
            return []
        found = [
            self._backup(folder.name)
            for folder in sorted(self.path.iterdir())
            if folder.is_dir() and not folder.name.startswith(".")
            if (folder / MANIFEST_NAME).exists() or (folder / VERIFICATION_NAME).exists()
        ]
        found.sort(key=lambda each: each.manifest.started_at.timestamp() if each.manifest else 0)
        by_id = {each.backup_id: each for each in found}
        return [_with_parents(each, by_id) for each in found]

    def backup(self, backup_id: str) -> Backup:
        """One backup.

        Raises:
            NoDataError: There is none of that name.
        """
        for backup in self.backups():
            if backup.backup_id == backup_id:
                return backup
        raise NoDataError(
            f"There is no backup {backup_id} in {self.path}",
            "See batch-platform backups list",
        )

    def manifest(self, backup_id: str) -> Manifest:
        """A backup's manifest.

        Raises:
            PermanentError: There is none, or it cannot be read.
        """
        path = self.path / backup_id / MANIFEST_NAME
        try:
            return _read(path, Manifest)
        except (OSError, ValidationError) as error:
            raise PermanentError(
                f"The manifest of {backup_id} cannot be read ({_why(error)})",
                "Use another backup",
            ) from None

    @contextmanager
    def writing(self, backup_id: str) -> Generator[tuple[Path, int]]:
        """Hand out a folder that becomes the backup when the block ends well.

        Returns:
            The temporary folder and its claim; see `files.atomic_folder`.
        """
        if not self.path.exists():
            usable_folder(self.path, setting=_SETTING).chmod(0o700)
        with atomic_folder(self.path / backup_id, setting=_SETTING) as (temporary, claim):
            yield temporary, claim

    def write_manifest(self, temporary: Path, manifest: Manifest) -> None:
        """Put the manifest into a backup that is being written."""
        path = temporary / MANIFEST_NAME
        path.touch(mode=0o600)
        path.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")

    def write_verification(self, verification: Verification) -> None:
        """Put what a check found beside what it looked at."""
        path = self.path / verification.backup_id / VERIFICATION_NAME
        with atomic_file(path, setting=_SETTING) as temporary:
            temporary.chmod(0o600)
            temporary.write_text(verification.model_dump_json(indent=1), encoding="utf-8")

    def file_problems(self, manifest: Manifest) -> list[str]:
        """Read every file of a backup and compare it with the manifest.

        Returns:
            A sentence a problem.
        """
        folder = self.path / manifest.backup_id
        problems: list[str] = []
        for file in manifest.files:
            path = folder / file.path
            try:
                if path.stat().st_size != file.size_bytes:
                    problems.append(
                        f"{file.path} has {path.stat().st_size:,} bytes"
                        f" instead of {file.size_bytes:,}"
                    )
                elif sha256_of(path) != file.sha256:
                    problems.append(f"{file.path} has other content (SHA-256)")
            except FileNotFoundError:
                problems.append(f"{file.path} is missing")
        known = {file.path for file in manifest.files} | _OWN_FILES
        problems += [
            f"{path.relative_to(folder)} does not belong to it"
            for path in sorted(folder.rglob("*"))
            if path.is_file() and str(path.relative_to(folder)) not in known
        ]
        return problems

    def seen_files(self, manifest: Manifest) -> dict[str, SeenFile]:
        """How the files of a backup look now; missing ones are left out."""
        folder = self.path / manifest.backup_id
        return {
            file.path: _seen(folder / file.path)
            for file in manifest.files
            if (folder / file.path).exists()
        }

    def manifest_sha256(self, backup_id: str) -> str:
        """Hash of a backup's manifest as it stands."""
        return sha256_of(self.path / backup_id / MANIFEST_NAME)

    def remove(self, backup_id: str) -> None:
        """Remove a backup; it is not listed any more from the first moment on."""
        # A name that the next backup's sweep takes for abandoned, should this be killed.
        doomed = self.path / f".{secrets.token_hex(8)}.partial"
        (self.path / backup_id).rename(doomed)
        shutil.rmtree(doomed)

    def _backup(self, backup_id: str) -> Backup:
        try:
            manifest = self.manifest(backup_id)
        except PermanentError as error:
            return Backup(backup_id, None, State.BAD, None, error.problem)
        if manifest.backup_id != backup_id:
            problem = f"The manifest is of {manifest.backup_id}"
            return Backup(backup_id, None, State.BAD, None, problem)
        try:
            verification = _read(self.path / backup_id / VERIFICATION_NAME, Verification)
        except FileNotFoundError:
            return Backup(backup_id, manifest, State.UNVERIFIED, None)
        except (OSError, ValidationError):
            problem = "What its check found cannot be read"
            return Backup(backup_id, manifest, State.UNVERIFIED, None, problem)
        state, problem = self._state(manifest, verification)
        return Backup(backup_id, manifest, state, verification, problem)

    def _state(self, manifest: Manifest, verification: Verification) -> tuple[State, str]:
        if not verification.is_good:
            return State.BAD, "; ".join(verification.problems)
        if self.manifest_sha256(manifest.backup_id) != verification.manifest_sha256:
            return State.CHANGED, "The manifest changed since the check"
        now = self.seen_files(manifest)
        for path, seen in verification.files.items():
            if path not in now:
                return State.CHANGED, f"{path} is missing since the check"
            if now[path] != seen:
                return State.CHANGED, f"{path} changed since the check"
        return (State.GOOD if verification.method == "restore" else State.READABLE), ""


def figures_of_files(folder: Path) -> tuple[FileFigures, ...]:
    """Size and hash of every file in a backup's folder but our own."""
    paths = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in _OWN_FILES
    ]
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        hashes = list(pool.map(sha256_of, paths))
    finally:
        # A run that is terminated meanwhile does not read the rest first.
        pool.shutdown(cancel_futures=True)
    return tuple(
        FileFigures(
            path=str(path.relative_to(folder)), size_bytes=path.stat().st_size, sha256=sha256
        )
        for path, sha256 in zip(paths, hashes, strict=True)
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def newest(backups: Sequence[Backup], *kinds: str) -> Backup | None:
    """The newest backup of these kinds that can be used; None when there is none."""
    usable = [
        each
        for each in backups
        if each.is_usable and each.manifest is not None and each.manifest.kind in kinds
    ]
    return usable[-1] if usable else None


def held_of(backups: Sequence[Backup], zone: ZoneInfo) -> list[Held]:
    """What the rules (`logic`) know of backups.

    One whose manifest cannot be read goes by its name; what has no such name is left out.

    Args:
        backups: The backups.
        zone: The zone of their calendar days.
    """
    return [each for each in (_held(backup, zone) for backup in backups) if each is not None]


def _held(backup: Backup, zone: ZoneInfo) -> Held | None:
    manifest = backup.manifest
    if manifest is not None:
        return Held(
            backup_id=backup.backup_id,
            kind=manifest.kind,
            made_on=manifest.started_at.astimezone(zone).date(),
            order=manifest.started_at,
            parent_id=manifest.parent_id,
            base_id=manifest.base_id,
            state=backup.state,
            system_identifier=manifest.system_identifier,
        )
    said = kind_and_time(backup.backup_id)
    if said is None:
        return None
    kind, at = said
    return Held(
        backup_id=backup.backup_id,
        kind=kind,
        made_on=at.date(),
        order=at.replace(tzinfo=zone),
        parent_id=None,
        base_id=backup.backup_id,
        state=State.BAD,
    )


def _with_parents(backup: Backup, by_id: dict[str, Backup]) -> Backup:
    """Judge a link of a chain by the links that it stands on."""
    parent_id = backup.manifest.parent_id if backup.manifest else None
    seen = {backup.backup_id}
    while parent_id is not None:
        parent = by_id.get(parent_id)
        if parent is None or parent.manifest is None or parent_id in seen:
            return _orphaned(backup, f"{parent_id}, which it adds to, is not there")
        if parent.state not in (State.GOOD, State.READABLE, State.UNVERIFIED):
            return _orphaned(backup, f"{parent_id}, which it adds to, is {parent.state}")
        seen.add(parent_id)
        parent_id = parent.manifest.parent_id
    return backup


def _orphaned(backup: Backup, problem: str) -> Backup:
    if backup.state in (State.BAD, State.CHANGED):
        return backup
    return Backup(backup.backup_id, backup.manifest, State.ORPHANED, backup.verification, problem)


def _seen(path: Path) -> SeenFile:
    status = path.stat()
    return SeenFile(size_bytes=status.st_size, modified_ns=status.st_mtime_ns)


def _read(path: Path, model: type[_Model]) -> _Model:
    return model.model_validate_json(path.read_bytes())


def _why(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return os.strerror(error.errno or 0)
    return "it is not what a manifest is"
