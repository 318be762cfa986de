"""A small world around the chats' assets: a real source, database, model server and mail sink."""

import shutil
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
from batch_platform.domains.chats.assets import classifications, raw_chats
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.failed_steps import FailedStep, failed_steps
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform.sandbox.sample_chats import write_sqlite
from batch_platform.sandbox.smtp_sink import RunningSmtpSink, running_smtp_sink
from batch_platform_tests.given_settings import settings_of
from batch_platform_tests.recording_model import RecordingModel, recording_model

DAY = date(2025, 6, 12)
"""A Thursday of the sample, with about 100 chats."""

DAY_BEFORE = DAY - timedelta(days=1)
NIGHT = datetime(2025, 6, 12, 16, tzinfo=UTC)
NIGHT_ASSETS = ("raw_chats", "classifications", "report", "report_mail", "published_keywords")


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
            if event.asset_key == dg.AssetKey(["chats", asset])
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
    mails: RunningSmtpSink
    variables: dict[str, object]
    instance: dg.DagsterInstance

    @property
    def settings(self) -> Settings:
        return settings_of(Profile.DEMO, **self.variables)

    @property
    def reports(self) -> Path:
        return self.settings.chats_report_folder

    def definitions(self) -> dg.Definitions:
        overrides = {"platform_db": self.db, "clock": lambda: NIGHT}
        return build_definitions(self.settings, overrides)

    def make(
        self,
        *assets: str,
        day: date = DAY,
        job: str = "chats_night_job",
        tags: Mapping[str, str] | None = None,
        classify: Mapping[str, object] | None = None,
        mail: Mapping[str, object] | None = None,
        review: Mapping[str, object] | None = None,
    ) -> Made:
        """Run assets of a job, all of them by default, as a command does: without waiting."""
        configs = {
            "chats__classifications": classify,
            "chats__report_mail": mail,
            "chats__weekly_review": review,
        }
        ops = {name: {"config": dict(config)} for name, config in configs.items() if config}
        result = (
            self.definitions()
            .resolve_job_def(job)
            .execute_in_process(
                run_config={"ops": ops},
                instance=self.instance,
                partition_key=day.isoformat(),
                asset_selection=[dg.AssetKey(["chats", asset]) for asset in assets] or None,
                tags={COMMAND_TAG: "test", **(tags or {})},
                raise_on_error=False,
            )
        )
        return Made(result, self.instance)

    def check(self, day: date = DAY) -> dict[str, bool]:
        """Evaluate every check of the domain by itself, as the webserver does."""
        job = dg.define_asset_job(
            "checks", dg.AssetSelection.checks_for_assets(raw_chats, classifications)
        )
        definitions = dg.Definitions.merge(self.definitions(), dg.Definitions(jobs=[job]))
        result = definitions.resolve_job_def("checks").execute_in_process(
            instance=self.instance,
            tags={"dagster/partition": day.isoformat()},
            raise_on_error=False,
        )
        return Made(result, self.instance).checks

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.db.fetch_all(query, list(parameters))  # type: ignore[arg-type]

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        with self.db.connect("test") as connection:
            connection.execute(statement, list(parameters))  # type: ignore[arg-type]

    def checksum(self, day: date = DAY) -> list[tuple[Any, ...]]:
        """One line a table: rows and a hash of the day's content."""
        tables = ("raw_chats", "questions", "classifications")
        return [
            self.rows(
                "SELECT count(*), sum(hash_record_extended(row_, 0))"
                f" FROM chats.{table} AS row_ WHERE chat_date = %s",
                [day],
            )[0]
            for table in tables
        ]

    def in_source(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.source)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()

    def add_chats(self, *texts: str | None, day: date = DAY) -> None:
        for text in texts:
            self.in_source(
                "INSERT INTO chattings (chatting_pk, input_text, created_at)"
                " SELECT max(chatting_pk) + 1, ?, ? FROM chattings",
                text,
                f"{day} 12:00:00.000000",
            )


@pytest.fixture(scope="session")
def sample_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days, of each the chats that are odd in some way and a quarter of the others."""
    file = tmp_path_factory.mktemp("source") / "chats.sqlite"
    write_sqlite(file, DAY, days=2)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "DELETE FROM chattings WHERE length(input_text) BETWEEN 1 AND 40 AND chatting_pk % 4"
        )
    return file


@pytest.fixture
def world(platform_db: PlatformDb, sample_source: Path, tmp_path: Path) -> Iterator[World]:
    source = tmp_path / "chats.sqlite"
    shutil.copyfile(sample_source, source)
    with recording_model() as model, running_smtp_sink() as mails:
        variables: dict[str, object] = {
            "BATCH_PLATFORM_HOME": tmp_path / "home",
            "ENGINE_FOR_SQLALCHEMY": f"sqlite:///{source}",
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
            "LLM_API_KEY": "canary-model-key",
            "SMTP_SERVER": mails.host,
            "SMTP_PORT": mails.port,
            "SENDER_EMAIL": "batch@example.com",
            "SMTP_SECURITY": "none",
            "RECIPIENT_EMAILS": "manager@example.com",
            "MAILTO": "operator@example.com",
            "ORG_NAME": "시험교육청",
        }
        with dg.DagsterInstance.ephemeral() as instance:
            yield World(platform_db, source, model, mails, variables, instance)
