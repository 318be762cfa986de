"""A table's checksum proves a copy: the same for equal rows in any order, not after any change."""

from collections.abc import Iterator

import psycopg
import pytest

from batch_platform.gateways.pg_tools.contents import Method, content_of_table, steady
from batch_platform.gateways.platform_db import PlatformDb

CELLS = {
    "small": ("smallint", "7", "8"),
    "whole": ("integer", "7", "-7"),
    "large": ("bigint", "1", "4294967296"),
    "flag": ("boolean", "true", "false"),
    "single": ("real", "1.5", "1.25"),
    "double": ("double precision", "0.1", "0.2"),
    "exact": ("numeric", "0.10", "0.11"),
    "day": ("date", "'2026-11-20'", "'infinity'"),
    "local": ("timestamp", "'2026-11-20 01:00'", "'2026-11-20 01:00:00.000001'"),
    "moment": ("timestamptz", "'2026-11-20 01:00+09'", "'2026-11-20 01:00+00'"),
    "text": ("text", "'가'", "'각'"),
    "name": ("varchar(9)", "''", "' '"),
    "number": ("uuid", "'00000000-0000-0000-0000-000000000001'", "gen_random_uuid()"),
    "fields": ("jsonb", """'{"a": 1}'""", """'{"a": 2}'"""),
    "raw": ("bytea", r"'\x00'", r"'\x01'"),
    "list": ("text[]", "ARRAY['a', 'b']", "ARRAY['b', 'a']"),
    "mood": ("mood", "'glad'", "'sad'"),
    "other": ("json", """'{"a":1}'""", """'{"a": 1}'"""),
}
"""Column → type, a value, another value."""


@pytest.fixture
def tables(platform_db: PlatformDb) -> Iterator[psycopg.Connection]:
    columns = ", ".join(f"{name} {type_name}" for name, (type_name, *_) in CELLS.items())
    values = ", ".join(value for _, value, _ in CELLS.values())
    nothing = ", ".join(["NULL"] * len(CELLS))
    with psycopg.connect(platform_db.url, autocommit=True) as connection:
        steady(connection)
        connection.execute("CREATE TYPE mood AS ENUM ('glad', 'sad')")
        for name in ("original", "copy"):
            connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, {columns})")
            connection.execute(f"INSERT INTO {name} VALUES (1, {values}), (2, {nothing})")
        yield connection


def checksum(connection: psycopg.Connection, table: str, method: Method = "columns") -> str:
    return content_of_table(connection, "public", table, method=method).checksum


def test_rows_in_another_order_are_the_same(tables: psycopg.Connection) -> None:
    tables.execute("UPDATE copy SET id = id WHERE id = 1")  # moves the row to the end

    assert checksum(tables, "copy") == checksum(tables, "original")


def test_a_changed_a_lost_and_an_invented_value_are_each_found(tables: psycopg.Connection) -> None:
    before = checksum(tables, "original")
    for column, (_, value, another) in CELLS.items():
        for row, new in ((1, another), (1, "NULL"), (2, value)):
            with tables.transaction(force_rollback=True):
                tables.execute(f"UPDATE copy SET {column} = {new} WHERE id = {row}")
                assert checksum(tables, "copy") != before, (column, row, new)


def test_rows_that_exchanged_a_value_are_found(tables: psycopg.Connection) -> None:
    tables.execute("UPDATE copy SET whole = CASE id WHEN 1 THEN NULL ELSE 7 END")

    assert checksum(tables, "copy") != checksum(tables, "original")


def test_an_enum_that_was_made_anew_is_the_same(tables: psycopg.Connection) -> None:
    before = checksum(tables, "original")
    tables.execute("CREATE TYPE mood_again AS ENUM ('glad', 'sad')")
    tables.execute("ALTER TABLE copy ALTER mood TYPE mood_again USING mood::text::mood_again")

    assert checksum(tables, "copy") == before


@pytest.mark.parametrize("method", ["record", "text"])
def test_what_older_backups_were_counted_by_still_counts(
    tables: psycopg.Connection, method: Method
) -> None:
    for table in ("original", "copy"):
        tables.execute(f"ALTER TABLE {table} DROP COLUMN other")

    assert checksum(tables, "copy", method) == checksum(tables, "original", method) != "0"
