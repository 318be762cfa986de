"""SQL about copies of tables within the database, in one transaction each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
from psycopg import sql

from batch_platform.domains.backups.models import TableSnapshot
from batch_platform.gateways.pg_tools.contents import content_of_table, steady
from batch_platform.gateways.platform_db import PlatformDb

SCHEMA = "snapshots"

_COLUMNS = (
    "snapshot_name, week, source_schema, source_table, taken_at, row_count, checksum, method,"
    " size_bytes, seconds, is_made_up,"
    " to_regclass(format('snapshots.%%I', snapshot_name)) IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view.

    Attributes:
        kind: As `pg_class.relkind` says it: `r`, `p` (partitioned), `v`, `m`.
    """

    schema: str
    name: str
    kind: str
    size_bytes: int

    @property
    def full_name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """As it stands in a statement."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that rows are written with.

    Attributes:
        kind: Its type, as PostgreSQL writes it.
        is_key: Whether it is part of the primary key.
        is_always_made: Whether the server makes its values (`GENERATED ALWAYS AS IDENTITY`).
    """

    name: str
    kind: str
    is_key: bool
    is_always_made: bool


class SnapshotStore:
    """Reads and writes copies of tables, and what is known of them."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def relation(self, full_name: str) -> Relation | None:
        """A table or view of that name; None when there is none."""
        rows = self._db.fetch_all(
            "SELECT nspname, relname, relkind, (SELECT coalesce(sum(pg_table_size(part.relid)), 0)"
            " FROM pg_partition_tree(class.oid) AS part)::bigint + pg_table_size(class.oid)"
            " FROM pg_class AS class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE format('%%s.%%s', nspname, relname) = %s AND relkind IN ('r', 'p', 'v', 'm')",
            [full_name],
        )
        if not rows:
            return None
        schema, name, kind, size = rows[0]
        return Relation(schema, name, str(kind), size)

    def all(self) -> list[TableSnapshot]:
        """Every snapshot, the oldest first."""
        rows = self._db.fetch_all(
            f"SELECT {_COLUMNS} FROM backups.table_snapshots ORDER BY taken_at, snapshot_name",
            {},
        )
        return [TableSnapshot(*row) for row in rows]

    def take(
        self, sources: Sequence[tuple[Relation, str]], week: date, at: datetime, *, is_made_up: bool
    ) -> list[TableSnapshot]:
        """Copy tables, all from the same moment, and compare each copy with its source.

        Args:
            sources: Each table with its copy's name.
            week: The partition.
            at: When they are taken.
            is_made_up: Whether their rows are the sandbox's.

        Raises:
            psycopg.errors.DuplicateTable: A copy of that name exists.
        """
        with self._db.connect("table snapshots") as connection:
            steady(connection)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            # Before the first look: what is locked cannot be altered under our snapshot.
            for relation, _ in sources:
                connection.execute(
                    sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(relation.identifier)
                )
            taken = [
                _take_one(connection, relation, name, week, at, is_made_up)
                for relation, name in sources
            ]
            connection.execute("COMMIT")
        return taken

    def columns(self, relation: Relation) -> list[Column]:
        """A table's columns but those that the server computes."""
        rows = self._db.fetch_all(
            "SELECT attname, format_type(atttypid, atttypmod), attnum = ANY(coalesce(indkey, '')),"
            " attidentity = 'a' FROM pg_attribute"
            " LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary"
            " WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attnum > 0"
            " AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [relation.schema, relation.name],
        )
        return [Column(*row) for row in rows]

    def restore_in_place(
        self, snapshot: TableSnapshot, target: Relation, columns: Sequence[Column]
    ) -> int:
        """Make a table hold exactly a snapshot's rows, in one transaction; write what differs only.

        Readers see the old rows until the end; writers wait.

        Returns:
            How many rows were written or removed.

        Raises:
            ContentDiffersError: The table then held something else; nothing was changed.
            psycopg.errors.ForeignKeyViolation: Other tables refer to rows that would go.
        """
        with self._db.connect(f"restore {target.full_name}") as connection:
            steady(connection)
            with connection.transaction():
                connection.execute(
                    sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(target.identifier)
                )
                changed = _replace_rows(connection, snapshot, target, columns)
                _raise_sequences(connection, target, columns)
                _require_content(connection, snapshot, target.schema, target.name)
                connection.execute(
                    "INSERT INTO operations.overwritten_partitions"
                    " VALUES (%s, '{}', pg_current_xact_id(), now())"
                    " ON CONFLICT (table_name, partition) DO UPDATE SET"
                    " written_by = excluded.written_by, overwritten_at = excluded.overwritten_at",
                    [target.full_name],
                )
        return changed

    def restore_beside(
        self, snapshot: TableSnapshot, source: Relation | None, schema: str, name: str
    ) -> int:
        """Make a new table of a snapshot's rows, with the defaults and indexes of the one it is of.

        Returns:
            How many rows it has.

        Raises:
            ContentDiffersError: The rows differ from the snapshot's; nothing is left.
        """
        target = sql.Identifier(schema, name)
        copy = sql.Identifier(SCHEMA, snapshot.snapshot_name)
        with self._db.connect(f"restore {schema}.{name}") as connection:
            steady(connection)
            with connection.transaction():
                if source is None or source.kind not in ("r", "p"):
                    connection.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(target, copy))
                else:
                    connection.execute(
                        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
                            target, source.identifier
                        )
                    )
                    columns = self.columns(source)
                    names = sql.SQL(", ").join(sql.Identifier(each.name) for each in columns)
                    connection.execute(
                        sql.SQL(
                            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}"
                        ).format(target, names, names, copy)
                    )
                    beside = Relation(schema, name, "r", 0)
                    _raise_sequences(connection, beside, columns)
                _require_content(connection, snapshot, schema, name)
        return snapshot.row_count

    def is_unchanged(self, snapshot: TableSnapshot) -> bool:
        """Tell whether a copy holds what it held when it was taken."""
        with self._db.connect("table snapshots") as connection:
            steady(connection)
            try:
                _require_content(connection, snapshot, SCHEMA, snapshot.snapshot_name)
            except ContentDiffersError:
                return False
        return True

    def remove(self, names: Sequence[str]) -> None:
        """Drop snapshots and forget them, each in a transaction of its own."""
        with self._db.connect("remove table snapshots") as connection:
            for name in names:
                with connection.transaction():
                    connection.execute(
                        sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(SCHEMA, name))
                    )
                    connection.execute(
                        "DELETE FROM backups.table_snapshots WHERE snapshot_name = %s", [name]
                    )


class ContentDiffersError(Exception):
    """What was written is not what the snapshot held when it was taken."""


def _take_one(
    connection: psycopg.Connection,
    relation: Relation,
    name: str,
    week: date,
    at: datetime,
    is_made_up: bool,
) -> TableSnapshot:
    copy = sql.Identifier(SCHEMA, name)
    ((started,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    connection.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(copy, relation.identifier))
    connection.execute(
        sql.SQL("COMMENT ON TABLE {} IS {}").format(
            copy, sql.Literal(f"Copy of {relation.full_name}; see backups.table_snapshots")
        )
    )
    original = content_of_table(connection, relation.schema, relation.name)
    copied = content_of_table(connection, SCHEMA, name, method=original.method)
    if (original.rows, original.checksum) != (copied.rows, copied.checksum):
        raise ContentDiffersError(name)
    row = connection.execute(
        "INSERT INTO backups.table_snapshots (snapshot_name, week, source_schema, source_table,"
        " taken_at, row_count, checksum, method, size_bytes, seconds, is_made_up)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, pg_table_size(%s::regclass),"
        f" extract(epoch FROM clock_timestamp() - %s), %s) RETURNING {_COLUMNS}",
        [
            name,
            week,
            relation.schema,
            relation.name,
            at,
            copied.rows,
            copied.checksum,
            copied.method,
            copy.as_string(connection),
            started,
            is_made_up,
        ],
    ).fetchone()
    assert row is not None  # noqa: S101 - RETURNING
    return TableSnapshot(*row)


def _replace_rows(
    connection: psycopg.Connection,
    snapshot: TableSnapshot,
    target: Relation,
    columns: Sequence[Column],
) -> int:
    """Remove, change and add what differs; without a primary key, everything."""
    copy = sql.Identifier(SCHEMA, snapshot.snapshot_name)
    keys = [each.name for each in columns if each.is_key]
    names = sql.SQL(", ").join(sql.Identifier(each.name) for each in columns)
    if not keys:
        removed = connection.execute(sql.SQL("DELETE FROM {}").format(target.identifier)).rowcount
        added = connection.execute(
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
                target.identifier, names, names, copy
            )
        ).rowcount
        return removed + added
    same = sql.SQL(" AND ").join(
        sql.SQL("old.{0} = new.{0}").format(sql.Identifier(k)) for k in keys
    )
    removed = connection.execute(
        sql.SQL("DELETE FROM {} AS old WHERE NOT EXISTS (SELECT FROM {} AS new WHERE {})").format(
            target.identifier, copy, same
        )
    ).rowcount
    changed = 0
    settable = [each.name for each in columns if not each.is_key and not each.is_always_made]
    if settable:
        changed = connection.execute(
            sql.SQL(
                "UPDATE {} AS old SET {} FROM {} AS new WHERE {}"
                # Texts: a type without equality (json) must not stand in the way.
                " AND ROW({})::text IS DISTINCT FROM ROW({})::text"
            ).format(
                target.identifier,
                sql.SQL(", ").join(
                    sql.SQL("{0} = new.{0}").format(sql.Identifier(each)) for each in settable
                ),
                copy,
                same,
                _listed("old", settable),
                _listed("new", settable),
            )
        ).rowcount
    added = connection.execute(
        sql.SQL(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS new"
            " WHERE NOT EXISTS (SELECT FROM {} AS old WHERE {})"
        ).format(target.identifier, names, names, copy, target.identifier, same)
    ).rowcount
    return removed + changed + added


def _listed(alias: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)


def _raise_sequences(
    connection: psycopg.Connection, target: Relation, columns: Sequence[Column]
) -> None:
    """Let the next value of each column's sequence be greater than all there are."""
    for column in columns:
        found = connection.execute(
            "SELECT pg_get_serial_sequence(%s, %s)",
            [target.identifier.as_string(connection), column.name],
        ).fetchone()
        if found is None or found[0] is None:
            continue
        connection.execute(
            sql.SQL(
                "SELECT setval({}, greatest((SELECT max({}) FROM {}), (SELECT last_value FROM {})))"
            ).format(
                sql.Literal(found[0]),
                sql.Identifier(column.name),
                target.identifier,
                # The server wrote this name, quoted where it must be.
                sql.SQL(found[0]),
            )
        )


def _require_content(
    connection: psycopg.Connection, snapshot: TableSnapshot, schema: str, name: str
) -> None:
    found = content_of_table(connection, schema, name, method=snapshot.method)
    if (found.rows, found.checksum) != (snapshot.row_count, snapshot.checksum):
        raise ContentDiffersError(f"{schema}.{name}")
