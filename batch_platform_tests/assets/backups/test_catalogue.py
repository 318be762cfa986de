"""What the webserver shows of the backups."""

import dagster as dg
import pytest

from batch_platform.build import DEADLINES, build_definitions

ASSETS = {
    "backups/database_backup": ("daily", {"postgresql", "file"}, set()),
    "backups/backup_copies": ("daily", {"file", "s3"}, {"backups/database_backup"}),
    "backups/incremental_backup": ("daily", {"postgresql", "file"}, set()),
    "backups/table_snapshots": ("weekly", {"postgres", "table"}, set()),
}
CHECKS = {
    "backups/database_backup": {"backup_restores": True},
    "backups/incremental_backup": {"incremental_chain_is_whole": True},
    "backups/table_snapshots": {"table_snapshots_are_as_they_were_taken": True},
}
SCHEDULES = {
    "backups_database_schedule": ("backups_database_job", "0 1 * * *"),
    "backups_incremental_schedule": ("backups_incremental_job", "30 1 * * *"),
    "backups_snapshots_schedule": ("backups_snapshots_job", "0 2 * * 0"),
    "backups_retention_schedule": ("backups_retention_job", "0 3 * * 0"),
    "backups_snapshot_retention_schedule": ("backups_snapshot_retention_job", "30 3 * * 0"),
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions()


def test_the_backups_are_these_assets(definitions: dg.Definitions) -> None:
    found = {
        spec.key.to_user_string(): (
            "weekly" if isinstance(spec.partitions_def, dg.WeeklyPartitionsDefinition) else "daily",
            set(spec.kinds),
            {dep.asset_key.to_user_string() for dep in spec.deps},
        )
        for spec in definitions.resolve_all_asset_specs()
        if spec.group_name == "backups"
    }
    assert found == ASSETS


def test_the_checks_and_whether_they_stop_what_follows(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found: dict[str, dict[str, bool]] = {}
    for key in graph.asset_check_keys:
        if key.asset_key.path[0] == "backups":
            found.setdefault(key.asset_key.to_user_string(), {})[key.name] = graph.get(key).blocking
    assert found == CHECKS


def test_the_schedules_are_those_of_the_old_system(definitions: dg.Definitions) -> None:
    found = {
        schedule.name: (schedule.job_name, schedule.cron_schedule)
        for schedule in definitions.get_repository_def().schedule_defs
        if schedule.name.startswith("backups_")
    }
    assert found == SCHEDULES
    assert any(each.asset == "backups/database_backup" for each in DEADLINES)
