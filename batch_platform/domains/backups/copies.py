"""Copies of good backups elsewhere: another folder or an S3-compatible store."""

from collections.abc import Sequence
from dataclasses import dataclass

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.folder import BackupFolder, sha256_of
from batch_platform.domains.backups.models import MANIFEST_NAME, Manifest
from batch_platform.gateways.remote_files import RemoteFolder

_SETTING = "BACKUP_COPY_URL"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied.

    Attributes:
        backup_ids: The backups that are there since now.
        size_bytes: What they take.
        note: Where they are, or why nothing was copied.
    """

    backup_ids: tuple[str, ...]
    size_bytes: int
    note: str


def copies(settings: Settings) -> RemoteFolder | None:
    """Where copies are; None when they are not wanted.

    Raises:
        ConfigurationError: `BACKUP_COPY_URL` cannot be used.
    """
    url = settings.backups.copy_url
    if not url:
        return None
    options: dict[str, object] = {}
    if url.startswith("s3://"):
        key, secret = settings.fortunes.aws_access_key_id, settings.fortunes.aws_secret_access_key
        if key and secret:
            options |= {"key": key.get_secret_value(), "secret": secret.get_secret_value()}
        if settings.backups.copy_endpoint_url:
            options["endpoint_url"] = settings.backups.copy_endpoint_url
    return RemoteFolder(url, options, _SETTING)


def copy_good_backups(settings: Settings, progress: ProgressReport = unheard) -> Copied:
    """Copy every good backup that is not there yet; each file is read back and compared.

    The manifest goes last: a copy without one is not a backup.

    Raises:
        RetryableError: The store does not answer, or holds something else than was sent.
        ConfigurationError: `BACKUP_COPY_URL` cannot be used.
    """
    remote = copies(settings)
    if remote is None:
        return Copied((), 0, "Not wanted (BACKUP_COPY_URL)")
    folder = BackupFolder(settings.backup_folder)
    copied: list[Manifest] = []
    for backup in folder.backups():
        manifest = backup.manifest
        if manifest is None or not backup.is_usable or _is_there(remote, folder, manifest):
            continue
        path = folder.path / manifest.backup_id
        for number, file in enumerate(manifest.files):
            progress(number, len(manifest.files), manifest.backup_id)
            remote.put(path / file.path, f"{manifest.backup_id}/{file.path}", file.sha256)
        remote.put(
            path / MANIFEST_NAME,
            f"{manifest.backup_id}/{MANIFEST_NAME}",
            sha256_of(path / MANIFEST_NAME),
        )
        copied.append(manifest)
    return Copied(
        tuple(each.backup_id for each in copied),
        sum(each.size_bytes for each in copied),
        remote.url,
    )


def fetch_copy(name: str, settings: Settings) -> str:
    """Bring a backup back from where copies are, with all that it adds to.

    Args:
        name: Its id; empty for the newest dump there.
        settings: Where copies and backups are.

    Returns:
        Its id.

    Raises:
        NoDataError: There is none.
        PermanentError: What came is not what its manifest says.
    """
    remote = copies(settings)
    if remote is None:
        raise NoDataError("Nobody said where copies are", f"Set {_SETTING}")
    wanted = name or max(
        (each for each in remote.folders() if each.startswith("dump_")), default=""
    )
    folder, fetched = BackupFolder(settings.backup_folder), wanted
    while wanted:
        content = remote.read(f"{wanted}/{MANIFEST_NAME}")
        if content is None:
            raise NoDataError(f"There is no whole backup {wanted} in {remote.url}")
        manifest = Manifest.model_validate_json(content)
        if not (folder.path / wanted).exists():
            _fetch(remote, manifest, folder)
        wanted = manifest.parent_id or ""
    if not fetched:
        raise NoDataError(f"There is no dump in {remote.url}")
    return fetched


def remove_copies(backup_ids: Sequence[str], settings: Settings) -> None:
    """Remove the copies of backups that were removed."""
    remote = copies(settings)
    if remote is not None:
        for backup_id in backup_ids:
            remote.remove(backup_id)


def _is_there(remote: RemoteFolder, folder: BackupFolder, manifest: Manifest) -> bool:
    here = (folder.path / manifest.backup_id / MANIFEST_NAME).read_bytes()
    return remote.read(f"{manifest.backup_id}/{MANIFEST_NAME}") == here


def _fetch(remote: RemoteFolder, manifest: Manifest, folder: BackupFolder) -> None:
    with folder.writing(manifest.backup_id) as (temporary, _):
        for file in manifest.files:
            remote.get(f"{manifest.backup_id}/{file.path}", temporary / file.path)
            if sha256_of(temporary / file.path) != file.sha256:
                raise PermanentError(
                    f"{manifest.backup_id}/{file.path} came damaged from {remote.url}",
                    "Fetch it again, or use another backup",
                )
        remote.get(f"{manifest.backup_id}/{MANIFEST_NAME}", temporary / MANIFEST_NAME)
