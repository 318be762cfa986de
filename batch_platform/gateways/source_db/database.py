"""`SourceDatabase` and `SourceRows`: reading a source as a stream, and giving rows back to it.

Statements are SQLAlchemy's expressions: values bound, names quoted by the dialect. What
a column's types mean is in `columns`, what errors mean in `failures`.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from batch_platform.core.errors import ConfigurationError, PermanentError
from batch_platform.gateways.source_db.address import public_address, source_engine
from batch_platform.gateways.source_db.catalogue import (
    Catalogue,
    catalogue_of,
    split_table,
)
from batch_platform.gateways.source_db.columns import Column, Kind
from batch_platform.gateways.source_db.failures import Address, explained
from batch_platform.gateways.source_db.times import LocalDay, utc_times

ROWS_PER_BATCH = 10_000
BYTES_PER_BATCH = 4 * 1024 * 1024
"""A batch ends with whichever comes first, so that very long texts do not fill the memory."""

_ROWS_PER_FETCH = 500
"""Few: a fetched row is a tuple, and Python's garbage collector walks all that are alive."""

_SHOWN_NAMES = 5
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_NO_VALUES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class _Table:
    """A table with the columns that a call is about, all of them known to exist."""

    name: str
    clause: sa.TableClause
    columns: Mapping[str, Column]


class SourceRows:
    """Rows in one snapshot of the source; made by `SourceDatabase.open_day` and `open_table`.

    Attributes:
        source_rows: How many there are, counted by the source in the same snapshot.
    """

    def __init__(
        self,
        connection: sa.Connection,
        address: Address,
        table: _Table,
        names: Mapping[str, str],
        time: LocalDay | None = None,
        condition: sa.ColumnElement[bool] | None = None,
        day_column: str = "",
    ) -> None:
        self._connection = connection
        self._address = address
        self._table = table
        self._names = names
        self._time = time
        self._day_column = day_column
        self._condition = sa.true() if condition is None else condition
        self.source_rows = int(
            connection.scalar(
                sa.select(sa.func.count()).select_from(table.clause).where(self._condition)
            )
            or 0
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order in which the source gives them. Call once.

        Returns:
            Batches of about `ROWS_PER_BATCH` rows or `BYTES_PER_BATCH`: texts under the names asked
            for, the day's column as `timestamp[us, UTC]`; SQL's NULL is null.

        Raises:
            PermanentError: A text in the day's column is no time.
            RetryableError: The source went away.
        """
        statement = (
            sa.select(
                *(
                    self._table.columns[column].as_text.label(name)
                    for name, column in self._names.items()
                )
            )
            .select_from(self._table.clause)
            .where(self._condition)
        )
        with explained(self._address):
            options = {"yield_per": _ROWS_PER_FETCH}
            result = self._connection.execute(statement, execution_options=options)
            yield from _gathered(self._batch(rows) for rows in result.partitions())

    def _batch(self, rows: Sequence[sa.Row[Any]]) -> pa.RecordBatch:
        arrays: list[pa.Array[Any]] = []
        for name, values in zip(self._names, zip(*rows, strict=True), strict=True):
            texts = pa.array(values, pa.string())
            arrays.append(self._times(texts) if self._names[name] == self._day_column else texts)
        return pa.record_batch(arrays, names=list(self._names))

    def _times(self, texts: pa.StringArray) -> pa.TimestampArray:
        try:
            return self._time.to_utc(texts) if self._time else utc_times(texts)
        except pa.ArrowInvalid:
            raise PermanentError(
                f"Column {self._day_column} of {self._table.name} holds a text that is no time",
                "Times are written YYYY-MM-DD HH:MM:SS, without a zone",
            ) from None


class SourceDatabase:
    """An organisation's database. Connections are opened when needed and closed after.

    Args:
        url: SQLAlchemy URL. A driver that is not installed is replaced by the one that is.
        zone: The zone of times without one, and of calendar days.
        url_variable: The setting that the URL came from, for errors.
        name_variables: Table or column → the setting that its name came from, for errors.

    Raises:
        ConfigurationError: The URL cannot be read, or is of a database that is not supported.
    """

    def __init__(
        self,
        url: str,
        zone: ZoneInfo,
        *,
        url_variable: str = "ENGINE_FOR_SQLALCHEMY",
        name_variables: Mapping[str, str] = _NO_VARIABLES,
    ) -> None:
        self._engine = source_engine(url, url_variable)
        self._zone = zone
        self._name_variables = name_variables
        self._address = Address(public_address(self._engine.url), url_variable)

    def __repr__(self) -> str:
        return f"SourceDatabase({self.address})"

    @property
    def address(self) -> str:
        """`host:port/database`, or the file: what a person may see of the URL."""
        return self._address.shown

    def check_reachable(self) -> str:
        """Connect, and tell kind and version of the server with its address.

        Raises:
            ConfigurationError: Host, user, password or database are wrong.
            RetryableError: The server does not answer.
        """
        with self._connection() as connection:
            return f"{self._catalogue.version(connection)} · {self.address}"

    def read_all(self, table: str, columns: Mapping[str, str]) -> list[dict[str, Any]]:
        """Read a small table whole.

        Args:
            table: Its name, or `schema.table`.
            columns: Name in the result → column.

        Returns:
            A dictionary a row, with the driver's own types.

        Raises:
            ConfigurationError: The table or a column does not exist.
        """
        with self._connection() as connection:
            known = self._table(connection, table, columns.values())
            chosen = [
                known.columns[column].expression.label(name) for name, column in columns.items()
            ]
            rows = connection.execute(sa.select(*chosen).select_from(known.clause))
            return [dict(row) for row in rows.mappings()]

    def count_day(self, table: str, day_column: str, day: date) -> int:
        """Count a day's rows in the source.

        Raises:
            ConfigurationError: The table or the column does not exist, or holds no times.
        """
        with self.open_day(table, {day_column: day_column}, day_column, day) as rows:
            return rows.source_rows

    def undated_count(self, table: str, day_column: str) -> int:
        """Count the rows that belong to no day: zero dates, no time, or a text that is no time.

        Raises:
            ConfigurationError: The table or the column does not exist, or holds no times.
        """
        with self._connection() as connection:
            known = self._table(connection, table, [day_column])
            undated = self._time_column(known, day_column).undated()
            return int(
                connection.scalar(
                    sa.select(sa.func.count()).select_from(known.clause).where(undated)
                )
                or 0
            )

    def column_warnings(self, table: str, columns: Iterable[str]) -> tuple[str, ...]:
        """Say, a sentence each, which columns cannot hold every character.

        What was lost when it was written cannot be seen afterwards, so it must be said.

        Raises:
            ConfigurationError: The table or a column does not exist.
        """
        with self._connection() as connection:
            known = self._table(connection, table, columns)
            charsets = {
                name: self._catalogue.narrow_charset(connection, column)
                for name, column in known.columns.items()
            }
        return tuple(
            f"Column {name} of {table} is stored as {charset}, which cannot hold emoji:"
            " they were lost when they were written, until it is converted to UTF-8 (utf8mb4)."
            for name, charset in charsets.items()
            if charset
        )

    @contextmanager
    def open_table(
        self, table: str, columns: Mapping[str, str]
    ) -> Generator[SourceRows, None, None]:
        """Open a whole table for reading, in one snapshot and without ever holding it in memory.

        Args:
            table: Its name, or `schema.table`.
            columns: Name in the result → column; every value comes as text.

        Raises:
            ConfigurationError: The table or a column does not exist.
            RetryableError: The source does not answer.
        """
        with self._connection() as connection:
            known = self._table(connection, table, columns.values())
            yield SourceRows(connection, self._address, known, columns)

    @contextmanager
    def open_day(
        self, table: str, columns: Mapping[str, str], day_column: str, day: date
    ) -> Generator[SourceRows, None, None]:
        """Open a day for reading, in one snapshot and without ever holding it in memory.

        The day is [00:00, next day's 00:00) in the zone of the settings.

        Args:
            table: Its name, or `schema.table`.
            columns: Name in the result → column.
            day_column: The column that says when a row is from: a date or time without a zone, a
                `timestamptz`, or text in either of the two usual shapes.
            day: The calendar day.

        Raises:
            ConfigurationError: The table or a column does not exist, or the day's holds no times.
            RetryableError: The source does not answer.
        """
        with self._connection() as connection:
            known = self._table(connection, table, [*columns.values(), day_column])
            column = self._time_column(known, day_column)
            yield SourceRows(
                connection,
                self._address,
                known,
                columns,
                None if column.kind is Kind.INSTANT else LocalDay(day, self._zone),
                column.in_day(day, self._zone),
                day_column,
            )

    def replace_day(
        self, table: str, day_column: str, day: date, rows: Iterable[Mapping[str, Any]]
    ) -> int:
        """Put rows in place of a day's rows, in one transaction: all of it or nothing.

        Args:
            table: Its name, or `schema.table`.
            day_column: The column that says which day a row is of.
            day: The calendar day in the zone of the settings.
            rows: Column → value, all with the same columns, `day_column` among them. A time
                without a zone is local; every row must be of the day.

        Returns:
            How many rows were written.

        Raises:
            ConfigurationError: The table or a column does not exist, a value does not fit, or the
                table's storage engine has no transactions.
            PermanentError: A row is of another day, so that a rerun would leave it there twice.
            RetryableError: The source does not answer; nothing was written.
        """
        iterator = iter(rows)
        first = list(islice(iterator, ROWS_PER_BATCH))
        with self._connection() as connection:
            known = self._table(connection, table, [*(first[0] if first else ()), day_column])
            column = self._time_column(known, day_column)
            self._require_transactions(connection, table)
            connection.execute(sa.delete(known.clause).where(column.in_day(day, self._zone)))
            written = 0
            batch = first
            while batch:
                connection.execute(
                    sa.insert(known.clause),
                    [self._stored(known, day_column, day, row) for row in batch],
                )
                written += len(batch)
                batch = list(islice(iterator, ROWS_PER_BATCH))
            connection.commit()
        return written

    def existing_columns(self, table: str) -> frozenset[str]:
        """Names of a table's columns, for what a source may or may not have.

        Raises:
            ConfigurationError: The table does not exist.
        """
        with self._connection() as connection:
            return frozenset(column.name for column in self._existing(connection, table))

    def upsert(
        self,
        table: str,
        *,
        of: Mapping[str, Any],
        key: str,
        rows: Iterable[Mapping[str, Any]],
        when_new: Mapping[str, Any] = _NO_VALUES,
        is_replacing: bool = True,
    ) -> int:
        """Change the rows that are there and add those that are not, in one transaction.

        A row that is there keeps its other columns, its own key in the table among them, and no
        other row is touched: for tables whose rows others point to or write as well.

        Args:
            table: Its name, or `schema.table`.
            of: Column → value that all the rows share, e.g. their day.
            key: The column that tells the rows apart among those.
            rows: Column → value, all with the same columns, `key` among them.
            when_new: Column → value that only an added row gets, e.g. when it was made.
            is_replacing: Whether a row that is there changes; otherwise rows are only added.

        Returns:
            How many rows were written.

        Raises:
            ConfigurationError: The table or a column does not exist, a value does not fit, or the
                table's storage engine has no transactions.
            PermanentError: Another row already has a unique key of one of these.
            RetryableError: The source does not answer; nothing was written.
        """
        given = list(rows)
        if not given:
            return 0
        with self._connection() as connection:
            known = self._table(connection, table, [*of, *given[0], *when_new])
            self._require_transactions(connection, table)
            shared = self._values(known, of)
            matching = [
                sa.column(name) == sa.bindparam(f"of_{number}", value, type_=sa.types.NullType())
                for number, (name, value) in enumerate(shared.items())
            ]
            key_column = known.columns[key]
            there = set(
                connection.scalars(
                    sa.select(key_column.as_text).select_from(known.clause).where(*matching)
                )
            )
            old: list[dict[str, object]] = []
            new: list[dict[str, object]] = []
            for row in given:
                values = self._values(known, row)
                if str(row[key]) not in there:
                    new.append({**shared, **values, **self._values(known, when_new)})
                elif is_replacing:
                    # A name that is no column's, so that it is not taken for a value to set.
                    old.append({**values, "matched key": values.pop(key_column.name)})
            if old:
                this_row = key_column.expression == sa.bindparam(
                    "matched key", type_=sa.types.NullType()
                )
                connection.execute(sa.update(known.clause).where(*matching, this_row), old)
            if new:
                connection.execute(sa.insert(known.clause), new)
            connection.commit()
        return len(old) + len(new)

    def _values(self, table: _Table, row: Mapping[str, Any]) -> dict[str, object]:
        """A row in the form in which it is written, under the table's own names."""
        return {
            table.columns[name].name: table.columns[name].stored(value, self._zone)
            for name, value in row.items()
        }

    @cached_property
    def _catalogue(self) -> Catalogue:
        return catalogue_of(self._engine.dialect.name)

    @contextmanager
    def _connection(self) -> Generator[sa.Connection, None, None]:
        """Open a connection in one snapshot; what is not committed is undone."""
        with explained(self._address), self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                # Python's module opens a transaction only before it writes.
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def _existing(self, connection: sa.Connection, table: str) -> Sequence[Column]:
        columns = self._catalogue.columns(connection, table)
        if not columns:
            raise self._unknown("table", table, self._catalogue.tables(connection), self.address)
        return columns

    def _table(self, connection: sa.Connection, table: str, columns: Iterable[str]) -> _Table:
        existing = self._existing(connection, table)
        is_exact = self._engine.dialect.name == "postgresql"
        by_name = {column.name if is_exact else column.name.lower(): column for column in existing}
        chosen: dict[str, Column] = {}
        for name in columns:
            column = by_name.get(name if is_exact else name.lower())
            if column is None:
                raise self._unknown("column", name, [column.name for column in existing], table)
            chosen[name] = column
        schema, bare = split_table(table)
        names: list[sa.ColumnClause[Any]] = [sa.column(item.name) for item in chosen.values()]
        return _Table(table, sa.table(bare, *names, schema=schema), chosen)

    def _unknown(
        self, what: str, name: str, existing: Sequence[str], place: str
    ) -> ConfigurationError:
        variable = self._name_variables.get(name)
        similar = get_close_matches(name, existing, _SHOWN_NAMES, 0.5) or sorted(existing)
        shown = ", ".join(similar[:_SHOWN_NAMES]) or "none at all"
        others = len(existing) - len(similar[:_SHOWN_NAMES])
        shown += f" and {others} more" if others else ""
        return ConfigurationError(
            f"There is no {what} {name!r} in {place}; there is {shown}",
            f"Correct {variable}" if variable else f"Correct the {what}'s name",
        )

    def _time_column(self, table: _Table, name: str) -> Column:
        column = table.columns[name]
        if column.kind not in {Kind.LOCAL, Kind.INSTANT, Kind.TEXT}:
            variable = self._name_variables.get(name)
            raise ConfigurationError(
                f"Column {name!r} of {table.name} is {column.type_name}, not a date or time",
                f"Correct {variable}" if variable else "Name the column that holds the time",
            )
        return column

    def _require_transactions(self, connection: sa.Connection, table: str) -> None:
        storage = self._catalogue.storage_without_transactions(connection, table)
        if storage:
            raise ConfigurationError(
                f"{table} is stored by {storage}, which cannot undo a half-written day",
                f"Run ALTER TABLE {table} ENGINE=InnoDB on the source",
            )

    def _stored(
        self, table: _Table, day_column: str, day: date, row: Mapping[str, Any]
    ) -> dict[str, object]:
        moment = row[day_column]
        local = moment.astimezone(self._zone) if getattr(moment, "tzinfo", None) else moment
        if (local.date() if hasattr(local, "date") else local) != day:
            raise PermanentError(f"A row for {table.name} is not of {day}; nothing was written")
        return self._values(table, row)


def _gathered(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches: what is done a batch costs more than what is done a row."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for part in parts:
        waiting.append(part)
        rows += part.num_rows
        size += part.nbytes
        if rows >= ROWS_PER_BATCH or size >= BYTES_PER_BATCH:
            yield _joined(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield _joined(waiting)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
