"""What goes when it is too old, and what stays whatever its age."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from batch_platform.core.settings import Settings, load_settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.retention import Freed, free
from batch_platform.operations.retention_assets import retention
from batch_platform_tests.integration.operations.conftest import Calls

IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)


@dg.asset
def something() -> dg.MaterializeResult:
    """Something that is made."""
    return dg.MaterializeResult(metadata={"dagster/row_count": 7})


@dg.op
def nothing(context: dg.OpExecutionContext) -> None:
    context.log.info("nothing is made")


@dg.job
def idle_job() -> None:
    nothing()


@pytest.fixture
def dagster_db(platform_db: PlatformDb, _dagster_template: str) -> Iterator[PlatformDb]:
    """Dagster's storage where the platform looks for it: beside its own database."""
    beside = PlatformDb(f"{platform_db.url}_dagster")
    name = beside.url.rpartition("/")[2]
    with psycopg.connect(platform_db.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_dagster_template}")  # type: ignore[arg-type]
        connection.execute(f"ALTER DATABASE {name} SET timezone TO 'UTC'")  # type: ignore[arg-type]
        yield beside
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture
def instance(dagster_db: PlatformDb, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    url = dagster_db.url.replace("postgresql://", "postgresql+psycopg2://", 1)
    (tmp_path / "dagster.yaml").write_text(
        f"storage: {{postgres: {{postgres_url: '{url}'}}}}\ntelemetry: {{enabled: false}}\n"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("BATCH_PLATFORM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETENTION_REPORT_DAYS", "100")
    return load_settings()


def freed_at(
    now: datetime,
    settings: Settings,
    db: PlatformDb,
    dagster_db: PlatformDb,
    instance: dg.DagsterInstance,
    *,
    is_dry_run: bool = False,
) -> dict[str, Freed]:
    done = free(
        settings,
        lambda: now,
        db=db,
        dagster_db=dagster_db,
        delete_run=instance.delete_run,
        is_dry_run=is_dry_run,
    )
    return {each.kind: each for each in done}


def test_runs_go_and_the_record_of_what_they_made_stays(
    platform_db: PlatformDb,
    dagster_db: PlatformDb,
    instance: dg.DagsterInstance,
    settings: Settings,
) -> None:
    made = dg.materialize([something], instance=instance)
    idle = idle_job.execute_in_process(instance=instance)
    troubled = idle_job.execute_in_process(instance=instance)
    platform_db.fetch_all(
        "INSERT INTO operations.incidents (trouble_key, kind, domain, asset, partition, job,"
        " causes, advice, run_id, is_made_up, opened_at, last_seen_at)"
        " VALUES ('k', 'failed', 'd', 'a', 'p', 'j', '{}', '{}', %s, false, now(), now())"
        " RETURNING 1",
        [troubled.run_id],
    )
    given = (settings, platform_db, dagster_db, instance)
    assert freed_at(datetime.now(UTC), *given)["runs"].count == 0
    promised = freed_at(IN_A_YEAR, *given, is_dry_run=True)
    assert instance.get_run_by_id(idle.run_id) is not None
    done = freed_at(IN_A_YEAR, *given)
    assert done["runs"] == promised["runs"] == Freed("runs", 1)
    assert done["run_details"].count > 0
    assert instance.get_run_by_id(idle.run_id) is None
    assert instance.get_run_by_id(troubled.run_id) is not None
    assert any(
        "nothing is made" in each.user_message for each in instance.all_logs(troubled.run_id)
    )
    assert instance.get_run_by_id(made.run_id) is not None
    last = instance.get_latest_materialization_event(dg.AssetKey("something"))
    assert last is not None
    assert last.asset_materialization is not None
    assert last.asset_materialization.metadata["dagster/row_count"].value == 7
    again = freed_at(IN_A_YEAR, *given)
    assert not any(each.count for each in again.values())


def test_files_go_by_age_and_by_size_the_oldest_first(
    platform_db: PlatformDb,
    dagster_db: PlatformDb,
    instance: dg.DagsterInstance,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime.now(UTC)
    home = settings.home

    def file(name: str, days_old: int, size: int) -> Path:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        at = (now - timedelta(days=days_old)).timestamp()
        os.utime(path, (at, at))
        return path

    kept = [
        file("logs/daemon.log", 400, 3_000),
        file("dagster/storage/young/compute_logs/a.err", 1, 600_000),
        file("reports/chats/young.xlsx", 99, 10),
        file("reports/chats/archive/2020-01.zip", 2000, 10),
        file("dagster/storage/not_a_run/kept.txt", 400, 10),
    ]
    gone = [
        file("logs/daemon.log.2", 31, 100),
        file("logs/daemon.log.1", 5, 500_000),
        file("dagster/storage/old/compute_logs/a.err", 40, 100),
        file("reports/chats/old.xlsx", 101, 1_000),
    ]
    monkeypatch.setenv("RETENTION_LOG_GB", "0.001")
    given = (load_settings(), platform_db, dagster_db, instance)
    promised = freed_at(now, *given, is_dry_run=True)
    assert all(path.exists() for path in [*kept, *gone])
    assert freed_at(now, *given) == promised
    assert [path.exists() for path in kept] == [True] * len(kept)
    assert [path.exists() for path in gone] == [False] * len(gone)
    assert promised["logs"] == Freed("logs", 3, 500_200)
    assert promised["reports"] == Freed("reports", 1, 1_000)


def test_the_nightly_asset_removes_what_is_old_and_says_so(
    platform_db: PlatformDb,
    instance: dg.DagsterInstance,
    calls: Calls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BATCH_PLATFORM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLATFORM_DATABASE_URL", platform_db.url)
    made = dg.materialize([something], instance=instance)
    idle = idle_job.execute_in_process(instance=instance)
    used, unused = (calls.call("chats.classify", day, is_answered=True) for day in ("a", "b"))
    with platform_db.connect("test") as connection:
        connection.execute("UPDATE llm.calls SET last_used_at = now() - interval '181 days'")
        connection.execute(
            "INSERT INTO llm.partitions (task, partition, is_live) VALUES"
            " ('chats.classify', 'a', true)"
        )
    young = calls.call("chats.classify", "b", is_answered=True)

    tonight = dg.materialize(
        [retention],
        instance=instance,
        resources={
            "settings": load_settings(),
            "platform_db": platform_db,
            "clock": lambda: IN_A_YEAR,
        },
    )
    (event,) = tonight.asset_materializations_for_node("operations__retention")
    said = {name: value.value for name, value in event.metadata.items()}
    assert (said["runs"], said["answers"], said["logs"], said["reports"]) == (1, 1, 0, 0)
    assert said["dagster/row_count"] == said["runs"] + said["run_details"] + said["answers"]
    assert instance.get_run_by_id(idle.run_id) is None
    assert instance.get_run_by_id(made.run_id) is not None
    assert instance.get_run_by_id(tonight.run_id) is not None
    kept = {row[0] for row in platform_db.fetch_all("SELECT key FROM llm.calls")}
    assert kept == {used, young}
    assert unused not in kept
