"""A small world around the financials' assets: a real database and a disclosure office over HTTP.

The office knows sixty companies of the made-up market, in 2016: the market's second year is made
quickly. Prices are put into their table as the market half would write them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from batch_platform.build import build_definitions
from batch_platform.core.settings import Profile, Settings
from batch_platform.domains.stocks.financials.models import Quarter
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.failed_steps import FailedStep, failed_steps
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform.sandbox import loopback
from batch_platform.sandbox.made_up_market import market_day
from batch_platform.sandbox.made_up_statements import Company, companies
from batch_platform.sandbox.opendart_server import OpenDartServer
from batch_platform_tests.given_settings import settings_of

KEY = "canary-opendart-key-0123456789abcdef"
COMPANIES = 60
TODAY = date(2016, 12, 20)
QUARTER = Quarter(2016, 3)
ASSETS = ("corp_codes", "financial_statements", "financial_ratios")
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


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

    @property
    def checks(self) -> dict[str, bool]:
        return {
            evaluation.check_name: evaluation.passed
            for evaluation in self.result.get_asset_check_evaluations()
        }

    def metadata(self, asset: str) -> Mapping[str, Any]:
        event = next(
            event
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(["stocks", asset])
        )
        metadata = event.step_materialization_data.materialization.metadata
        return {key: value.value for key, value in metadata.items()}

    def everything_recorded(self) -> str:
        """All that Dagster keeps of the run."""
        records = self.instance.all_logs(self.result.run_id)
        return "\n".join([*map(str, records), *(dg.serialize_value(record) for record in records)])


@dataclass
class FinancialWorld:
    """Real counterparts of everything that the assets touch."""

    db: PlatformDb
    office: OpenDartServer
    url: str
    instance: dg.DagsterInstance
    key: str = KEY

    @property
    def settings(self) -> Settings:
        return settings_of(
            Profile.DEMO,
            OPENDART_BASE_URL=self.url,
            OPENDART_SECONDS_BETWEEN_CALLS=0,
            **({"OPENDART_API_KEY": self.key} if self.key else {}),
        )

    def companies(self) -> Sequence[Company]:
        """Those that the office knows."""
        return companies(self.office.today())[:COMPANIES]

    def make(
        self,
        first: Quarter = QUARTER,
        last: Quarter | None = None,
        *,
        assets: Sequence[str] = (),
        all_accounts: bool = False,
        is_command: bool = True,
    ) -> Made:
        """Make quarters in one run, as a command does or the schedule."""
        config = {"config": {"all_accounts": True}} if all_accounts else {}
        return self._run(
            "stocks_financials_job",
            first.first_day,
            (last or first).first_day,
            assets,
            {"stocks__financial_statements": config} if config else {},
            is_command,
        )

    def value(self, first: date, last: date | None = None) -> Made:
        """Value days in one run."""
        return self._run("stocks_valuations_job", first, last or first, (), {}, True)

    def check(self, day: date, job: str) -> dict[str, bool]:
        """Evaluate the checks of a job's assets on a partition, without making anything."""
        assets = ("valuations",) if "valuations" in job else ASSETS
        checks = dg.AssetSelection.checks_for_assets(*(dg.AssetKey(["stocks", a]) for a in assets))
        checking = dg.define_asset_job("checks", checks)
        definitions = dg.Definitions.merge(
            build_definitions(self.settings, {"platform_db": self.db}),
            dg.Definitions(jobs=[checking]),
        )
        result = definitions.resolve_job_def("checks").execute_in_process(
            run_config=_QUIET,
            instance=self.instance,
            tags={"dagster/partition": day.isoformat()},
            raise_on_error=False,
        )
        return Made(result, self.instance).checks

    def _run(
        self,
        job: str,
        first: date,
        last: date,
        assets: Sequence[str],
        ops: Mapping[str, object],
        is_command: bool,
    ) -> Made:
        tags = {COMMAND_TAG: "test"} if is_command else {}
        if first != last:
            tags |= {
                "dagster/asset_partition_range_start": first.isoformat(),
                "dagster/asset_partition_range_end": last.isoformat(),
            }
        definitions = build_definitions(self.settings, {"platform_db": self.db})
        result = definitions.resolve_job_def(job).execute_in_process(
            run_config={"ops": ops, **_QUIET},
            instance=self.instance,
            partition_key=first.isoformat() if first == last else None,
            asset_selection=[dg.AssetKey(["stocks", each]) for each in assets] or None,
            tags=tags,
            raise_on_error=False,
        )
        return Made(result, self.instance)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.db.fetch_all(query, list(parameters))  # type: ignore[arg-type]

    def execute(self, statement: str, *parameters: object) -> None:
        with self.db.connect("test") as connection:
            connection.execute(statement, list(parameters))  # type: ignore[arg-type]

    def fingerprint(self, table: str) -> list[tuple[Any, ...]]:
        """Rows, content and the transactions that wrote them: the same only if none was touched."""
        return self.rows(
            "SELECT count(*), sum(hash_record_extended(row_, 0)), sum(hashtext(xmin::text))"
            f" FROM stocks.{table} AS row_"
        )

    def put_prices(self, day: date) -> None:
        """The made-up market's day as the market half writes it; a closed day with its reason."""
        market = market_day(day)
        rows = (
            []
            if market is None
            else zip(
                (stock.ticker for stock in market.stocks),
                market.close.tolist(),
                market.shares.tolist(),
                market.is_suspended.tolist(),
                strict=True,
            )
        )
        with self.db.connect("test") as connection, connection.transaction():
            connection.execute("DELETE FROM stocks.daily_prices WHERE date = %s", [day])
            count = 0
            for ticker, close, shares, is_suspended in rows:
                put_price(connection, day, ticker, close, shares, is_suspended)
                count += 1
                if count >= 3 * COMPANIES:
                    break
            connection.execute(
                "INSERT INTO stocks.price_days"
                " (date, kospi_rows, kosdaq_rows, source, reason, run_id, is_made_up)"
                " VALUES (%s, %s, 0, %s, %s, 'test', true) ON CONFLICT DO NOTHING",
                [day, count, "KRX" if count else None, None if count else "Closed"],
            )


def put_price(
    connection: Any, day: date, ticker: str, close: int, shares: int, is_suspended: bool = False
) -> None:
    connection.execute(
        """
        INSERT INTO stocks.daily_prices
            (date, ticker, market, close, change_amount, change_rate, volume, trading_value,
             shares_outstanding, market_cap, is_suspended, source, is_made_up)
        VALUES (%s, %s, 'KOSPI', %s, 0, 0, 0, 0, %s, %s, %s, 'KRX', true)
        """,
        [day, ticker, close, shares, close * shares, is_suspended],
    )


@contextmanager
def running_office(
    today: date = TODAY, companies: int | None = COMPANIES
) -> Iterator[tuple[OpenDartServer, str]]:
    """A disclosure office over HTTP and its address."""
    office = OpenDartServer(KEY, lambda: today, companies)
    bound = loopback.loopback_socket()
    with loopback.serving_in_a_thread(office.application, bound):
        yield office, f"http://{loopback.LOOPBACK}:{bound.getsockname()[1]}/api/"


@contextmanager
def financial_world(db: PlatformDb) -> Iterator[FinancialWorld]:
    """The world while the block runs."""
    with running_office() as (office, url), dg.DagsterInstance.ephemeral() as instance:
        yield FinancialWorld(db, office, url, instance)
