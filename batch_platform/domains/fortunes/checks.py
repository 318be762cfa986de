"""Checks of the fortunes domain: sentences that must be true of a day. Each knows its days."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import dagster as dg

from batch_platform.core.days import Clock, today
from batch_platform.core.settings import Settings
from batch_platform.domains.fortunes.assets import daily_fortunes, natal_charts
from batch_platform.domains.fortunes.review import (
    charts_that_differ,
    fortunes_with_a_name,
    texts_out_of_length,
)
from batch_platform.domains.fortunes.store import FortuneStore
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.orchestration.partitions import ZONE_NAME, checked_days


@dg.asset_check(asset=natal_charts, blocking=True)
def pillars_agree_with_the_calendar(
    context: dg.AssetCheckExecutionContext,
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """Each of the day's users has a chart, and it is what computing it again gives."""
    lacking = differing = 0
    for day in checked_days(context, today(clock, ZoneInfo(ZONE_NAME))):
        counts = FortuneStore(platform_db).counts(day)
        lacking += counts.eligible - counts.charted
        differing += charts_that_differ(day, platform_db)
    return _result({"users_without_chart": lacking, "charts_that_differ": differing})


@dg.asset_check(asset=daily_fortunes, blocking=True)
def every_eligible_user_has_exactly_one_fortune(
    context: dg.AssetCheckExecutionContext,
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """Each eligible user has a row of the day, completed or failed, and nobody else has one."""
    missing = strays = eligible = 0
    for day in checked_days(context, today(clock, ZoneInfo(ZONE_NAME))):
        counts = FortuneStore(platform_db).counts(day)
        missing += counts.missing
        strays += counts.strays
        eligible += counts.eligible
    return _result({"missing": missing, "strays": strays}, eligible_users=eligible)


@dg.asset_check(asset=daily_fortunes)
def fortunes_are_completed_for_every_user(
    context: dg.AssetCheckExecutionContext,
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """No user's fortune of the day has failed."""
    days = checked_days(context, today(clock, ZoneInfo(ZONE_NAME)))
    counts = [FortuneStore(platform_db).counts(day) for day in days]
    return _result(
        {"failed": sum(each.failed for each in counts)},
        completed=sum(each.completed for each in counts),
    )


@dg.asset_check(asset=daily_fortunes, blocking=True)
def texts_are_within_their_length(
    context: dg.AssetCheckExecutionContext,
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """No text of the day is longer or shorter than the app shows."""
    days = checked_days(context, today(clock, ZoneInfo(ZONE_NAME)))
    return _result(
        {"texts_out_of_length": sum(texts_out_of_length(day, platform_db) for day in days)}
    )


@dg.asset_check(asset=daily_fortunes)
def no_text_has_another_users_name(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    fortune_source: dg.ResourceParam[SourceDatabase],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """No user's full name stands in anybody's text; names are looked up in the app itself.

    Does not stop the night: the model never saw a name, and somebody may be called like a word.
    """
    days = checked_days(context, today(clock, ZoneInfo(ZONE_NAME)))
    found = sum(
        fortunes_with_a_name(day, platform_db, fortune_source, settings.fortunes) for day in days
    )
    return _result({"fortunes_with_a_name": found}, dg.AssetCheckSeverity.WARN)


fortune_checks = [
    pillars_agree_with_the_calendar,
    every_eligible_user_has_exactly_one_fortune,
    fortunes_are_completed_for_every_user,
    texts_are_within_their_length,
    no_text_has_another_users_name,
]


def _result(
    wrong: Mapping[str, int],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    **further: int,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not any(wrong.values()), severity=severity, metadata={**wrong, **further}
    )
