"""A platform database with something in it, a folder for its backups, and runs of its assets."""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg

from batch_platform.build import build_definitions
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.folder import BackupFolder
from batch_platform.domains.backups.models import Backup, Manifest
from batch_platform.domains.backups.sources import Source, databases
from batch_platform.domains.backups.workflow import create_dump
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform_tests.given_settings import settings_of

NIGHT = datetime(2025, 6, 12, 16, tzinfo=UTC)
"""01:00 of Friday the 13th in Seoul: the backup of the 12th."""

DAY = date(2025, 6, 12)


@dataclass
class Made:
    """What a run did."""

    result: dg.ExecuteInProcessResult

    @property
    def is_success(self) -> bool:
        return self.result.success

    @property
    def checks(self) -> dict[str, bool]:
        return {each.check_name: each.passed for each in self.result.get_asset_check_evaluations()}

    def metadata(self, asset: str) -> Mapping[str, Any]:
        (event,) = [
            event
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["backups", asset])
        ]
        metadata = event.step_materialization_data.materialization.metadata
        return {key: value.value for key, value in metadata.items()}

    @property
    def failure(self) -> str:
        """Why the step that failed did."""
        (failed,) = [event for event in self.result.all_events if event.is_step_failure]
        error = failed.step_failure_data.error
        assert error
        return str(error.cause or error)


@dataclass
class World:
    """A small platform."""

    db: PlatformDb
    folder: Path
    variables: dict[str, object]
    now: datetime = NIGHT
    dagster_database: str = field(default="")

    @property
    def settings(self) -> Settings:
        return settings_of(**self.variables)

    @property
    def backups(self) -> BackupFolder:
        return BackupFolder(self.settings.backup_folder)

    def clock(self) -> datetime:
        """Later at every look, as real clocks are."""
        self.now += timedelta(seconds=1)
        return self.now

    def only(self) -> Backup:
        (backup,) = self.backups.backups()
        return backup

    def sources(self) -> list[Source]:
        return databases(self.settings, self.db)

    def dump(self, day: date = DAY, sources: list[Source] | None = None) -> Manifest:
        """A dump of the platform's database alone: quicker than of all."""
        return create_dump(
            day,
            sources or self.sources()[:1],
            db=self.db,
            settings=self.settings,
            clock=self.clock,
        )

    def run(self, job: str, partition: str | None = DAY.isoformat()) -> Made:
        definitions = build_definitions(
            self.settings, {"platform_db": self.db, "clock": self.clock}
        )
        with dg.DagsterInstance.ephemeral() as instance:
            result = definitions.resolve_job_def(job).execute_in_process(
                instance=instance,
                partition_key=partition,
                tags={COMMAND_TAG: "test"},
                raise_on_error=False,
            )
            return Made(result)

    def execute(self, statement: str, parameters: list[object] | None = None) -> None:
        with self.db.connect("test") as connection:
            connection.execute(statement, parameters)  # type: ignore[arg-type]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.db.fetch_all(query)  # type: ignore[arg-type]


def make_world(db: PlatformDb, server: str) -> World:
    """A platform with a few rows of every awkward kind."""
    # Not pytest's folder: the scratch server's user must be able to pass when root runs this.
    folder = Path(tempfile.mkdtemp(prefix="batch-platform-backups-"))
    folder.chmod(0o755)
    world = World(
        db,
        folder,
        {
            "PLATFORM_DATABASE_URL": db.url,
            "BATCH_PLATFORM_HOME": folder / "home",
            "BACKUP_SCRATCH_URL": f"{server}postgres",
            "BACKUP_MIN_FREE_GB": 0.01,
            "BACKUP_JOBS": 1,
        },
    )
    world.execute(
        "CREATE TABLE public.notes (note_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " written date NOT NULL, body text, figures jsonb, raw json, price numeric, at timestamptz)"
    )
    world.execute(
        "INSERT INTO notes (written, body, figures, raw, price, at)"
        " SELECT '2026-11-01'::date + i, CASE i WHEN 3 THEN '' WHEN 4 THEN NULL"
        " ELSE E'글 \\n\"' || i END, jsonb_build_object('n', i), '{\"a\": 1}', i / 7.0,"
        " '2026-11-01 00:00:00.123456+00'::timestamptz + make_interval(hours => i)"
        " FROM generate_series(1, 20) AS i"
    )
    return world


def remove_world(world: World) -> None:
    """Drop what the world made beside its database."""
    shutil.rmtree(world.folder, ignore_errors=True)
    head, _, name = world.db.url.rpartition("/")
    with (
        suppress(psycopg.OperationalError),
        psycopg.connect(f"{head}/postgres", autocommit=True) as connection,
    ):
        for (database,) in connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND datname <> %s",
            [name, name],
        ).fetchall():
            connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
