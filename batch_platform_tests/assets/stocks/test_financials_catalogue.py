"""What the webserver shows of the financials: assets, checks, a schedule after the deadlines."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from batch_platform.build import build_definitions, declared_schedules
from batch_platform.core.settings import Settings
from batch_platform_tests.given_settings import settings_of

FINANCIALS = {
    "stocks/corp_codes": ("quarterly", set()),
    "stocks/financial_statements": ("quarterly", {"stocks/corp_codes"}),
    "stocks/financial_ratios": ("quarterly", {"stocks/financial_statements"}),
    "stocks/valuations": ("daily", {"stocks/daily_prices", "stocks/financial_ratios"}),
}
CHECKS = {
    "corp_codes_are_as_many_as_before": True,
    "balance_sheets_have_equal_sides": False,
    "receipt_dates_are_not_after_retrieval": True,
    "most_companies_have_filed": False,
    "every_statement_has_ratios_or_a_reason": True,
    "later_ratios_have_the_newest_filings": False,
    "valuations_have_only_known_statements": True,
    "every_common_stock_has_a_valuation": False,
}
"""Check → whether a failure stops what is downstream."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(settings_of(OPENDART_API_KEY="key"))


def test_the_financials_are_these_assets_and_checks(definitions: dg.Definitions) -> None:
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    found = {
        key: (
            "daily"
            if isinstance(specs[key].partitions_def, dg.DailyPartitionsDefinition)
            else "quarterly",
            {dep.asset_key.to_user_string() for dep in specs[key].deps},
        )
        for key in FINANCIALS
    }
    assert found == FINANCIALS
    graph = definitions.resolve_asset_graph()
    assert {
        key.name: graph.get(key).blocking
        for key in graph.asset_check_keys
        if key.asset_key.to_user_string() in FINANCIALS
    } == CHECKS


def test_a_quarter_is_named_after_its_first_day_and_is_there_when_it_is_over(
    definitions: dg.Definitions,
) -> None:
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    quarters = specs["stocks/corp_codes"].partitions_def
    assert quarters is not None

    def keys(at: datetime) -> list[str]:
        with dg.partition_loading_context(effective_dt=at):
            return list(quarters.get_partition_keys())

    assert keys(datetime(2016, 1, 1, tzinfo=UTC)) == [
        "2015-01-01",
        "2015-04-01",
        "2015-07-01",
        "2015-10-01",
    ]
    assert keys(datetime(2015, 12, 31, 14, 59, tzinfo=UTC))[-1] == "2015-07-01"


def test_a_quarters_ratios_rest_on_five_quarters_of_statements(
    definitions: dg.Definitions,
) -> None:
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    (dep,) = specs["stocks/financial_ratios"].deps
    mapping = dep.partition_mapping
    assert isinstance(mapping, dg.TimeWindowPartitionMapping)
    assert (mapping.start_offset, mapping.end_offset) == (-4, 0)


ON = settings_of(OPENDART_API_KEY="key")


def tick(settings: Settings, at: datetime) -> dg.RunRequest | dg.SkipReason:
    schedule = declared_schedules(settings)["stocks_financials_schedule"]
    with dg.build_schedule_context(scheduled_execution_time=at) as context:
        result = schedule(context)
    assert isinstance(result, dg.RunRequest | dg.SkipReason)
    return result


@pytest.mark.parametrize(
    ("morning", "first", "last"),
    [
        (date(2026, 5, 16), "2025-01-01", "2026-01-01"),
        (date(2026, 8, 17), "2025-04-01", "2026-04-01"),
        (date(2026, 11, 18), "2025-07-01", "2026-07-01"),
        (date(2027, 4, 1), "2025-10-01", "2026-10-01"),
    ],
)
def test_after_a_deadline_its_quarter_and_the_four_before_are_made_in_one_run(
    morning: date, first: str, last: str
) -> None:
    schedule = declared_schedules(ON)["stocks_financials_schedule"]
    assert schedule.cron_schedule == ["0 7 16-18 5,8,11 *", "0 7 1-3 4 *"]
    assert schedule.execution_timezone == "Asia/Seoul"
    at_seven = datetime(morning.year, morning.month, morning.day, 7, tzinfo=ZoneInfo("Asia/Seoul"))
    request = tick(ON, at_seven)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key is None
    assert request.tags["dagster/asset_partition_range_start"] == first
    assert request.tags["dagster/asset_partition_range_end"] == last


def test_without_a_key_the_financials_are_switched_off() -> None:
    skipped = tick(settings_of(), datetime(2026, 5, 15, 22, tzinfo=UTC))
    assert isinstance(skipped, dg.SkipReason)
    assert "OPENDART_API_KEY" in (skipped.skip_message or "")
