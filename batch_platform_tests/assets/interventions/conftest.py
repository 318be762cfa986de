"""A small world around the interventions' assets: a real source, database and model server."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from batch_platform.build import build_definitions
from batch_platform.core.settings import Profile, Settings
from batch_platform.domains.interventions.models import Gubun
from batch_platform.domains.interventions.store import DayCounts, InterventionStore
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.failed_steps import FailedStep, failed_steps
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform.sandbox.sample_patients import write_sqlite
from batch_platform_tests.given_settings import settings_of
from batch_platform_tests.recording_model import RecordingModel, recording_model

DAY = date(2025, 6, 12)
USERS = 60
MORNING = datetime(2025, 6, 13, 0, tzinfo=UTC)


@dataclass
class Made:
    """What a run did."""

    result: dg.ExecuteInProcessResult
    instance: dg.DagsterInstance

    @property
    def is_success(self) -> bool:
        return self.result.success

    @property
    def failures(self) -> list[FailedStep]:
        return failed_steps(self.result.all_events)

    def metadata(self, asset: str) -> Mapping[str, Any]:
        (event,) = [
            event
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["interventions", asset])
        ]
        metadata = event.step_materialization_data.materialization.metadata
        return {key: value.value for key, value in metadata.items()}

    @property
    def checks(self) -> dict[str, bool]:
        return {
            evaluation.check_name: evaluation.passed
            for evaluation in self.result.get_asset_check_evaluations()
        }

    def everything_recorded(self) -> str:
        """All that Dagster keeps of the run."""
        records = self.instance.all_logs(self.result.run_id)
        return "\n".join([*map(str, records), *(dg.serialize_value(record) for record in records)])


@dataclass
class World:
    """Real counterparts of everything that the assets touch."""

    db: PlatformDb
    source: Path
    model: RecordingModel
    variables: dict[str, object]
    instance: dg.DagsterInstance

    @property
    def settings(self) -> Settings:
        return settings_of(Profile.DEMO, **self.variables)

    @property
    def store(self) -> InterventionStore:
        return InterventionStore(self.db)

    def make(
        self,
        *assets: str,
        gubun: str = "all",
        mode: str = "LLM",
        user_id: str = "",
        force: bool = False,
        needs_active_schedule: bool = False,
    ) -> Made:
        """Run the job, or some of its assets, as a command does: without waiting."""
        configs: dict[str, dict[str, object]] = {
            "eligible_users": {
                "gubun": gubun,
                "user_id": user_id,
                "force": force,
                "needs_active_schedule": needs_active_schedule,
            },
            "recommendations": {"gubun": gubun, "mode": mode},
            "published_records": {"gubun": gubun},
        }
        overrides = {"platform_db": self.db, "clock": lambda: MORNING}
        chosen = [each for each in configs if not assets or each in assets]
        result = (
            build_definitions(self.settings, overrides)
            .resolve_job_def("interventions_job")
            .execute_in_process(
                run_config={
                    "ops": {f"interventions__{each}": {"config": configs[each]} for each in chosen}
                },
                instance=self.instance,
                partition_key=DAY.isoformat(),
                asset_selection=[dg.AssetKey(["interventions", asset]) for asset in assets] or None,
                tags={COMMAND_TAG: "test"},
                raise_on_error=False,
            )
        )
        return Made(result, self.instance)

    def counts(self, gubun: str = "all") -> DayCounts:
        return self.store.counts(DAY, Gubun(gubun))

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.db.fetch_all(query, list(parameters))  # type: ignore[arg-type]

    def in_source(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.source)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()


@pytest.fixture
def world(platform_db: PlatformDb, tmp_path: Path) -> Iterator[World]:
    source = tmp_path / "patients.sqlite"
    write_sqlite(source, DAY, users=USERS, days=1)
    with recording_model() as model:
        variables: dict[str, object] = {
            "BATCH_PLATFORM_HOME": tmp_path / "home",
            "INTERVENTIONS_DATABASE_URL": f"sqlite:///{source}",
            "INTERVENTIONS_TABLE_SLEEP_RECORDS": "interventions_usersleeprecord",
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
            "LLM_API_KEY": "canary-model-key",
        }
        with dg.DagsterInstance.ephemeral() as instance:
            yield World(platform_db, source, model, variables, instance)
