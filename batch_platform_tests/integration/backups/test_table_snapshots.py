"""Copies of tables within the database: of one moment, put back into place or beside."""

import re
from datetime import date, timedelta

import pytest

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.domains.backups.table_snapshots import (
    Taken,
    find_snapshot,
    last_week,
    prune_snapshots,
    restore_snapshot,
    take_snapshots,
)
from batch_platform.orchestration.partitions import ZONE_NAME
from batch_platform_tests.backup_world import World


def taken(world: World, *tables: str) -> Taken:
    if tables:
        world.variables["SNAPSHOT_TABLES"] = ",".join(tables)
    week = last_week(world.clock, world.settings.platform.zone)
    return take_snapshots(week, db=world.db, settings=world.settings, clock=world.clock)


def put_back(world: World, table: str, *, beside: bool = False) -> tuple[str, int]:
    return restore_snapshot(
        find_snapshot(table, "", world.db),
        db=world.db,
        beside=beside,
        clock=world.clock,
        zone=world.settings.platform.zone,
    )


ALL_NOTES = "SELECT * FROM public.notes ORDER BY note_id"


def test_a_week_of_snapshots(world: World) -> None:
    world.now += timedelta(days=2)  # Sunday
    world.variables["SNAPSHOT_TABLES"] = "public.notes, public.not_yet"
    assert ZONE_NAME == "Asia/Seoul"
    made = world.run("backups_snapshots_job", date(2025, 6, 8).isoformat())
    assert made.is_success
    assert made.checks == {"table_snapshots_are_as_they_were_taken": True}
    # The stocks' tables are there, those that nobody made yet are named.
    rows = world.rows(
        "SELECT source_schema || '.' || source_table, snapshot_name FROM backups.table_snapshots"
    )
    names: dict[str, str] = dict(rows)
    assert {"stocks.daily_prices", "public.notes"} <= set(names)
    assert "public.not_yet" in made.metadata("table_snapshots")["tables_not_there"]
    name = names["public.notes"]
    assert re.fullmatch(r"notes_snapshot_20250615_01000\d", name)
    assert world.rows(f"SELECT count(*) FROM snapshots.{name}") == [(20,)]
    late = world.run("backups_snapshots_job", date(2025, 6, 1).isoformat())
    assert "cannot be taken any more" in late.failure


def test_a_table_is_put_back_exactly_and_only_what_differs_is_written(world: World) -> None:
    taken(world, "public.notes")
    before = world.rows(ALL_NOTES)
    world.execute("UPDATE notes SET body = 'wrong', raw = '{}' WHERE note_id = 1")
    world.execute("DELETE FROM notes WHERE note_id = 2")
    world.execute("INSERT INTO notes (written) VALUES ('2026-12-01')")
    assert put_back(world, "public.notes") == ("public.notes", 3)
    assert world.rows("SELECT note_id, body, raw::text FROM notes ORDER BY 1") == [
        (row[0], row[2], '{"a": 1}') for row in before
    ]
    # The next row gets a number that no row ever had.
    world.execute("INSERT INTO notes (written) VALUES ('2026-12-02')")
    assert world.rows("SELECT max(note_id) FROM notes") == [(22,)]


def test_partitions_foreign_keys_and_tables_without_a_key(world: World) -> None:
    world.execute("CREATE TABLE owners (owner_id int PRIMARY KEY, name text)")
    world.execute("CREATE TABLE things (owner_id int REFERENCES owners, made date)")
    world.execute("CREATE TABLE days (day date, n int, UNIQUE (day)) PARTITION BY RANGE (day)")
    world.execute(
        "CREATE TABLE days_2026 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    world.execute("INSERT INTO owners VALUES (1, 'a')")
    world.execute("INSERT INTO days VALUES ('2026-11-01', 1)")
    taken(world, "public.owners", "public.days", "public.things")
    world.execute("INSERT INTO owners VALUES (2, 'b')")
    world.execute("INSERT INTO things VALUES (2, '2026-11-01')")
    world.execute("UPDATE days SET n = 2")

    with pytest.raises(PermanentError, match="restore the tables that refer to it first"):
        put_back(world, "public.owners")
    assert world.rows("SELECT count(*) FROM owners") == [(2,)]
    put_back(world, "public.things")
    put_back(world, "public.owners")
    assert world.rows("SELECT * FROM owners") == [(1, "a")]
    put_back(world, "public.days")
    assert world.rows("SELECT n FROM days_2026") == [(1,)]


def test_beside_there_is_a_table_like_it(world: World) -> None:
    taken(world, "public.notes")
    world.execute("DELETE FROM notes")
    name, rows = put_back(world, "public.notes", beside=True)
    assert (world.rows(f"SELECT count(*) FROM {name}"), rows) == ([(20,)], 20)
    assert world.rows("SELECT count(*) FROM notes") == [(0,)]
    world.execute(f"INSERT INTO {name} (written) VALUES ('2026-12-01')")
    assert world.rows(f"SELECT max(note_id) FROM {name}") == [(21,)]


def test_what_cannot_be_put_back_is_told(world: World) -> None:
    taken(world, "public.notes")
    with pytest.raises(PermanentError, match=r"stocks\.stocks is a view"):
        put_back(world, "stocks.stocks")
    with pytest.raises(NoDataError, match="no snapshot"):
        put_back(world, "public.nothing")
    snapshot = find_snapshot("public.notes", "", world.db).snapshot_name
    world.execute(f"DELETE FROM snapshots.{snapshot} WHERE note_id = 5")
    with pytest.raises(PermanentError, match="does not hold what it held"):
        put_back(world, "public.notes")
    assert world.rows("SELECT count(*) FROM notes") == [(20,)]
    world.execute("ALTER TABLE notes ADD extra text")
    with pytest.raises(PermanentError, match=r"columns of public\.notes changed"):
        put_back(world, "public.notes")


def test_old_snapshots_go_but_never_a_tables_last(world: World) -> None:
    taken(world, "public.notes")
    world.now += timedelta(days=7)
    taken(world)
    world.now += timedelta(days=1)
    gone = prune_snapshots(world.db, world.settings, world.clock, is_dry_run=True)
    assert any(each.source == "public.notes" for each in gone)
    assert len({each.source for each in gone}) == len(gone)
    before = world.rows("SELECT count(*) FROM backups.table_snapshots")[0][0]
    world.now += timedelta(days=60)
    assert world.run("backups_snapshot_retention_job", None).is_success
    assert world.rows("SELECT count(*) FROM backups.table_snapshots") == [(before // 2,)]
    assert world.rows(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'snapshots'::regnamespace"
    ) == [(before // 2,)]
