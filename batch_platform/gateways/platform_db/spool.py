"""`Spool`: rows that arrive over hours, kept on disk until a partition is written in one go.

Keeps a night's answers out of memory and its transaction short.
"""

import errno
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from batch_platform.core.errors import RetryableError

_ROWS_PER_BATCH = 500
"""Few, since making a batch holds up every other thread: answers that arrive meanwhile wait."""


class Spool:
    """A temporary file of rows of one schema; a context manager, gone when it is left.

    Args:
        schema: Names and types of the columns.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._file = tempfile.TemporaryFile(prefix="batch-platform-spool-")  # noqa: SIM115
        self._writer = pa.ipc.new_stream(self._file, schema)
        self._pending: list[Mapping[str, Any]] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Throw the rows away."""
        with suppress(OSError):  # a full disk, for the last of what is thrown away
            self._file.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; every column of the schema must be in it.

        Raises:
            RetryableError: The disk is full.
        """
        self._pending.append(row)
        self.rows += 1
        if len(self._pending) >= _ROWS_PER_BATCH:
            self._flush()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows. Call once, after the last `add`."""
        self._flush()
        with _full_disk_told():
            self._writer.close()
            self._file.seek(0)
        with pa.ipc.open_stream(self._file) as reader:
            yield from reader

    def _flush(self) -> None:
        if self._pending:
            batch = pa.RecordBatch.from_pylist(self._pending, self._schema)
            with _full_disk_told():
                self._writer.write_batch(batch)  # pyright: ignore[reportUnknownMemberType]
            self._pending = []


@contextmanager
def _full_disk_told() -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise RetryableError(
            f"The disk of temporary files ({tempfile.gettempdir()}) is full",
            "Make room there, or name another folder in TMPDIR",
        ) from error
