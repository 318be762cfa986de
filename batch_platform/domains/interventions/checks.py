"""Checks of the interventions domain: sentences that must be true of a day."""

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.interventions.assets import (
    eligible_users,
    published_records,
    recommendations,
)
from batch_platform.domains.interventions.source import InterventionSource
from batch_platform.domains.interventions.store import InterventionStore
from batch_platform.domains.interventions.workflow import unfit_recommendations
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.orchestration.partitions import checked_day


@dg.asset_check(asset=eligible_users, blocking=True)
def every_user_is_eligible_or_has_a_reason(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Each user of the day is eligible or left out for a reason, for each gubun asked for."""
    day, store = checked_day(context), InterventionStore(platform_db)
    users = store.user_count(day)
    sums = {gubun: sum(store.state_counts(day, gubun).values()) for gubun in store.gubuns_of(day)}
    return dg.AssetCheckResult(
        passed=all(count == users for count in sums.values()),
        metadata={"users": users, **{f"decided_{gubun}": count for gubun, count in sums.items()}},
    )


@dg.asset_check(asset=recommendations, blocking=True)
def recommendations_errors_and_reasons_add_up_to_the_users(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """Each user of the day has a recommendation, an error or a reason for being left out."""
    day, store = checked_day(context), InterventionStore(platform_db)
    counts = {gubun: store.counts(day, gubun) for gubun in store.gubuns_of(day)}
    metadata: dict[str, int] = {}
    for gubun, found in counts.items():
        metadata |= {
            f"{gubun}_users": found.users,
            f"{gubun}_recommendations": found.recommendations,
            f"{gubun}_errors": found.errors,
            f"{gubun}_left_out": sum(found.left_out.values()),
        }
    return dg.AssetCheckResult(
        passed=all(found.missing == 0 for found in counts.values()), metadata=metadata
    )


@dg.asset_check(asset=recommendations, blocking=True)
def no_recommendation_has_a_food_or_drug_it_must_not_name(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    intervention_source: dg.ResourceParam[SourceDatabase],
) -> dg.AssetCheckResult:
    """No stored recommendation names a drug, or a food with one of the user's allergens."""
    checked, unfit = unfit_recommendations(
        checked_day(context), db=platform_db, source=intervention_source, settings=settings
    )
    return dg.AssetCheckResult(
        passed=not unfit, metadata={"recommendations": checked, "unfit": len(unfit)}
    )


@dg.asset_check(asset=recommendations)
def errors_are_few(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
) -> dg.AssetCheckResult:
    """No more of the day's advised users have an error than the settings allow."""
    day, store = checked_day(context), InterventionStore(platform_db)
    counts = [store.counts(day, gubun) for gubun in store.gubuns_of(day)]
    errors = sum(found.errors for found in counts)
    advised = errors + sum(found.recommendations for found in counts)
    allowed = settings.interventions.max_error_share
    return dg.AssetCheckResult(
        passed=errors <= max(1, int(advised * allowed)),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"errors": errors, "advised": advised, "allowed_share": allowed},
    )


@dg.asset_check(asset=recommendations)
def most_recommendations_are_as_they_were_asked_for(
    context: dg.AssetCheckExecutionContext, platform_db: dg.ResourceParam[PlatformDb]
) -> dg.AssetCheckResult:
    """The model wrote most of what it was asked for: otherwise somebody should look at it."""
    day, store = checked_day(context), InterventionStore(platform_db)
    fallbacks, made = store.fallbacks(day)
    return dg.AssetCheckResult(
        passed=fallbacks <= made // 2,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"by_rule_in_place_of_the_model": fallbacks, "recommendations": made},
    )


@dg.asset_check(asset=published_records)
def published_records_add_up_to_the_recommendations(
    context: dg.AssetCheckExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    intervention_source: dg.ResourceParam[SourceDatabase],
) -> dg.AssetCheckResult:
    """Each user with a recommendation here has exactly one record of it in the service's table."""
    day, store = checked_day(context), InterventionStore(platform_db)
    source = InterventionSource(intervention_source, settings.interventions)
    missing = repeated = 0
    for gubun in store.gubuns_of(day):
        published = source.records(day, gubun)
        made = store.users_with_row(day, gubun)
        missing += len(made - published.keys())
        repeated += sum(count - 1 for count in published.values())
    return dg.AssetCheckResult(
        passed=not missing and not repeated, metadata={"missing": missing, "repeated": repeated}
    )


intervention_checks = [
    every_user_is_eligible_or_has_a_reason,
    recommendations_errors_and_reasons_add_up_to_the_users,
    no_recommendation_has_a_food_or_drug_it_must_not_name,
    errors_are_few,
    most_recommendations_are_as_they_were_asked_for,
    published_records_add_up_to_the_recommendations,
]
