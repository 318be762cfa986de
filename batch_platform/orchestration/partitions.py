"""Partitions in the platform's time zone and how an asset function reads its own.

The zone is the one setting that definitions need while they are imported: a partition is a calendar
day in it.
"""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from batch_platform.core.days import days_between, today, utc_now
from batch_platform.core.settings import load_settings

ZONE_NAME = load_settings().platform.timezone


def daily_partitions(first_day: date, *, last_in_days: int = -1) -> dg.DailyPartitionsDefinition:
    """Calendar days from `first_day` on.

    Args:
        first_day: The first one.
        last_in_days: Days from today to the last one: yesterday by default, 1 for what is made
            ahead for tomorrow.
    """
    return dg.DailyPartitionsDefinition(
        start_date=first_day.isoformat(), timezone=ZONE_NAME, end_offset=last_in_days + 1
    )


def weekly_partitions(first_day: date) -> dg.WeeklyPartitionsDefinition:
    """Weeks from Monday to Sunday, named after their Monday, from the first whole one on."""
    return dg.WeeklyPartitionsDefinition(
        start_date=first_day.isoformat(), timezone=ZONE_NAME, day_offset=1
    )


def monthly_partitions(first_day: date) -> dg.MonthlyPartitionsDefinition:
    """Calendar months, named after their first day, from that of `first_day` to the last over."""
    start = first_day.replace(day=1).isoformat()
    return dg.MonthlyPartitionsDefinition(start_date=start, timezone=ZONE_NAME)


def quarterly_partitions(first_day: date) -> dg.TimeWindowPartitionsDefinition:
    """Calendar quarters, named after their first day, from that of `first_day` to the last over."""
    return dg.TimeWindowPartitionsDefinition(
        start=_quarter_start(first_day).isoformat(),
        fmt="%Y-%m-%d",
        cron_schedule="0 0 1 1,4,7,10 *",
        timezone=ZONE_NAME,
    )


def partition_day(context: dg.AssetExecutionContext) -> date:
    """The day (or a month's first day) that a step works on."""
    return date.fromisoformat(context.partition_key)


def partition_days(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext,
) -> list[date]:
    """The days that a step works on, in order: one, or a range that one run of a backfill makes."""
    if context.has_partition_key:
        return [date.fromisoformat(context.partition_key)]
    window = context.partition_key_range
    return list(days_between(date.fromisoformat(window.start), date.fromisoformat(window.end)))


def partition_quarters(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> list[date]:
    """The first days of the quarters that a step works on, in order."""
    return [day for day in partition_days(context) if day == _quarter_start(day)]


def checked_day(context: dg.AssetCheckExecutionContext) -> date:
    """The day that a check looks at: its run's partition, or yesterday when it runs by itself."""
    if context.has_partition_key:
        return date.fromisoformat(context.partition_key)
    return today(utc_now, ZoneInfo(ZONE_NAME)) - timedelta(days=1)


def checked_days(context: dg.AssetCheckExecutionContext, by_itself: date) -> list[date]:
    """The days that a check looks at: its run's partitions, or one when it runs by itself."""
    if context.has_partition_key or context.has_partition_key_range:
        return partition_days(context)
    return [by_itself]


def _quarter_start(day: date) -> date:
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
