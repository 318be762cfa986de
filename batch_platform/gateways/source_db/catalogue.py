"""What a source's own catalogue says: its tables, their columns, how a table is stored.

One class a kind of database, because each keeps its catalogue elsewhere.
"""

from collections.abc import Sequence
from typing import Protocol

import sqlalchemy as sa

from batch_platform.gateways.source_db.columns import Column, Kind

_LOCAL_TYPES = {"date", "datetime", "timestamp"}
_TEXT_TYPES = {
    *("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
    *("bpchar", "name", "citext"),
}
_BINARY_TYPES = {
    *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"),
    "bytea",
}
_WIDE_CHARSETS = {"utf8mb4", "utf16", "utf16le", "utf32"}


class Catalogue(Protocol):
    """What the platform asks a kind of database about itself."""

    def version(self, connection: sa.Connection) -> str:
        """Kind and version of the server, for a person."""
        ...

    def tables(self, connection: sa.Connection) -> Sequence[str]:
        """Names of the tables and views that can be read without a schema's name."""
        ...

    def columns(self, connection: sa.Connection, table: str) -> Sequence[Column]:
        """The table's columns in order; none when there is no such table."""
        ...

    def narrow_charset(self, connection: sa.Connection, column: Column) -> str | None:
        """The column's character set if it cannot hold every character, else None."""
        ...

    def storage_without_transactions(self, connection: sa.Connection, table: str) -> str | None:
        """The table's storage engine if it cannot undo half of a change, else None."""
        ...


def catalogue_of(backend: str) -> Catalogue:
    """The catalogue of a kind of database."""
    return {"mysql": _MariaDb, "postgresql": _PostgreSql, "sqlite": _Sqlite}[backend]()


def split_table(table: str) -> tuple[str | None, str]:
    """Split `schema.table`; a bare name has no schema."""
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _kind(type_name: str) -> Kind:
    if type_name in _LOCAL_TYPES:
        return Kind.LOCAL
    if type_name == "timestamptz":
        return Kind.INSTANT
    if type_name in _TEXT_TYPES:
        return Kind.TEXT
    return Kind.BINARY if type_name in _BINARY_TYPES else Kind.OTHER


class _MariaDb:
    """MariaDB and MySQL."""

    def version(self, connection: sa.Connection) -> str:
        version = str(connection.scalar(sa.text("SELECT VERSION()")))
        kind = "MariaDB" if "MariaDB" in version else "MySQL"
        return f"{kind} {version.partition('-')[0]}"

    def tables(self, connection: sa.Connection) -> Sequence[str]:
        return connection.scalars(
            sa.text(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            )
        ).all()

    def columns(self, connection: sa.Connection, table: str) -> Sequence[Column]:
        schema, name = split_table(table)
        rows = connection.execute(
            sa.text(
                "SELECT column_name, data_type, character_set_name, datetime_precision"
                " FROM information_schema.columns"
                " WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name"
                " ORDER BY ordinal_position"
            ),
            {"schema": schema, "name": name},
        )
        return [
            Column(
                name=column,
                type_name=type_name,
                kind=_kind(type_name),
                backend="mysql",
                charset=charset,
                fraction_digits=int(digits or 0),
            )
            for column, type_name, charset, digits in rows
        ]

    def narrow_charset(self, connection: sa.Connection, column: Column) -> str | None:  # noqa: ARG002
        return None if column.charset in {None, *_WIDE_CHARSETS} else column.charset

    def storage_without_transactions(self, connection: sa.Connection, table: str) -> str | None:
        schema, name = split_table(table)
        return connection.scalar(
            sa.text(
                "SELECT engine.engine FROM information_schema.tables AS stored"
                " JOIN information_schema.engines AS engine ON engine.engine = stored.engine"
                " WHERE stored.table_schema = COALESCE(:schema, DATABASE())"
                " AND stored.table_name = :name AND NOT engine.transactions <=> 'YES'"
            ),
            {"schema": schema, "name": name},
        )


class _PostgreSql:
    def version(self, connection: sa.Connection) -> str:
        return f"PostgreSQL {connection.scalar(sa.text('SHOW server_version'))}"

    def tables(self, connection: sa.Connection) -> Sequence[str]:
        return connection.scalars(
            sa.text(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f')"
                " AND pg_table_is_visible(oid)"
                " AND relnamespace <> ALL ('{pg_catalog,information_schema}'::regnamespace[])"
            )
        ).all()

    def columns(self, connection: sa.Connection, table: str) -> Sequence[Column]:
        quote = connection.dialect.identifier_preparer.quote_identifier
        name = ".".join(quote(part) for part in split_table(table) if part)
        rows = connection.execute(
            sa.text(
                "SELECT attname, typname, atttypmod FROM pg_attribute"
                " JOIN pg_type ON pg_type.oid = atttypid"
                " WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped"
                " ORDER BY attnum"
            ),
            {"name": name},
        )
        return [
            Column(
                name=column,
                type_name=type_name,
                kind=_kind(type_name),
                backend="postgresql",
                fraction_digits=digits if 0 <= digits <= 6 else 6,
            )
            for column, type_name, digits in rows
        ]

    def narrow_charset(self, connection: sa.Connection, column: Column) -> str | None:
        if column.kind is not Kind.TEXT:
            return None
        encoding = str(connection.scalar(sa.text("SHOW server_encoding")))
        return None if encoding == "UTF8" else encoding

    def storage_without_transactions(self, connection: sa.Connection, table: str) -> str | None:  # noqa: ARG002
        return None


class _Sqlite:
    def version(self, connection: sa.Connection) -> str:
        # Counting makes SQLite look into the file.
        looked = sa.text("SELECT sqlite_version() FROM (SELECT count(*) FROM sqlite_master)")
        return f"SQLite {connection.scalar(looked)}"

    def tables(self, connection: sa.Connection) -> Sequence[str]:
        return connection.scalars(
            sa.text("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        ).all()

    def columns(self, connection: sa.Connection, table: str) -> Sequence[Column]:
        rows = connection.execute(
            sa.text("SELECT name, type FROM pragma_table_xinfo(:name)"), {"name": table}
        )
        # A declared type binds nobody in SQLite: what a value is shows only when it is read.
        return [Column(name, type_name, Kind.TEXT, "sqlite") for name, type_name in rows]

    def narrow_charset(self, connection: sa.Connection, column: Column) -> str | None:  # noqa: ARG002
        return None

    def storage_without_transactions(self, connection: sa.Connection, table: str) -> str | None:  # noqa: ARG002
        return None
