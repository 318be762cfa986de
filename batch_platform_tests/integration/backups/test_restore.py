"""Restoring databases: compared before they are swapped, the old ones kept, nothing half."""

from datetime import timedelta

import psycopg
import pyarrow as pa
import pytest

from batch_platform.core.errors import NoDataError, PartitionBusyError, PermanentError
from batch_platform.domains.backups.changed_days import create_changed_days
from batch_platform.domains.backups.models import BackupKind, Manifest
from batch_platform.domains.backups.restore import (
    Restored,
    dump_and_changes,
    find_backup,
    require_whole,
    restore_database,
    restore_targets,
)
from batch_platform.domains.backups.verification import verify
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.backup_world import DAY, World

NOTES = "SELECT count(*), sum(note_id), max(body) FROM public.notes"


def restored(world: World, manifest: Manifest, *, beside: bool = False) -> Restored:
    dump, changes = dump_and_changes(manifest, world.backups)
    require_whole(dump, world.backups)
    (target,) = restore_targets(dump, world.settings)
    return restore_database(
        dump,
        target,
        folder=world.backups,
        settings=world.settings,
        clock=world.clock,
        beside=beside,
        changes=changes,
    )


def test_a_database_comes_back_and_the_one_before_is_kept(world: World) -> None:
    before, manifest = world.rows(NOTES), world.dump()
    world.execute("DELETE FROM notes WHERE note_id > 3")
    done = restored(world, manifest)

    assert world.rows(NOTES) == before
    kept = PlatformDb(world.db.url.replace(done.name, done.kept_as))
    assert kept.fetch_all("SELECT count(*) FROM notes") == [(3,)]
    # Sequences go on where they were.
    world.execute("INSERT INTO notes (written) VALUES ('2026-12-01')")
    assert world.rows("SELECT max(note_id) FROM notes") == [(21,)]


def test_beside_leaves_what_is_there_alone(world: World) -> None:
    manifest = world.dump()
    world.execute("DELETE FROM notes WHERE note_id > 3")
    done = restored(world, manifest, beside=True)
    assert world.rows("SELECT count(*) FROM notes") == [(3,)]
    beside = PlatformDb(world.db.url.replace(world.sources()[0].name, done.name))
    assert beside.fetch_all("SELECT count(*) FROM notes") == [(20,)]


def test_a_database_in_which_a_run_works_is_not_swapped(world: World) -> None:
    manifest = world.dump()
    with (
        world.db.hold("chats/raw_chats", "2026-11-19", holder="run 0123"),
        pytest.raises(PartitionBusyError, match="run 0123"),
    ):
        restored(world, manifest)
    assert _databases(world) == {world.sources()[0].name}


def test_a_damaged_backup_changes_nothing(world: World) -> None:
    manifest = world.dump()
    next(world.backups.path.rglob("toc.dat")).write_bytes(b"nothing")
    with pytest.raises(PermanentError, match="is damaged"):
        restored(world, manifest)
    assert _databases(world) == {world.sources()[0].name}


def test_made_up_data_does_not_replace_real_data(world: World) -> None:
    manifest = world.dump().model_copy(update={"is_made_up": True})
    with pytest.raises(PermanentError, match="holds made-up data"):
        restore_targets(manifest, world.settings)


def test_the_newest_good_backup_until_a_day_is_found(world: World) -> None:
    with pytest.raises(NoDataError, match="no good backup"):
        find_backup("", world.settings)
    first = world.dump()
    world.now += timedelta(days=1)
    second = world.dump(DAY + timedelta(days=1))
    for each in (first, second):
        verify(
            each.backup_id,
            db=None,
            settings=world.settings,
            clock=world.clock,
            method="read",
        )
    assert find_backup("", world.settings)[1] == second
    assert find_backup("", world.settings, until=DAY)[1] == first
    assert find_backup(str(world.backups.path / first.backup_id), world.settings)[1] == first


def test_changed_days_bring_a_dump_to_a_later_day(world: World) -> None:
    world.execute("CREATE TABLE prices (day date, ticker text, price numeric, note text)")

    def overwrite(day: str, prices: list[str]) -> None:
        batch = pa.record_batch(
            [[day] * len(prices), prices, prices, ["", *[None] * (len(prices) - 1)]],
            names=["day", "ticker", "price", "note"],
        )
        with world.db.replacing("test/prices", day) as transaction:
            transaction.overwrite("public.prices", {"day": day}, [batch])

    overwrite("2026-11-18", ["1.10", "2"])
    overwrite("2026-11-19", ["3"])
    dump = world.dump()
    assert verify(
        dump.backup_id, db=None, settings=world.settings, clock=world.clock, method="read"
    ).is_good
    overwrite("2026-11-19", ["3.5", "4"])
    overwrite("2026-11-20", ["5"])
    expected = world.rows("SELECT * FROM prices ORDER BY day, ticker")
    changes = create_changed_days(
        DAY + timedelta(days=1),
        db=world.db,
        settings=world.settings,
        clock=world.clock,
        note="test",
    )
    # Only what changed since the dump, as PostgreSQL sees it.
    assert (changes.kind, changes.parent_id) == (BackupKind.CHANGED_DAYS, dump.backup_id)
    assert [each.where["day"] for each in changes.changed] == ["2026-11-19", "2026-11-20"]
    assert verify(
        changes.backup_id, db=world.db, settings=world.settings, clock=world.clock
    ).is_good

    world.execute("TRUNCATE prices")
    restored(world, changes)
    assert world.rows("SELECT * FROM prices ORDER BY day, ticker") == expected

    file = world.backups.path / changes.backup_id / changes.changed[0].file
    file.write_bytes(file.read_bytes()[:-9])
    found = verify(changes.backup_id, db=world.db, settings=world.settings, clock=world.clock)
    assert "bytes instead of" in found.problems[0]
    with pytest.raises(PermanentError, match="is damaged"):
        restored(world, changes)


def _databases(world: World) -> set[str]:
    head, _, name = world.db.url.rpartition("/")
    with psycopg.connect(f"{head}/postgres") as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
            " AND NOT datname LIKE '%%dagster'",
            [name],
        )
        return {row[0] for row in rows}
