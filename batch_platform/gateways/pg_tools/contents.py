"""What a database holds, in figures that prove a copy of it: rows and checksum of every table.

Source of the drill: `pg_export_snapshot`, a dump of that snapshot, and the same figures counted in
it and in the restored copy. The figures do not depend on the order of rows.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, LiteralString

import psycopg
from psycopg import sql

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.platform_db import PlatformDb

Method = Literal["columns", "record", "text"]
"""How a row is hashed: `columns`, each by its type, which is three times as fast as the others.

The others are what older backups and snapshots were counted by: as PostgreSQL hashes a row, or its
text where a column's type has no hash.
"""

_COLUMNS = """
    SELECT attname, CASE WHEN typnamespace = 'pg_catalog'::regnamespace THEN typname END, attnotnull
    FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass
      AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum
"""
_WHOLE_NUMBER = "hashint8extended({seed}, {column}::bigint)"
_TEXT = 'hashtextextended({column}::text COLLATE "C", {seed})'
_HASHES: Mapping[str, LiteralString] = {
    # PostgreSQL's hash of a bigint folds it to 32 bits first; a seed counts whole.
    "int2": _WHOLE_NUMBER,
    "int4": _WHOLE_NUMBER,
    "int8": _WHOLE_NUMBER,
    "bool": "hashint8extended({seed}, {column}::int::bigint)",
    "float4": "hashfloat4extended({column}, {seed})",
    "float8": "hashfloat8extended({column}, {seed})",
    "numeric": "hash_numeric_extended({column}, {seed})",
    "date": "CASE WHEN isfinite({column})"
    " THEN hashint8extended({seed}, ({column} - DATE '2000-01-01')::bigint)"
    " ELSE " + _TEXT + " END",
    "timestamp": "timestamp_hash_extended({column}, {seed})",
    "timestamptz": "timestamp_hash_extended({column} AT TIME ZONE 'UTC', {seed})",
    "uuid": "uuid_hash_extended({column}, {seed})",
    "jsonb": "jsonb_hash_extended({column}, {seed})",
}
"""Type → hash of a column of it; any other's is that of its text.

Not what the catalogue says of a type: an enum's hash, say, is that of a number which a restored
copy has not.
"""
_NULL = 0x9E37_79B9_7F4A_7C15
"""Times the column's number, in 63 bits, stands for NULL; the golden ratio spreads it."""

_STEADY_SESSION = (
    # What a row's text looks like, and that nothing ends a long transaction.
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    # A restored copy is read with every core; while a dump runs the others are busy.
    ("max_parallel_workers_per_gather", "0"),
)
_IS_OURS = """
    namespace.nspname !~ '^pg_' AND namespace.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE deptype = 'e' AND objid = {oid} AND classid = '{kind}'::regclass
    )
"""
_TABLES = (
    "SELECT namespace.nspname, class.relname, pg_table_size(class.oid)"
    " FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace"
    " WHERE class.relkind = 'r' AND class.relpersistence <> 't' AND "
    + _IS_OURS.format(oid="class.oid", kind="pg_class")
    + " ORDER BY 1, 2"
)
_OBJECTS = (
    "SELECT CASE relkind WHEN 'i' THEN 'indexes' WHEN 'I' THEN 'indexes' WHEN 'v' THEN 'views'"
    " WHEN 'm' THEN 'views' WHEN 'S' THEN 'sequences' ELSE 'tables' END, count(*)"
    " FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace"
    " WHERE relkind IN ('i', 'I', 'v', 'm', 'S', 'r', 'p') AND relpersistence <> 't'"
    " AND namespace.nspname <> ALL(%(without)s) AND "
    + _IS_OURS.format(oid="class.oid", kind="pg_class")
    + " GROUP BY 1 UNION ALL SELECT 'constraints', count(*) FROM pg_constraint"
    " JOIN pg_namespace AS namespace ON namespace.oid = connamespace"
    " WHERE contype <> 'n' AND namespace.nspname <> ALL(%(without)s) AND "
    + _IS_OURS.format(oid="conrelid", kind="pg_class")
    + " UNION ALL SELECT 'functions', count(*) FROM pg_proc AS proc"
    " JOIN pg_namespace AS namespace ON namespace.oid = pronamespace"
    " WHERE namespace.nspname <> ALL(%(without)s) AND "
    + _IS_OURS.format(oid="proc.oid", kind="pg_proc")
    + " UNION ALL SELECT 'large_objects', count(*) FROM pg_largeobject_metadata"
)


@dataclass(frozen=True, slots=True)
class TableContent:
    """What one table holds.

    Attributes:
        schema: Its schema.
        name: Its name.
        rows: Number of rows.
        checksum: Sum of the rows' 64-bit hashes, as a decimal number; `0` without rows.
        method: How rows were hashed; a copy is hashed the same way.
    """

    schema: str
    name: str
    rows: int
    checksum: str
    method: Method

    @property
    def full_name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds.

    Attributes:
        tables: Every table that has rows of its own: not partitioned ones, but their partitions.
        objects: Kind of object → how many (indexes, views, sequences, constraints, functions).
    """

    tables: tuple[TableContent, ...]
    objects: dict[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of a database, kept readable while its transaction is open.

    Attributes:
        connection: In that transaction.
        name: What `pg_dump --snapshot` wants.
        visible: `pg_current_snapshot()`: which transactions it has seen.
        tables: (schema, table) of the tables in it.
    """

    connection: psycopg.Connection
    name: str
    visible: str
    tables: tuple[tuple[str, str], ...]


def server_version(db: PlatformDb) -> tuple[int, str]:
    """The server's major version and its full one."""
    ((number, text),) = db.fetch_all(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
    )
    return number // 10_000, text.split()[0]


@contextmanager
def exported_snapshot(
    db: PlatformDb, without_schemas: Sequence[str] = ()
) -> Generator[Snapshot, None, None]:
    """Open a snapshot that other programs can share, its tables locked against DDL.

    The locks (ACCESS SHARE) come first, as a TRUNCATE between snapshot and lock would be seen.
    Readers and writers are not held up.

    Raises:
        RetryableError: A lock was not to be had within the session's timeout.
    """
    with db.connect("backup") as connection:
        for name, value in _STEADY_SESSION:
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        tables = tuple(
            (schema, name)
            for schema, name, _ in connection.execute(_TABLES)
            if schema not in without_schemas
        )
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if tables:
            names = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
            try:
                connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
            except psycopg.errors.UndefinedTable as error:
                raise RetryableError("A table vanished while the backup began") from error
        row = connection.execute("SELECT pg_export_snapshot(), pg_current_snapshot()::text")
        name, visible = row.fetchone() or ("", "")
        yield Snapshot(connection, name, visible, tables)
        connection.execute("ROLLBACK")


def contents_of(
    snapshot: Snapshot,
    without_schemas: Sequence[str] = (),
    on_table: Callable[[TableContent], None] | None = None,
) -> Contents:
    """Count and sum every table of a snapshot.

    Args:
        snapshot: The moment.
        without_schemas: Schemas whose objects are not counted.
        on_table: Hears of each table that is done.
    """
    tables: list[TableContent] = []
    for schema, name in snapshot.tables:
        tables.append(content_of_table(snapshot.connection, schema, name))
        if on_table is not None:
            on_table(tables[-1])
    return Contents(tuple(tables), objects_of(snapshot.connection, without_schemas))


def objects_of(
    connection: psycopg.Connection, without_schemas: Sequence[str] = ()
) -> dict[str, int]:
    """Count a database's objects by kind."""
    rows = connection.execute(_OBJECTS, {"without": list(without_schemas)})
    return {kind: count for kind, count in rows if count}


def content_of_table(
    connection: psycopg.Connection,
    schema: str,
    name: str,
    *,
    method: Method = "columns",
    where: sql.Composable | None = None,
) -> TableContent:
    """Count and sum one table.

    Args:
        connection: Where to.
        schema: Its schema.
        name: Its name.
        method: How to hash: as what it is compared with was.
        where: Condition on the rows, `row_` being one of them.
    """
    hashed = {
        "columns": lambda: _row_hash(connection, schema, name),
        "record": lambda: sql.SQL("hash_record_extended(row_, 0)"),
        "text": lambda: sql.SQL("hashtextextended(row_::text, 0)"),
    }[method]()
    query = sql.SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM {} AS row_ {}").format(
        hashed,
        sql.Identifier(schema, name),
        sql.SQL("WHERE ") + where if where is not None else sql.SQL(""),
    )
    rows, checksum = connection.execute(query).fetchone() or (0, "0")
    return TableContent(schema, name, rows, checksum, method)


def _row_hash(connection: psycopg.Connection, schema: str, name: str) -> sql.Composable:
    """SQL of a row's 64-bit hash: its columns' hashes, each with a seed of its own, hashed again.

    Hashed again, because a sum over rows of what is merely added up could not tell rows that
    exchanged a value.
    """
    hashes: list[sql.Composable] = []
    for number, (column, type_name, is_never_null) in enumerate(
        connection.execute(_COLUMNS, [schema, name]), 1
    ):
        hashed: sql.Composable = sql.SQL(_HASHES.get(type_name, _TEXT)).format(
            column=sql.Identifier("row_", column), seed=sql.Literal(number)
        )
        if not is_never_null:
            null = number * _NULL % 2**63
            hashed = sql.SQL("coalesce({}, {})").format(hashed, sql.Literal(null))
        hashes.append(hashed)
    if not hashes:
        return sql.SQL("1::bigint")
    return sql.SQL("hashint8extended(0, {})").format(sql.SQL(" # ").join(hashes))


def steady(connection: psycopg.Connection) -> None:
    """Set what rows' texts depend on, as in every snapshot."""
    for name, value in _STEADY_SESSION:
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])


def installed_extensions(db: PlatformDb) -> tuple[str, ...]:
    """Names of the database's extensions."""
    return tuple(name for (name,) in db.fetch_all("SELECT extname FROM pg_extension ORDER BY 1"))


def missing_extensions(server: PlatformDb, needed: Sequence[str]) -> list[str]:
    """Names of those extensions that a server could not make."""
    rows = server.fetch_all("SELECT name FROM pg_available_extensions")
    return sorted(set(needed) - {name for (name,) in rows})
