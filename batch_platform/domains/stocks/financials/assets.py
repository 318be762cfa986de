"""The financials' assets: thin shells around `workflow`."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import date
from typing import Any

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.financials.models import Quarter
from batch_platform.domains.stocks.financials.partitions import fiscal_quarters, valued_days
from batch_platform.domains.stocks.financials.store import FinancialStore
from batch_platform.domains.stocks.financials.workflow import (
    compute_ratios,
    fetch_corp_codes,
    fetch_statements,
    value_days,
)
from batch_platform.gateways.opendart import OpenDart
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.partitions import partition_days, partition_quarters
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.results import (
    MadePartition,
    markdown_table,
    materialized,
    stopwatch,
    table_metadata,
)
from batch_platform.orchestration.steps import holding, make_each, trying_again_later

_OWNERS = ["team:stocks"]
_PREFIX = "stocks"
_QUARTER = {
    "fiscal_year": ("smallint", "Fiscal year"),
    "fiscal_quarter": ("smallint", "1 to 4, of the company's own fiscal year"),
}


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=fiscal_quarters,
    backfill_policy=dg.BackfillPolicy.single_run(),
    owners=_OWNERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "stocks.corp_codes",
        {
            **_QUARTER,
            "ticker": ("text", "Six-character code of the common stock"),
            "corp_code": ("text", "The office's number of the company, eight digits"),
            "corp_name": ("text", "The company's name"),
            "modify_date": ("date", "When the office changed the entry last"),
            "is_made_up": ("boolean", "Whether the sandbox answered"),
        },
    ),
)
def corp_codes(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    opendart: dg.ResourceParam[OpenDart],
) -> dg.MaterializeResult[Any]:
    """One row per listed company, as the disclosure office lists it when a quarter is asked for.

    Preferred shares have no number of their own. A company that was delisted stays in the quarters
    that knew it.
    """

    def make(first_day: date) -> MadePartition:
        quarter, seconds = Quarter.starting(first_day), stopwatch()
        outcome = fetch_corp_codes(
            quarter, dart=opendart, db=platform_db, is_made_up=settings.is_made_up
        )
        return MadePartition(
            outcome.rows, seconds(), details={"rows_changed": outcome.rows_changed}
        )

    quarters = partition_quarters(context)
    return make_each(context, platform_db, quarters, make, is_made_up=settings.is_made_up)


class FinancialStatementsConfig(dg.Config):
    """What is asked for."""

    all_accounts: bool = False
    """Whether each company's full list is asked for too, one call each: cash flow, owners' share"""


@dg.asset(
    key_prefix=_PREFIX,
    deps=[corp_codes],
    partitions_def=fiscal_quarters,
    backfill_policy=dg.BackfillPolicy.single_run(),
    owners=_OWNERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "stocks.financial_statements",
        {
            **_QUARTER,
            "corp_code": ("text", "The office's number of the company"),
            "receipt_no": ("text", "The office's number of the filing; a correction has a new one"),
            "received_date": ("date", "When the office received it: public from then on"),
            "statement_type": ("text", "CFS consolidated, OFS separate"),
            "period_end": ("date", "The balance sheet's day"),
            "total_assets_krw": ("bigint", "At the period's end, as are the other balances"),
            "revenue_krw": ("bigint", "Three months; null in an annual report"),
            "revenue_ytd_krw": ("bigint", "The fiscal year so far"),
            "revenue_prior_ytd_krw": ("bigint", "The same part of the year before"),
            "balance_sheet": ("jsonb", "Lines as received, as in the three columns beside it"),
            "is_made_up": ("boolean", "Whether the sandbox answered"),
            "retrieved_at": ("timestamptz", "When the row was written or changed last"),
        },
    ),
)
def financial_statements(
    context: dg.AssetExecutionContext,
    config: FinancialStatementsConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    opendart: dg.ResourceParam[OpenDart],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per company, fiscal quarter and filing, with the lines as received beside the sums.

    Asked for in hundreds. Only filings that are new or changed are written, and none is deleted: a
    day before a correction needs what was known then.
    """

    def make(first_day: date) -> MadePartition:
        quarter, seconds = Quarter.starting(first_day), stopwatch()
        outcome = fetch_statements(
            quarter,
            dart=opendart,
            db=platform_db,
            is_made_up=settings.is_made_up,
            on_progress=progress.for_step(context),
            asks_all_accounts=config.all_accounts,
        )
        for each in outcome.unreadable:
            context.log.warning(f"{quarter}: {each.corp_code} was set aside: {each.reason}")
        return MadePartition(outcome.filed, seconds(), details=outcome.figures)

    quarters = partition_quarters(context)
    return make_each(context, platform_db, quarters, make, is_made_up=settings.is_made_up)


@dg.asset(
    key_prefix=_PREFIX,
    deps=[
        dg.AssetDep(
            financial_statements,
            # The trailing four quarters rest on last year's annual report and on the same quarter.
            partition_mapping=dg.TimeWindowPartitionMapping(
                start_offset=-4, allow_nonexistent_upstream_partitions=True
            ),
        )
    ],
    partitions_def=fiscal_quarters,
    backfill_policy=dg.BackfillPolicy.single_run(),
    owners=_OWNERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "stocks.financial_ratios",
        {
            **_QUARTER,
            "corp_code": ("text", "The office's number of the company"),
            "known_from": ("date", "When the last filing that the row rests on was received"),
            "receipt_numbers": ("text[]", "The filings that the row rests on"),
            "net_income_krw": ("bigint", "Of the quarter alone"),
            "trailing_net_income_krw": ("bigint", "Of the trailing four quarters"),
            "roe": ("double precision", "Trailing net income / equity; 0.12 is 12 %"),
            "roa": ("double precision", "Trailing net income / assets"),
            "debt_ratio": ("double precision", "Liabilities / equity"),
            "current_ratio": ("double precision", "Current assets / current liabilities"),
            "operating_margin": ("double precision", "Trailing operating income / revenue"),
            "eps_krw": ("double precision", "Trailing earnings of the owners / listed shares"),
            "bps_krw": ("double precision", "Equity of the owners / listed shares"),
            "reasons": ("jsonb", "Missing ratio → why it is missing"),
        },
    ),
)
def financial_ratios(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
) -> dg.MaterializeResult[Any]:
    """One row per company, fiscal quarter and day from which its ratios could be known.

    Flows are those of the trailing four quarters. What cannot be computed is null with a reason.
    """

    def make(first_day: date) -> MadePartition:
        quarter, seconds = Quarter.starting(first_day), stopwatch()
        outcome = compute_ratios(quarter, db=platform_db, is_made_up=settings.is_made_up)
        preview = markdown_table(
            ["종목", "회사", "알려진 날", "ROE %", "부채비율 %", "EPS", "BPS"],
            FinancialStore(platform_db).ratio_preview(quarter),
        )
        return MadePartition(outcome.rows, seconds(), preview, outcome.figures)

    quarters = partition_quarters(context)
    return make_each(context, platform_db, quarters, make, is_made_up=settings.is_made_up)


@dg.asset(
    key_prefix=_PREFIX,
    deps=[
        dg.AssetKey([_PREFIX, "daily_prices"]),
        # Which quarter was the newest known on a day, only the filings' dates tell.
        dg.AssetDep(financial_ratios, partition_mapping=dg.AllPartitionMapping()),
    ],
    partitions_def=valued_days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    owners=_OWNERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "stocks.valuations",
        {
            "date": ("date", "Trading day"),
            "ticker": ("text", "Six-character code of the common stock"),
            "receipt_no": ("text", "The filing that was the newest known that day"),
            "per": ("double precision", "Close / EPS; null when EPS is not above zero"),
            "pbr": ("double precision", "Close / BPS; null when BPS is not above zero"),
            "eps_krw": ("double precision", "Trailing earnings / shares listed that day"),
            "bps_krw": ("double precision", "Equity / shares listed that day"),
            "roe": ("double precision", "Trailing net income / equity; 0.12 is 12 %"),
            "reasons": ("jsonb", "Missing figure → why it is missing"),
            "is_made_up": ("boolean", "Whether the sandbox answered"),
        },
    ),
)
def valuations(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per common stock and trading day: PER, PBR, EPS, BPS and ROE as known that day.

    Only filings received up to the day count. Preferred shares, which have no company of their own,
    are left out; a suspended stock is valued at the close it keeps.
    """
    days, seconds = partition_days(context), stopwatch()
    with trying_again_later(context):
        outcome = value_days(
            days[0],
            days[-1],
            db=platform_db,
            hold=holding(context, platform_db),
            is_made_up=settings.is_made_up,
            on_progress=progress.for_step(context),
        )
    return materialized(
        rows=outcome.rows,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=markdown_table(
            ["종목", "회사", "PER", "PBR", "ROE %", "분기"],
            FinancialStore(platform_db).valuation_preview(days[-1]),
        ),
        details={
            "without_statement": outcome.without_statement,
            "without_corporation_code": outcome.left_out,
        },
    )
