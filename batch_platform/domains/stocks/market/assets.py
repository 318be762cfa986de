"""The market's assets: thin shells around `workflow` and `report`."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.market.models import ListingsOutcome, PricesOutcome
from batch_platform.domains.stocks.market.partitions import market_days, market_months
from batch_platform.domains.stocks.market.report import write_month_report
from batch_platform.domains.stocks.market.sources import MarketSources
from batch_platform.domains.stocks.market.store import MarketStore
from batch_platform.domains.stocks.market.workflow import (
    WritingOptions,
    land_listings,
    land_prices,
    require_published,
)
from batch_platform.gateways.krx import KrxClient
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.public_data import PublicDataClient
from batch_platform.orchestration.partitions import partition_day, partition_days
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.results import (
    MetadataValue,
    markdown_table,
    materialized,
    stopwatch,
    table_metadata,
)
from batch_platform.orchestration.steps import (
    holding,
    trying_again_later,
    working_on_partition,
)

_OWNERS = ["team:stocks"]
_PREFIX = "stocks"


class MarketDayConfig(dg.Config):
    """How a day of the market is asked for."""

    is_last_try: bool = False
    """Whether a trading day that is not published is a failure: nobody will ask again."""
    accepts_count: bool = False
    """Whether a day may have far more or fewer stocks than the trading day before."""
    replaces_imported: bool = False
    """Whether prices that an old system had collected are asked for anew, and replaced."""


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=market_days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "stocks.listings",
        {
            "ticker": ("text", "Six-character short code; it can hold letters"),
            "isin": ("text", "International number"),
            "name": ("text", "Short name"),
            "name_en": ("text", "Name in English"),
            "market": ("text", "KOSPI or KOSDAQ"),
            "sector_id": ("text", "Market, or section of it, in stocks.sectors"),
            "listing_date": ("date", "Its first day on the exchange"),
            "security_group": ("text", "Kind of security, in the exchange's words"),
            "certificate_kind": ("text", "Common or preferred, in the exchange's words"),
            "par_value_krw": ("bigint", "Par value; none for some"),
            "shares_outstanding": ("bigint", "Listed shares"),
            "first_seen_date": ("date", "First day on which it was listed here"),
            "last_seen_date": ("date", "Last day on which it was listed here"),
            "source": ("text", "KRX or PUBLIC_DATA"),
            "is_made_up": ("boolean", "Whether the sandbox answered"),
        },
    ),
)
def listings(
    context: dg.AssetExecutionContext,
    config: MarketDayConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    krx: dg.ResourceParam[KrxClient],
    public_data: dg.ResourceParam[PublicDataClient],
    progress: dg.ResourceParam[ProgressListener],
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization | dg.AssetObservation]:
    """One row per stock that was ever listed, as of the last day it was seen on.

    The result does not depend on the order in which days are made. Delisted stocks stay.
    """
    days, seconds = partition_days(context), stopwatch()
    with trying_again_later(context):
        outcome = land_listings(
            days,
            sources=MarketSources(krx, public_data),
            db=platform_db,
            hold=holding(context, platform_db),
            options=_options(context, config, settings),
            progress=progress.for_step(context),
        )
    preview = markdown_table(
        ["코드", "종목", "시장", "상장일", "상장주식수"],
        MarketStore(platform_db).listing_preview(days[-1]),
    )
    yield from _told(context, days, outcome, config, settings, seconds(), preview, {})


@dg.asset(
    key_prefix=_PREFIX,
    deps=[listings],
    partitions_def=market_days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,
    owners=_OWNERS,
    kinds={"postgres", "table"},
    metadata=table_metadata(
        "stocks.daily_prices",
        {
            "date": ("date", "Trading day in Asia/Seoul"),
            "ticker": ("text", "Six-character short code; it can hold letters"),
            "market": ("text", "KOSPI or KOSDAQ"),
            "open": ("bigint", "Won; none when the stock did not trade"),
            "high": ("bigint", "Won; none when the stock did not trade"),
            "low": ("bigint", "Won; none when the stock did not trade"),
            "close": ("bigint", "Won, not adjusted; a suspended stock keeps its last"),
            "change_amount": ("bigint", "Close less the base price, won"),
            "change_rate": ("numeric", "Change in per cent of the base price"),
            "volume": ("bigint", "Shares traded"),
            "trading_value": ("bigint", "Won traded"),
            "shares_outstanding": ("bigint", "Listed shares"),
            "market_cap": ("bigint", "Won"),
            "is_suspended": ("boolean", "Whether it did not trade that day"),
            "source": ("text", "KRX, PUBLIC_DATA, or IMPORTED from an old system"),
            "is_made_up": ("boolean", "Whether the sandbox answered"),
        },
    ),
)
def daily_prices(
    context: dg.AssetExecutionContext,
    config: MarketDayConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    krx: dg.ResourceParam[KrxClient],
    public_data: dg.ResourceParam[PublicDataClient],
    progress: dg.ResourceParam[ProgressListener],
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization | dg.AssetObservation]:
    """One row per stock and trading day of KOSPI and KOSDAQ, both or neither.

    A closed day has no rows and says why. A trading day that is not published yet is awaited: the
    run ends well without a materialization. Rows that are the same are not touched. Raw prices:
    `stocks.adjusted_prices` is in terms of the newest day, by the corporate actions found here.
    """
    days, seconds = partition_days(context), stopwatch()
    with trying_again_later(context):
        outcome = land_prices(
            days,
            sources=MarketSources(krx, public_data),
            db=platform_db,
            hold=holding(context, platform_db),
            options=_options(context, config, settings),
            progress=progress.for_step(context),
        )
    preview = markdown_table(
        ["코드", "종목", "시장", "종가", "등락률(%)", "거래량", "거래정지"],
        MarketStore(platform_db).preview(days[-1]),
    )
    yield from _told(
        context,
        days,
        outcome,
        config,
        settings,
        seconds(),
        preview,
        {"corporate_actions": outcome.actions, "imported_days": outcome.imported},
    )


@dg.asset(
    key_prefix=_PREFIX,
    deps=[daily_prices],
    partitions_def=market_months,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"excel"},
)
def price_report(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One workbook per month: movers, volume, sectors, corporate actions, coverage, with charts."""
    month, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        file = write_month_report(month, db=platform_db, settings=settings, clock=clock)
    return materialized(
        rows=file.stocks,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={
            "path": dg.MetadataValue.path(str(file.path)),
            "size_bytes": file.size_bytes,
            "trading_days": file.trading_days,
            "missing_days": file.missing_days,
        },
    )


def _options(
    context: dg.AssetExecutionContext, config: MarketDayConfig, settings: Settings
) -> WritingOptions:
    return WritingOptions(
        context.run.run_id, settings.is_made_up, config.accepts_count, config.replaces_imported
    )


def _told(
    context: dg.AssetExecutionContext,
    days: Sequence[date],
    outcome: PricesOutcome | ListingsOutcome,
    config: MarketDayConfig,
    settings: Settings,
    seconds: float,
    preview: str,
    details: dict[str, MetadataValue],
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization | dg.AssetObservation]:
    """What a step on one day or a range says: made, awaited, or both."""
    for warning in outcome.warnings:
        context.log.warning(warning)
    reasons = [day.reason for day in outcome.days if day.reason]
    note = reasons[0] if len(days) == 1 and reasons else f"{len(reasons)} closed days"
    result = materialized(
        rows=outcome.rows,
        seconds=seconds,
        is_made_up=settings.is_made_up,
        preview=preview if outcome.rows else "",
        details={
            "rows_inserted": outcome.changes.inserted,
            "rows_changed": outcome.changes.changed,
            "rows_removed": outcome.changes.removed,
            "sources": ", ".join(sorted({day.source for day in outcome.days if day.source}))
            or "none",
            "warnings": "\n".join(outcome.warnings[:20]) or "none",
            **({"note": note} if reasons else {}),
            **details,
        },
    )
    if not outcome.waiting:
        yield result
        return
    for day in outcome.days:
        yield dg.AssetMaterialization(
            context.asset_key,
            partition=day.date.isoformat(),
            metadata={"dagster/row_count": day.row_count, "note": day.reason or day.source or ""},
        )
    for waiting in outcome.waiting:
        context.log.warning(f"{waiting.date} is not published yet: {waiting.reason}")
        yield dg.AssetObservation(
            context.asset_key,
            partition=waiting.date.isoformat(),
            metadata={"state": "waiting", "reason": waiting.reason},
        )
    if config.is_last_try or len(days) > 1:
        require_published(outcome.waiting)
