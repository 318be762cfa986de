"""A small world around the fortunes' assets: a real app database, platform database and model."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from batch_platform.build import build_definitions
from batch_platform.core.settings import Profile, Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.failed_steps import FailedStep, failed_steps
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform.sandbox.sample_users import write_sqlite
from batch_platform_tests.given_settings import settings_of
from batch_platform_tests.recording_model import RecordingModel, recording_model

BASE = date(2025, 6, 12)
DAY = BASE + timedelta(days=1)
NIGHT = datetime(2025, 6, 12, 13, tzinfo=UTC)
JOB = "fortunes_night_job"
USERS = 24
ELIGIBLE = 20
"""Of the sample's 24: not the inactive one, those without a birthday, unborn, or born in 1899."""


@dataclass
class Made:
    """What a run did."""

    result: dg.ExecuteInProcessResult

    @property
    def is_success(self) -> bool:
        return self.result.success

    @property
    def failures(self) -> list[FailedStep]:
        return failed_steps(self.result.all_events)

    def metadata(self, asset: str, partition: str | None = None) -> Mapping[str, Any]:
        (event,) = [
            event
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["fortunes", asset])
            and partition in (None, event.partition)
        ]
        metadata = event.step_materialization_data.materialization.metadata
        return {key: value.value for key, value in metadata.items()}

    @property
    def checks(self) -> dict[str, bool]:
        return {
            evaluation.check_name: evaluation.passed
            for evaluation in self.result.get_asset_check_evaluations()
        }


@dataclass
class World:
    """Real counterparts of everything that the assets touch."""

    db: PlatformDb
    app: Path
    model: RecordingModel
    variables: dict[str, object]
    instance: dg.DagsterInstance
    now: datetime = NIGHT

    @property
    def settings(self) -> Settings:
        return settings_of(Profile.DEMO, **self.variables)

    def definitions(self) -> dg.Definitions:
        overrides = {"platform_db": self.db, "clock": lambda: self.now}
        return build_definitions(self.settings, overrides)

    def make(
        self,
        *assets: str,
        day: date | None = DAY,
        tags: Mapping[str, str] | None = None,
        retry_failed: bool = False,
    ) -> Made:
        """Run the night's job, or assets of it, as a command does: without waiting."""
        config = {"fortunes__daily_fortunes": {"config": {"retry_failed": retry_failed}}}
        is_asked = not assets or "daily_fortunes" in assets
        result = (
            self.definitions()
            .resolve_job_def(JOB)
            .execute_in_process(
                run_config={"ops": config if is_asked else {}},
                instance=self.instance,
                partition_key=day.isoformat() if day else None,
                asset_selection=[dg.AssetKey(["fortunes", asset]) for asset in assets] or None,
                tags={COMMAND_TAG: "test", **(tags or {})},
                raise_on_error=False,
            )
        )
        return Made(result)

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.db.fetch_all(query, list(parameters))  # type: ignore[arg-type]

    def checksum(self, day: date = DAY) -> list[tuple[Any, ...]]:
        """Rows of the day and a hash of all they hold."""
        return self.rows(
            "SELECT count(*), sum(hash_record_extended(row_, 0))"
            " FROM fortunes.daily_fortunes AS row_ WHERE for_date = %s",
            [day],
        )

    def statuses(self, day: date = DAY) -> dict[str, str]:
        return dict(
            self.rows(
                "SELECT user_id, status FROM fortunes.daily_fortunes WHERE for_date = %s", [day]
            )
        )

    def in_app(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.app)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()

    def answer_wrongly(self, **faults: object) -> None:
        self.model.server.configure(**faults)


@pytest.fixture
def world(platform_db: PlatformDb, tmp_path: Path) -> Iterator[World]:
    app = tmp_path / "app.sqlite"
    address = write_sqlite(app, BASE, count=USERS)
    with recording_model() as model:
        variables: dict[str, object] = {
            "BATCH_PLATFORM_HOME": tmp_path / "home",
            "DATABASE_URL": address,
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
            "FORTUNES_WORKERS": 4,
        }
        with dg.DagsterInstance.ephemeral() as instance:
            yield World(platform_db, app, model, variables, instance)


def parsed(text: str) -> Any:
    return json.loads(text)
