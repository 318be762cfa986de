"""Writing a partition whole: DELETE and COPY in the transaction that `PlatformDb.replacing` opens.

Source of the choice: measured against upserts, temporary tables and partition swaps, it is the
simplest and nearly the fastest, and it alone removes rows that are gone.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv as arrow_csv

from batch_platform.core.errors import PermanentError

_CSV = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")


class PartitionTransaction:
    """One open transaction in which partitions are replaced; made by `PlatformDb.replacing`.

    Attributes:
        connection: For the domain's store, when it writes more than whole partitions.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def overwrite(
        self, table: str, where: Mapping[str, Any], batches: Iterable[pa.RecordBatch]
    ) -> int:
        """Delete a partition's rows and copy the new ones in.

        Args:
            table: `schema.table`.
            where: The partition: column → value. The batches hold these columns too.
            batches: Rows; columns are named after the table's. Text must hold no NUL characters,
                which PostgreSQL refuses. A null is NULL, an empty text is an empty text.

        Returns:
            How many rows were written.
        """
        name = sql.Identifier(*table.split("."))
        condition = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder()) for column in where
        )
        self.connection.execute(
            sql.SQL("DELETE FROM {} WHERE {}").format(name, condition), list(where.values())
        )
        return self.append(table, batches)

    def append(self, table: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Copy rows in without deleting any; otherwise like `overwrite`.

        Raises:
            PermanentError: A value does not fit its column. The row is not quoted: it may hold
                personal data.
        """
        try:
            return self._copy(table, batches)
        except psycopg.DataError as error:
            column = f", column {error.diag.column_name}" if error.diag.column_name else ""
            raise PermanentError(
                f"A value does not fit {table}{column} ({type(error).__name__})",
                "Nothing was written; compare the source's types with the table's",
            ) from None

    def _copy(self, table: str, batches: Iterable[pa.RecordBatch]) -> int:
        rows = 0
        iterator = iter(batches)
        first = next(iterator, None)
        if first is None:
            return 0
        columns = sql.SQL(", ").join(map(sql.Identifier, first.schema.names))
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
            sql.Identifier(*table.split(".")), columns
        )
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            batch: pa.RecordBatch | None = first
            while batch is not None:
                buffer = pa.BufferOutputStream()
                arrow_csv.write_csv(_without_zones(batch), buffer, _CSV)
                copy.write(memoryview(buffer.getvalue()))
                rows += batch.num_rows
                batch = next(iterator, None)
        return rows


def _without_zones(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Take the zone from instants, which are UTC inside, as is every session of `PlatformDb`.

    Arrow needs twelve times as long to print a batch whose times have a zone.
    """
    columns = cast("list[pa.Array[Any]]", batch.columns)  # pyright: ignore[reportUnknownMemberType]
    bare = [
        column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column
        for column in columns
    ]
    return pa.record_batch(bare, names=batch.schema.names)
