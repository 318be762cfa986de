"""A night's backup: green only when it was restored and compared."""

import json
import stat
from datetime import timedelta

from batch_platform.domains.backups.models import Role, State
from batch_platform_tests.backup_world import DAY, World


def test_a_night_leaves_a_backup_that_was_restored(world: World) -> None:
    # The platform's own scratch server, as where nobody chose one.
    del world.variables["BACKUP_SCRATCH_URL"]
    made = world.run("backups_database_job")

    assert made.is_success
    assert made.checks == {"backup_restores": True}
    backup = world.only()
    assert backup.manifest
    assert (backup.state, backup.manifest.day) == (State.GOOD, DAY)
    assert backup.backup_id == "dump_20250613_010002"
    assert backup.verification
    assert backup.verification.method == "restore"
    # Both databases: a platform without its history of runs is half a platform.
    assert [each.role for each in backup.manifest.databases] == [Role.PLATFORM, Role.DAGSTER]
    tables = {
        f"{each.table_schema}.{each.name}": each for each in backup.manifest.databases[0].tables
    }
    assert tables["public.notes"].rows == 20
    # Columns of types without a hash of their own (here json) are no reason for another way.
    assert tables["public.notes"].method == "columns"
    assert made.metadata("database_backup")["size_bytes"] == backup.manifest.size_bytes
    assert not list((world.folder / "home" / "scratch").iterdir())

    # Only its owner can read it.
    for path in [world.backups.path, *world.backups.path.rglob("*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path

    # Its figures are in the tables and in the metrics file.
    assert world.rows(
        "SELECT backup_id, day, size_bytes, is_good, method FROM backups.backups"
        " JOIN backups.verifications USING (backup_id)"
    ) == [(backup.backup_id, DAY, backup.manifest.size_bytes, True, "restore")]
    (line,) = (world.settings.home / "metrics.json").read_text().splitlines()
    assert set(json.loads(line)) == {"timestamp", "backup"}
    assert set(json.loads(line)["backup"]) == {"size_mb", "elapsed_minutes"}


def test_the_cheap_check_says_that_it_is_one(world: World) -> None:
    world.variables["BACKUP_CHECK"] = "read"
    made = world.run("backups_database_job")
    assert made.checks == {"backup_restores": True}
    assert world.only().state is State.READABLE


def test_a_day_that_is_gone_is_refused(world: World) -> None:
    made = world.run("backups_database_job", (DAY - timedelta(days=1)).isoformat())
    assert "cannot be made any more" in made.failure
    assert not world.backups.backups()


def test_too_little_room_is_told_and_nothing_begun(world: World) -> None:
    world.variables["BACKUP_MIN_FREE_GB"] = 1e6
    made = world.run("backups_database_job")
    assert "Too little room" in made.failure
    assert "1000000.00 GB are needed" in made.failure
    assert not world.backups.path.exists()
