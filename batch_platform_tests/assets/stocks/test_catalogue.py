"""What the webserver shows of the market: assets, checks, and a ladder of tries."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import openpyxl

from batch_platform.build import build_definitions, declared_schedules
from batch_platform_tests.assets.stocks.conftest import World

MARKET = {
    "stocks/listings": ("daily", {"postgres", "table"}, set()),
    "stocks/daily_prices": ("daily", {"postgres", "table"}, {"stocks/listings"}),
    "stocks/price_report": ("monthly", {"excel"}, {"stocks/daily_prices"}),
}
CHECKS = {
    "daily_prices_have_no_gaps": False,
    "highs_and_lows_are_around_open_and_close": True,
    "volume_and_value_are_in_agreement": False,
    "shares_times_close_are_the_market_cap": True,
    "changes_are_from_the_close_before_or_an_action": True,
    "stocks_are_as_many_as_the_day_before": True,
    "daily_prices_are_from_the_exchange": False,
    "priced_stocks_are_listed": False,
}
"""Check → whether a failure stops what is downstream."""


def test_the_market_is_these_assets_and_checks() -> None:
    definitions = build_definitions()
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert {
        key: (
            "monthly"
            if isinstance(specs[key].partitions_def, dg.MonthlyPartitionsDefinition)
            else "daily",
            set(specs[key].kinds),
            {dep.asset_key.to_user_string() for dep in specs[key].deps},
        )
        for key in MARKET
    } == MARKET
    graph = definitions.resolve_asset_graph()
    assert {
        key.name: graph.get(key).blocking
        for key in graph.asset_check_keys
        if key.asset_key == dg.AssetKey(["stocks", "daily_prices"])
    } == CHECKS


def _tick(world: World, at: datetime) -> dg.RunRequest | dg.SkipReason:
    schedule = declared_schedules(world.settings)["stocks_night_schedule"]
    with dg.build_schedule_context(instance=world.instance, scheduled_execution_time=at) as context:
        result = schedule(context)
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result


def test_the_ladder_asks_for_yesterday_until_it_is_there_and_the_last_try_must_find_it(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "dagster").mkdir()
    world.instance = dg.DagsterInstance.local_temp(str(tmp_path / "dagster"))  # one with an address
    schedule = declared_schedules(world.settings)["stocks_night_schedule"]
    assert list(schedule.cron_schedule) == ["30 8 * * *", "30 9 * * *", "10 13 * * *", "0 18 * * *"]
    assert schedule.execution_timezone == "Asia/Seoul"

    tries = [datetime(2018, 5, 3, *at, tzinfo=UTC) for at in ((23, 30), (0, 30), (4, 10), (9, 0))]
    asked = [_tick(world, at) for at in tries]
    assert [request.partition_key for request in asked] == [
        "2018-05-03",
        *["2018-05-02"] * 3,
    ]
    config = [request.run_config["ops"]["stocks__daily_prices"]["config"] for request in asked]
    assert [each["is_last_try"] for each in config] == [False, False, False, True]

    world.make()
    skipped = _tick(world, tries[0])
    assert isinstance(skipped, dg.SkipReason)
    assert "are there" in (skipped.skip_message or "")


def test_without_a_key_the_market_is_switched_off(world: World) -> None:
    world.variables |= {"KRX_AUTH_KEY": None, "PUBLIC_DATA_SERVICE_KEY": None}
    skipped = _tick(world, datetime(2018, 5, 3, 23, 30, tzinfo=UTC))
    assert isinstance(skipped, dg.SkipReason)
    made = world.make()
    assert made.failure.error_type == "ConfigurationError"
    assert "openapi.krx.co.kr" in made.failure.sentence


def test_the_report_of_a_month_says_what_the_tables_hold(world: World) -> None:
    first, last = date(2018, 5, 2), date(2018, 5, 9)
    world.make(first, last)
    world.make(last, job="stocks_night_job", assets=["listings"])
    made = world.make(first.replace(day=1), job="stocks_report_job")

    assert made.is_success
    metadata = made.metadata("price_report")
    assert metadata["trading_days"] == 5
    book = openpyxl.load_workbook(metadata["path"], read_only=True)
    assert book.sheetnames == [
        "상승 상위",
        "하락 상위",
        "거래 상위",
        "섹터",
        "일별 시장",
        "권리 변동",
        "수집 현황",
        "요약",
    ]
    (best,) = book["상승 상위"].iter_rows(min_row=3, max_row=3, values_only=True)
    ((ticker, month_return),) = world.rows(
        "SELECT ticker, exp(sum(ln(close::float8 / (close - change_amount)))) - 1"
        " FROM stocks.daily_prices GROUP BY ticker HAVING bool_or(NOT is_suspended)"
        " ORDER BY 2 DESC, 1 LIMIT 1"
    )
    assert (best[2], round(best[4], 9)) == (ticker, round(month_return, 9))
    coverage = list(book["수집 현황"].iter_rows(min_row=3, values_only=True))
    assert sum(line[5] == "빠짐" for line in coverage) == metadata["missing_days"] == 15
    book.close()
