"""When the market runs by itself: its jobs, their schedules, their deadlines."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import time, timedelta

import dagster as dg

from batch_platform.core.days import month_before
from batch_platform.core.deadlines import Deadline
from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.market.assets import daily_prices, listings, price_report
from batch_platform.orchestration.partitions import ZONE_NAME
from batch_platform.orchestration.schedules import MAKE_UP_FOR_ALL, declared_schedule

DEADLINES = (Deadline("stocks/daily_prices", time(10), job="stocks_night_job"),)

stocks_night_job = dg.define_asset_job(
    "stocks_night_job",
    # By key: valuations are the other half's, and read what this half writes.
    selection=dg.AssetSelection.assets(listings, daily_prices)
    | dg.AssetSelection.key_substring("stocks/valuations"),
    description="A trading day: who is listed, every stock's price, what it is worth.",
    tags={"domain": "stocks"},
)

stocks_prices_job = dg.define_asset_job(
    "stocks_prices_job",
    selection=dg.AssetSelection.assets(daily_prices),
    description="Prices alone, of a day or of a range of days in one run.",
    tags={"domain": "stocks"},
)

stocks_report_job = dg.define_asset_job(
    "stocks_report_job",
    selection=dg.AssetSelection.assets(price_report),
    description="A month's workbook of prices.",
    tags={"domain": "stocks"},
)

_SWITCHED_OFF = (
    "Neither KRX_AUTH_KEY nor PUBLIC_DATA_SERVICE_KEY is set: the stocks are switched off"
)


def market_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The market's schedules at the times the settings say."""
    times = sorted(settings.stocks.price_times)

    @dg.schedule(
        name="stocks_night_schedule",
        job=stocks_night_job,
        cron_schedule=[f"{at.minute} {at.hour} * * *" for at in times],
        execution_timezone=ZONE_NAME,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        tags=MAKE_UP_FOR_ALL,
        description="Asks for yesterday's prices until they are there.",
    )
    def stocks_night_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        if not settings.is_on("stocks"):
            return dg.SkipReason(_SWITCHED_OFF)
        due = context.scheduled_execution_time.astimezone(settings.platform.zone)
        day = (due.date() - timedelta(days=1)).isoformat()
        if _is_there(context.instance, day):
            return dg.SkipReason(f"The prices of {day} are there")
        config = {"config": {"is_last_try": due.time() >= times[-1]}}
        return dg.RunRequest(
            partition_key=day,
            run_config={"ops": {"stocks__listings": config, "stocks__daily_prices": config}},
            tags={"due_at": due.isoformat()},
        )

    stocks_report_schedule = declared_schedule(
        stocks_report_job,
        "0 19 1 * *",
        description="Writes last month's workbook of prices.",
        missed=MAKE_UP_FOR_ALL,
        partition=month_before,
        switched_off="" if settings.is_on("stocks") else _SWITCHED_OFF,
    )
    return [stocks_night_schedule, stocks_report_schedule]


def _is_there(instance: dg.DagsterInstance, day: str) -> bool:
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=daily_prices.key, asset_partitions=[day]), limit=1
    )
    return bool(found.records)
