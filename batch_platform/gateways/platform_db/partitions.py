"""Writing a partition whole: DELETE and COPY in the transaction that `PlatformDb.replacing` opens.

Source of the choice: measured against upserts, temporary tables and partition swaps, it is the
simplest and nearly the fastest, and it alone removes rows that are gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv as arrow_csv

from batch_platform.core.errors import PermanentError

_CSV = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What became of the rows of one or more partitions."""

    inserted: int = 0
    changed: int = 0
    removed: int = 0

    def __add__(self, other: "RowChanges") -> "RowChanges":
        return RowChanges(
            self.inserted + other.inserted,
            self.changed + other.changed,
            self.removed + other.removed,
        )


class PartitionTransaction:
    """One open transaction in which partitions are replaced; made by `PlatformDb.replacing`.

    Attributes:
        connection: For the domain's store, when it writes more than whole partitions.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def overwrite(
        self,
        table: str,
        where: Mapping[str, Any],
        batches: Iterable[pa.RecordBatch],
        *,
        keeps_imported: bool = False,
    ) -> int:
        """Delete a partition's rows and copy the new ones in.

        Args:
            table: `schema.table`.
            where: The partition: column → value. The batches hold these columns too.
            batches: Rows; columns are named after the table's. Text must hold no NUL characters,
                which PostgreSQL refuses. A null is NULL, an empty text is an empty text.
            keeps_imported: Whether rows with an `import_id` stay: done before, not to be redone.

        Returns:
            How many rows were written.
        """
        name = sql.Identifier(*table.split("."))
        condition = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder()) for column in where
        )
        self.connection.execute(
            sql.SQL("DELETE FROM {} WHERE {}{}").format(
                name, condition, sql.SQL(" AND import_id IS NULL" if keeps_imported else "")
            ),
            list(where.values()),
        )
        self._note_overwritten(table, where)
        return self.append(table, batches)

    def reconcile(
        self,
        table: str,
        where: tuple[str, Sequence[Any]],
        key: Sequence[str],
        batches: Iterable[pa.RecordBatch],
    ) -> RowChanges:
        """Make partitions hold exactly the new rows, and touch only those that differ.

        Costs about twice as much as `overwrite` when all is new; when all is the same, nothing is
        written.

        Args:
            table: `schema.table`.
            where: The partitions: a column and its values. All of its rows for these are meant.
            key: Columns that name a row.
            batches: As for `overwrite`; never without a batch, which tells the columns.

        Raises:
            PermanentError: As `append`.
        """
        name, staging = sql.Identifier(*table.split(".")), sql.Identifier("reconciled_rows")
        first, *others = batches
        columns = [column for column in first.schema.names if column not in key]
        self.connection.execute(
            sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                staging, _listed(first.schema.names), name
            )
        )
        self.append("reconciled_rows", [first, *others])
        self.connection.execute(sql.SQL("ANALYZE {}").format(staging))
        same_key = sql.SQL(" AND ").join(
            sql.SQL("old.{0} = new.{0}").format(sql.Identifier(column)) for column in key
        )
        parts = {
            "table": name,
            "staging": staging,
            "same_key": same_key,
            "scope": sql.SQL("old.{} = ANY(%s)").format(sql.Identifier(where[0])),
            "assigned": sql.SQL(", ").join(
                sql.SQL("{0} = new.{0}").format(sql.Identifier(column)) for column in columns
            ),
            "old": _listed(columns, "old"),
            "new": _listed(columns, "new"),
            "all": _listed(first.schema.names),
            "all_new": _listed(first.schema.names, "new"),
        }
        scope = [list(where[1])]
        removed = self.connection.execute(
            sql.SQL(
                "DELETE FROM {table} AS old WHERE {scope}"
                " AND NOT EXISTS (SELECT FROM {staging} AS new WHERE {same_key})"
            ).format(**parts),
            scope,
        )
        changed = self.connection.execute(
            sql.SQL(
                "UPDATE {table} AS old SET {assigned} FROM {staging} AS new"
                " WHERE {scope} AND {same_key} AND ({old}) IS DISTINCT FROM ({new})"
            ).format(**parts),
            scope,
        )
        inserted = self.connection.execute(
            sql.SQL(
                "INSERT INTO {table} ({all}) SELECT {all_new} FROM {staging} AS new"
                " WHERE NOT EXISTS (SELECT FROM {table} AS old WHERE {scope} AND {same_key})"
            ).format(**parts),
            scope,
        )
        self.connection.execute(sql.SQL("DROP TABLE {}").format(staging))
        changes = RowChanges(inserted.rowcount, changed.rowcount, removed.rowcount)
        if inserted.rowcount or changed.rowcount or removed.rowcount:
            self.note_overwritten(table, where)
        return changes

    def note_overwritten(self, table: str, where: tuple[str, Sequence[Any]]) -> None:
        """Remember that partitions changed, for a store that wrote them by itself or by `append`.

        Args:
            table: `schema.table`.
            where: The partitions: a column and its values.
        """
        column, values = where
        self._note_all_overwritten(table, [{column: value} for value in values])

    def _note_overwritten(self, table: str, where: Mapping[str, Any]) -> None:
        self._note_all_overwritten(table, [where])

    def _note_all_overwritten(self, table: str, partitions: Sequence[Mapping[str, Any]]) -> None:
        """Remember that partitions changed: an incremental backup takes what did."""
        if not partitions:
            return
        # One statement: a range of days would wait for the database once a day.
        columns = list(partitions[0])
        said = sql.SQL(", ").join(
            sql.SQL("{}, {}").format(column, sql.Identifier(column)) for column in columns
        )
        given = sql.SQL(", ").join(sql.SQL("%s::text[]") for _ in columns)
        self.connection.execute(
            sql.SQL(
                "INSERT INTO operations.overwritten_partitions AS known"
                " SELECT %s, jsonb_build_object({}), pg_current_xact_id(), now()"
                " FROM unnest({}) AS partition ({})"
                " ON CONFLICT (table_name, partition) DO UPDATE"
                " SET written_by = excluded.written_by, overwritten_at = excluded.overwritten_at"
            ).format(said, given, sql.SQL(", ").join(map(sql.Identifier, columns))),
            [table, *([str(each[column]) for each in partitions] for column in columns)],
        )

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


def _listed(columns: Sequence[str], table: str = "") -> sql.Composed:
    prefix = [table] if table else []
    return sql.SQL(", ").join(sql.Identifier(*prefix, column) for column in columns)


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
