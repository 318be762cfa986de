"""Checks of the chats domain: sentences that must be true of a day. Each knows its partition."""

import dagster as dg

from batch_platform.core.days import (
    Clock,
    month_before,
    previous_weekday,
    today,
    week_before,
)
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.assets import (
    classifications,
    monthly_review,
    raw_chats,
    weekly_review,
)
from batch_platform.domains.chats.models import PeriodReview
from batch_platform.domains.chats.review import review_month, review_week
from batch_platform.domains.chats.store import ChatStore
from batch_platform.domains.chats.workflow import read_categories
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.orchestration.partitions import checked_day, checked_days


@dg.asset_check(asset=raw_chats)
def raw_chats_are_not_empty_after_a_busy_weekday(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """A day is not empty when the weekday before was not: a silent source is a broken one."""
    day = checked_day(context)
    before = previous_weekday(day)
    counts = {c.chat_date: c for c in ChatStore(platform_db).day_counts(before, day)}
    rows, rows_before = counts[day].landed_rows or 0, counts[before].landed_rows or 0
    return dg.AssetCheckResult(
        passed=rows > 0 or rows_before == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rows": rows, f"rows_on_{before:%A}": rows_before},
    )


@dg.asset_check(asset=raw_chats, blocking=True)
def raw_chats_add_up_to_the_source(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
) -> dg.AssetCheckResult:
    """As many chats stand here as the source holds for the day, counted by the source itself."""
    day = checked_day(context)
    stored = ChatStore(platform_db).stored_rows(day)
    chats = settings.chats
    in_source = chat_source.count_day(chats.table_chattings, chats.column_created_at, day)
    return dg.AssetCheckResult(
        passed=stored == in_source, metadata={"stored_rows": stored, "source_rows": in_source}
    )


@dg.asset_check(asset=classifications, blocking=True)
def every_question_is_classified_or_in_quarantine(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Each distinct question of the day has a classification or stands in quarantine."""
    day = checked_day(context)
    (counts,) = ChatStore(platform_db).day_counts(day, day)
    return dg.AssetCheckResult(
        passed=counts.missing_count == 0,
        metadata={
            "questions": counts.question_count,
            "classified": counts.classified_count,
            "quarantined": counts.quarantined_count,
            "missing": counts.missing_count,
        },
    )


@dg.asset_check(asset=classifications, blocking=True)
def question_counts_add_up_to_the_chats(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """The times that questions were asked add up to the day's chats that are not blank."""
    day = checked_day(context)
    (counts,) = ChatStore(platform_db).day_counts(day, day)
    return dg.AssetCheckResult(
        passed=counts.counted_queries == counts.asked_rows,
        metadata={"times_asked": counts.counted_queries, "chats": counts.asked_rows},
    )


@dg.asset_check(asset=classifications)
def categories_are_known_to_the_source(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
) -> dg.AssetCheckResult:
    """Every category of the day is in the source's category table."""
    known = [
        category.category_id for category in read_categories(chat_source, settings.chats).offered
    ]
    unknown = ChatStore(platform_db).unknown_categories(checked_day(context), known)
    return dg.AssetCheckResult(
        passed=not unknown,
        metadata={"known_categories": len(known), "unknown": ", ".join(unknown) or "none"},
    )


@dg.asset_check(asset=weekly_review)
def every_day_of_the_week_has_its_chats_and_classifications(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """No day of the week and no question of it is missing; the last week when it runs alone."""
    by_itself = week_before(today(clock, settings.platform.zone))
    (monday,) = checked_days(context, by_itself)
    return _whole(review_week(monday, source=chat_source, db=platform_db, settings=settings))


@dg.asset_check(asset=monthly_review)
def every_day_of_the_month_has_its_chats_and_its_workbook(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """No day of the month is missing, nor a workbook in its archive."""
    by_itself = month_before(today(clock, settings.platform.zone))
    (month,) = checked_days(context, by_itself)
    return _whole(review_month(month, source=chat_source, db=platform_db, settings=settings))


def _whole(review: PeriodReview) -> dg.AssetCheckResult:
    missing = ", ".join(f"{day.chat_date}" for day in review.missing)
    lacking = {"workbooks_lacking": review.archive.lacking} if review.archive else {}
    return dg.AssetCheckResult(
        passed=review.is_whole,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "days_missing": len(review.missing),
            "questions_missing": review.missing_questions,
            **lacking,
            "which": missing or "none",
        },
    )


chat_checks = [
    raw_chats_are_not_empty_after_a_busy_weekday,
    raw_chats_add_up_to_the_source,
    every_question_is_classified_or_in_quarantine,
    question_counts_add_up_to_the_chats,
    categories_are_known_to_the_source,
    every_day_of_the_week_has_its_chats_and_classifications,
    every_day_of_the_month_has_its_chats_and_its_workbook,
]
