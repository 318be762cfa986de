"""A small world around the market's assets: a made-up exchange and data portal, a real database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from batch_platform.build import build_definitions
from batch_platform.core.settings import Profile, Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.failed_steps import FailedStep, failed_steps
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform.sandbox import krx_server, public_data_server
from batch_platform.sandbox.krx_server import KrxServer
from batch_platform.sandbox.loopback import LOOPBACK, loopback_socket, serving_in_a_thread
from batch_platform.sandbox.public_data_server import PublicDataServer
from batch_platform_tests.given_settings import settings_of

DAY = date(2018, 5, 3)
"""A Thursday; the day after, the stock in the market's first place is split 50:1."""

DAY_BEFORE = date(2018, 5, 2)
SPLIT_DAY = date(2018, 5, 4)
HOLIDAY = date(2018, 5, 7)
NOW = datetime(2018, 6, 1, 0, tzinfo=UTC)
KRX_KEY = "canary-krx-key"
PUBLIC_KEY = "canary+public/key=="
ROWS = 2_763


@dataclass
class Made:
    """What a run did."""

    result: dg.ExecuteInProcessResult
    instance: dg.DagsterInstance

    @property
    def is_success(self) -> bool:
        return self.result.success

    @property
    def failure(self) -> FailedStep:
        (failure,) = failed_steps(self.result.all_events)
        return failure

    def materializations(self, asset: str = "daily_prices") -> dict[str, Mapping[str, Any]]:
        """Partition → metadata."""
        return {
            event.partition or "": {
                key: value.value
                for key, value in event.step_materialization_data.materialization.metadata.items()
            }
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["stocks", asset])
        }

    def metadata(self, asset: str = "daily_prices") -> Mapping[str, Any]:
        (metadata,) = self.materializations(asset).values()
        return metadata

    def waiting(self) -> dict[str, str]:
        """Partition → why it is awaited."""
        return {
            event.partition or "": str(
                event.asset_observation_data.asset_observation.metadata["reason"].value
            )
            for event in self.result.get_asset_observation_events()
        }

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
    krx: KrxServer
    public_data: PublicDataServer
    variables: dict[str, object]
    instance: dg.DagsterInstance

    @property
    def settings(self) -> Settings:
        return settings_of(Profile.DEMO, **self.variables)

    def definitions(self) -> dg.Definitions:
        overrides = {"platform_db": self.db, "clock": lambda: NOW}
        return build_definitions(self.settings, overrides)

    def make(
        self,
        day: date = DAY,
        last: date | None = None,
        *,
        job: str = "stocks_prices_job",
        assets: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        **config: object,
    ) -> Made:
        """Run a job on a day, or on a range in one run, as a command does: without waiting."""
        ranged = {
            "dagster/asset_partition_range_start": day.isoformat(),
            "dagster/asset_partition_range_end": (last or day).isoformat(),
        }
        ops = {"stocks__daily_prices": {"config": config}} if config else {}
        result = (
            self.definitions()
            .resolve_job_def(job)
            .execute_in_process(
                run_config={"ops": ops},
                instance=self.instance,
                partition_key=None if last else day.isoformat(),
                asset_selection=[dg.AssetKey(["stocks", asset]) for asset in assets] or None,
                tags={
                    **({COMMAND_TAG: "test"} if tags is None else tags),
                    **(ranged if last else {}),
                },
                raise_on_error=False,
            )
        )
        return Made(result, self.instance)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.db.fetch_all(query, list(parameters))  # type: ignore[arg-type]

    def execute(self, statement: str, *parameters: object) -> None:
        with self.db.connect("test") as connection:
            connection.execute(statement, list(parameters))  # type: ignore[arg-type]

    def count(self, day: date = DAY) -> int:
        return self.rows("SELECT count(*) FROM stocks.daily_prices WHERE date = %s", day)[0][0]

    def written_rows(self) -> dict[tuple[date, str], str]:
        """Each row's key and the transaction that wrote it last."""
        rows = self.rows("SELECT date, ticker, xmin::text FROM stocks.daily_prices")
        return {(day, ticker): transaction for day, ticker, transaction in rows}


@pytest.fixture
def world(platform_db: PlatformDb, tmp_path: Path) -> Iterator[World]:
    krx = KrxServer(KRX_KEY)
    public_data = PublicDataServer(PUBLIC_KEY)
    sockets = [loopback_socket() for _ in range(2)]
    krx_url, public_url = (f"http://{LOOPBACK}:{each.getsockname()[1]}" for each in sockets)
    with (
        serving_in_a_thread(krx.application, sockets[0]),
        serving_in_a_thread(public_data.application, sockets[1]),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        variables: dict[str, object] = {
            "BATCH_PLATFORM_HOME": tmp_path / "home",
            "KRX_AUTH_KEY": KRX_KEY,
            "KRX_BASE_URL": krx_url + krx_server.PREFIX,
            "PUBLIC_DATA_SERVICE_KEY": PUBLIC_KEY,
            "PUBLIC_DATA_BASE_URL": public_url + public_data_server.PREFIX,
        }
        yield World(platform_db, krx, public_data, variables, instance)
