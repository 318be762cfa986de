"""What the webserver shows: every asset with its owner, kinds, partitions and words; every job.

A change here is a change for whoever looks at the platform: it should be meant.
"""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import dagster as dg
import pytest

from batch_platform.api.routes.schedules import DEFAULT_JOB
from batch_platform.build import build_definitions
from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE, PROJECT_ROOT

CHATS = {
    "chats/raw_chats": ("daily", {"postgres", "table"}, set()),
    "chats/classifications": ("daily", {"postgres", "openai"}, {"chats/raw_chats"}),
    "chats/report": ("daily", {"excel"}, {"chats/classifications"}),
    "chats/report_mail": ("daily", {"email"}, {"chats/report"}),
    "chats/published_keywords": ("daily", {"mariadb", "table"}, {"chats/classifications"}),
    "chats/report_archive": ("monthly", {"zip", "excel"}, {"chats/report"}),
    "chats/weekly_review": ("weekly", {"email"}, {"chats/classifications"}),
    "chats/monthly_review": (
        "monthly",
        {"email"},
        {"chats/classifications", "chats/report_archive"},
    ),
}
_PERIODS = {
    dg.DailyPartitionsDefinition: "daily",
    dg.WeeklyPartitionsDefinition: "weekly",
    dg.MonthlyPartitionsDefinition: "monthly",
}
CHECKS = {
    "chats/raw_chats": {
        "raw_chats_are_not_empty_after_a_busy_weekday": False,
        "raw_chats_add_up_to_the_source": True,
    },
    "chats/classifications": {
        "every_question_is_classified_or_in_quarantine": True,
        "question_counts_add_up_to_the_chats": True,
        "categories_are_known_to_the_source": False,
    },
    "chats/weekly_review": {"every_day_of_the_week_has_its_chats_and_classifications": False},
    "chats/monthly_review": {"every_day_of_the_month_has_its_chats_and_its_workbook": False},
}
"""Check → whether a failure stops what is downstream."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions()


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_the_chats_are_these_assets(specs: dict[str, dg.AssetSpec]) -> None:
    chats = {key: spec for key, spec in specs.items() if spec.group_name == "chats"}
    assert {
        key: (
            _PERIODS[type(spec.partitions_def)],
            set(spec.kinds),
            {dep.asset_key.to_user_string() for dep in spec.deps},
        )
        for key, spec in chats.items()
    } == CHATS


def test_every_asset_says_what_it_is_and_whose(specs: dict[str, dg.AssetSpec]) -> None:
    for key, spec in specs.items():
        first_line = (spec.description or "").splitlines()[0]
        assert re.fullmatch(r"[A-Z][^`*_#\[\]<>]{20,}\.", first_line), f"{key}: {first_line!r}"
        assert spec.owners, key
        assert spec.kinds, key
        assert spec.group_name == spec.key.path[0], key


def test_every_table_has_its_columns_explained(specs: dict[str, dg.AssetSpec]) -> None:
    tables = {key: spec for key, spec in specs.items() if "postgres" in spec.kinds}
    for key, spec in tables.items():
        assert spec.metadata["dagster/table_name"] == key.replace("/", ".")
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert all(column.description and column.type for column in schema.columns), key


def test_days_begin_and_end_in_seoul(specs: dict[str, dg.AssetSpec]) -> None:
    for key, spec in specs.items():
        partitions = spec.partitions_def
        if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
            assert partitions.timezone == "Asia/Seoul", key


def test_a_backfill_runs_a_partition_at_a_time(definitions: dg.Definitions) -> None:
    for asset in definitions.assets or []:
        assert isinstance(asset, dg.AssetsDefinition)
        if asset.partitions_def is not None and asset.key.path[0] == "chats":
            assert asset.backfill_policy == dg.BackfillPolicy.multi_run(), asset.key


def test_checks_are_sentences_and_those_that_must_stop_the_rest_do(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    found: dict[str, dict[str, bool]] = {}
    for key in graph.asset_check_keys:
        asset = key.asset_key.to_user_string()
        found.setdefault(asset, {})[key.name] = graph.get(key).blocking
        assert re.search("_(is|are|has|have|add|adds|agree|agrees)_|_restores$", key.name), key.name
    assert {asset: found[asset] for asset in CHECKS} == CHECKS


def test_jobs_schedules_and_sensors(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert {"chats_night_job", "chats_archive_job"} <= jobs
    assert all(name.endswith("_job") for name in jobs)

    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert all(name.endswith("_schedule") for name in schedules)
    night = schedules["chats_night_schedule"]
    assert (night.cron_schedule, night.execution_timezone) == ("0 1 * * *", "Asia/Seoul")
    assert night.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedules["chats_archive_schedule"].cron_schedule == "0 4 1 * *"

    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    assert all(name.endswith("_sensor") for name in sensors)
    assert sensors["failed_run_sensor"].default_status is dg.DefaultSensorStatus.RUNNING
    for automation in (*schedules.values(), *sensors.values()):
        assert automation.description, automation.name


def test_what_the_api_runs_without_a_name_is_a_job(definitions: dg.Definitions) -> None:
    # The API knows no Dagster, so it cannot look the name up by itself.
    assert definitions.resolve_job_def(DEFAULT_JOB).name == DEFAULT_JOB


def test_loading_asks_nothing_of_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> NoReturn:
        raise AssertionError("Loading the definitions opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    started = time.perf_counter()
    definitions = build_definitions()
    definitions.get_repository_def()
    assert time.perf_counter() - started < 10


def test_dagster_accepts_the_workspace(tmp_path: Path) -> None:
    settings = tmp_path / "settings.env"
    settings.write_text("")
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    tool = Path(sys.executable).with_name("dagster")
    shown = subprocess.run(
        [tool, "definitions", "validate", "-w", "workspace.yaml"],
        cwd=PROJECT_ROOT,
        env={
            "PATH": str(tool.parent),
            "HOME": str(tmp_path),
            "DAGSTER_HOME": str(tmp_path),
            ENV_FILE_VARIABLE: str(settings),
            PROFILE_VARIABLE: "live",
        },
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
