"""SQL about overwritten partitions: which there are since a backup, their rows out and in.

In the files every value is PostgreSQL's own text of it, so that nothing is lost on the way.
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql
from pyarrow import csv as arrow_csv

from batch_platform.domains.backups.models import ChangedPartition
from batch_platform.gateways.pg_tools.contents import TableContent, content_of_table, steady

_BLOCK_BYTES = 8 << 20
_PARSE = arrow_csv.ParseOptions(newlines_in_values=True)
_WRITE = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")


class ChangeStore:
    """Reads and replaces overwritten partitions in one transaction.

    Args:
        connection: In that transaction.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def overwritten_since(self, snapshot: str) -> list[tuple[str, dict[str, str | None]]]:
        """Partitions whose last overwriting a snapshot has not seen.

        Args:
            snapshot: `pg_current_snapshot()` of the backup to add to, of the same server.

        Returns:
            (table, column → value's text); tables that are gone by now are left out.
        """
        return self._connection.execute(
            "SELECT table_name, partition FROM operations.overwritten_partitions"
            " WHERE NOT pg_visible_in_snapshot(written_by, %s::pg_snapshot)"
            " AND to_regclass(table_name) IS NOT NULL ORDER BY table_name, partition",
            [snapshot],
        ).fetchall()

    def export(self, table: str, where: Mapping[str, str | None], file: Path) -> TableContent:
        """Write a partition's rows to a Parquet file.

        Returns:
            How many there are and their checksum.
        """
        columns = self._columns(table)
        query = sql.SQL("COPY (SELECT {} FROM {} AS row_ WHERE {}) TO STDOUT (FORMAT csv)").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.Identifier(*table.split(".")),
            _condition(where),
        )
        schema = pa.schema([(column, pa.string()) for column in columns])
        file.touch(mode=0o600)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(query) as copy,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            rows = bytearray()
            # The server sends a row at a time, so a block ends where a row does.
            for data in copy:
                rows += data
                if len(rows) > _BLOCK_BYTES:
                    writer.write_table(_parsed(bytes(rows), columns))
                    rows.clear()
            if rows:
                writer.write_table(_parsed(bytes(rows), columns))
        schema_name, name = table.split(".")
        return content_of_table(self._connection, schema_name, name, where=_condition(where))

    def replace(self, changed: ChangedPartition, file: Path) -> bool:
        """Put a partition's rows in place of those that are there.

        Returns:
            Whether the table then holds what the backup's snapshot held.
        """
        steady(self._connection)
        name = sql.Identifier(*changed.table.split("."))
        condition = _condition(changed.where)
        self._connection.execute(sql.SQL("DELETE FROM {} AS row_ WHERE {}").format(name, condition))
        with pq.ParquetFile(file) as source:
            columns = sql.SQL(", ").join(map(sql.Identifier, source.schema_arrow.names))
            statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(name, columns)
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                for batch in _batches(source):
                    buffer = pa.BufferOutputStream()
                    arrow_csv.write_csv(batch, buffer, _WRITE)
                    copy.write(memoryview(buffer.getvalue()))
        schema_name, table_name = changed.table.split(".")
        found = content_of_table(
            self._connection, schema_name, table_name, method=changed.method, where=condition
        )
        return (found.rows, found.checksum) == (changed.rows, changed.checksum)

    @staticmethod
    def rows_in(file: Path) -> int:
        """Read a file to its end and count its rows."""
        with pq.ParquetFile(file) as source:
            return sum(batch.num_rows for batch in _batches(source))

    def _columns(self, table: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [table],
        )
        return [name for (name,) in rows]


def _condition(where: Mapping[str, str | None]) -> sql.Composable:
    """The partition's rows; a value's text is read as its column's type."""
    parts: list[sql.Composable] = [
        sql.SQL("row_.{} IS NULL").format(sql.Identifier(column))
        if value is None
        else sql.SQL("row_.{} = {}").format(sql.Identifier(column), sql.Literal(value))
        for column, value in where.items()
    ]
    return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true")


def _batches(source: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    return source.iter_batches()  # pyright: ignore[reportUnknownMemberType]


def _parsed(data: bytes, columns: list[str]) -> pa.Table:
    types: dict[str, Any] = dict.fromkeys(columns, pa.string())
    return arrow_csv.read_csv(
        BytesIO(data),
        # One block: a long text must not be cut by a boundary.
        read_options=arrow_csv.ReadOptions(column_names=columns, block_size=len(data) + 1),
        parse_options=_PARSE,
        convert_options=arrow_csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
