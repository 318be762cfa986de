"""The fortunes domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.fortunes import assets
from batch_platform.domains.fortunes.automation import (
    fortunes_night_job,
    fortunes_retry_sensor,
    fortunes_schedules,
)
from batch_platform.domains.fortunes.checks import fortune_checks
from batch_platform.domains.fortunes.chunks import CHUNKINGS
from batch_platform.orchestration.chunks import cut_on_workers


def fortunes_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, the job, its schedule and the sensor that tries again."""
    return dg.Definitions(
        assets=cut_on_workers(
            dg.load_assets_from_modules([assets], group_name="fortunes"), CHUNKINGS, settings
        ),
        asset_checks=fortune_checks,
        jobs=[fortunes_night_job],
        schedules=fortunes_schedules(settings),
        sensors=[fortunes_retry_sensor],
    )
