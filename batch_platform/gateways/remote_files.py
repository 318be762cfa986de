"""Folders elsewhere: another disk, or a store that speaks S3, through `fsspec`.

What is copied there and when is a domain's business.
"""

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec  # pyright: ignore[reportMissingTypeStubs]

from batch_platform.core.errors import ConfigurationError, PermanentError, RetryableError

_BLOCK_BYTES = 4 << 20


class RemoteFolder:
    """A folder that `fsspec` reaches.

    Args:
        url: `s3://bucket/folder`, `file:///folder` or a path.
        options: What the file system wants: keys, an endpoint.
        setting: The variable that the URL comes from, for errors.

    Raises:
        ConfigurationError: Nobody here knows such URLs.
    """

    def __init__(self, url: str, options: Mapping[str, Any], setting: str) -> None:
        self.url, self._setting = url.rstrip("/"), setting
        with self._plain_errors("open"):
            files, root = _opened(self.url, options)
        self._files, self._root = files, root

    def put(self, source: Path, name: str, sha256: str) -> None:
        """Copy a file there, then read it back and compare.

        Args:
            source: The file.
            name: Its name below the folder.
            sha256: What it must hash to, in hexadecimal.

        Raises:
            RetryableError: The store does not answer, or holds something else than was sent.
        """
        target = f"{self._root}/{name}"
        with self._plain_errors(f"write {name} to"):
            self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(source), target)
        if self.sha256(name) != sha256:
            raise RetryableError(f"{self.url}/{name} is not what was sent there")

    def get(self, name: str, target: Path) -> None:
        """Copy a file here, private to this user."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        with self._plain_errors(f"read {name} from"):
            self._files.get_file(f"{self._root}/{name}", str(target))

    def read(self, name: str) -> bytes | None:
        """A small file's content; None when there is none."""
        with self._plain_errors(f"read {name} from"):
            try:
                return bytes(self._files.cat_file(f"{self._root}/{name}"))
            except FileNotFoundError:
                return None

    def sha256(self, name: str) -> str:
        """Hash of a file as the store gives it back."""
        digest = hashlib.sha256()
        with (
            self._plain_errors(f"read {name} from"),
            self._files.open(f"{self._root}/{name}", "rb") as file,
        ):
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def folders(self) -> list[str]:
        """Names of what is directly below."""
        with self._plain_errors("list"):
            try:
                # Stores remember listings; another process may have written since.
                self._files.invalidate_cache()
                found = self._files.ls(self._root, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)

    def remove(self, name: str) -> None:
        """Remove a folder and all in it, if it is there."""
        with self._plain_errors(f"remove {name} from"):
            if self._files.exists(f"{self._root}/{name}"):
                self._files.rm(f"{self._root}/{name}", recursive=True)

    @contextmanager
    def _plain_errors(self, doing: str) -> Generator[None]:
        try:
            yield
        except ImportError as error:
            raise ConfigurationError(
                f"{self._setting} needs a package that is not installed: {error}",
                "For S3: pip install 'batch-platform[s3]'",
            ) from error
        except ValueError as error:
            raise ConfigurationError(
                f"{self._setting} cannot be used: {error}", "Write s3://bucket/folder or a path"
            ) from error
        except PermissionError as error:
            raise PermanentError(
                f"We may not {doing} {self.url}: {error}", f"See the rights of {self._setting}"
            ) from error
        except OSError as error:
            raise RetryableError(
                f"Could not {doing} {self.url}: {error}", f"See whether {self._setting} is well"
            ) from error


def _opened(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    # fsspec has no types.
    core: Any = fsspec.core
    files, root = core.url_to_fs(url, **options)
    return files, str(root)
