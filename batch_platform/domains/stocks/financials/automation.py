"""When the financials run by themselves: after the deadlines for quarterly and annual reports."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.financials.assets import (
    corp_codes,
    financial_ratios,
    financial_statements,
    valuations,
)
from batch_platform.domains.stocks.financials.models import Quarter
from batch_platform.orchestration.partitions import ZONE_NAME
from batch_platform.orchestration.schedules import MAKE_UP_FOR_LATEST

_QUARTERS_ASKED_AGAIN = 4
"""Beside the one that is due: corrections, and companies whose fiscal year ends later."""

stocks_financials_job = dg.define_asset_job(
    "stocks_financials_job",
    selection=dg.AssetSelection.assets(corp_codes, financial_statements, financial_ratios),
    description="A quarter's corporation codes, statements and ratios.",
    tags={"domain": "stocks"},
)

stocks_valuations_job = dg.define_asset_job(
    "stocks_valuations_job",
    selection=dg.AssetSelection.assets(valuations),
    description="A day's valuations alone, from prices and ratios that are there.",
    tags={"domain": "stocks"},
)


def financials_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The schedule after the deadlines for reports."""

    @dg.schedule(
        name="stocks_financials_schedule",
        job=stocks_financials_job,
        # The deadlines are 15 May, 14 August, 14 November and 31 March, or the next working day.
        # Three mornings each: a quota or maintenance costs one, and late filings come in. A rerun
        # asks about 135 calls of the day's 10,000 and writes only what is new.
        cron_schedule=["0 7 16-18 5,8,11 *", "0 7 1-3 4 *"],
        execution_timezone=ZONE_NAME,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        tags=MAKE_UP_FOR_LATEST,
        description="Reads the statements whose deadline has passed, and news of the year before.",
    )
    def stocks_financials_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        if settings.stocks.opendart_key is None:
            return dg.SkipReason("OPENDART_API_KEY is not set: the financials are switched off")
        due = context.scheduled_execution_time.astimezone(settings.platform.zone)
        last = Quarter.last_due(due.date())
        first = last.plus(-_QUARTERS_ASKED_AGAIN)
        # One run over the range: every quarter's statements are there before any ratios are made.
        return dg.RunRequest(
            tags={
                "dagster/asset_partition_range_start": first.first_day.isoformat(),
                "dagster/asset_partition_range_end": last.first_day.isoformat(),
                "due_at": due.isoformat(),
            },
        )

    return [stocks_financials_schedule]
