"""The emotions domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.domains.emotions import assets
from batch_platform.domains.emotions.automation import (
    emotions_batch_job,
    emotions_batches_sensor,
    emotions_posts_job,
)
from batch_platform.domains.emotions.checks import emotion_checks


def emotions_definitions() -> dg.Definitions:
    """Assets, checks, jobs and the sensor of the domain."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([assets], group_name="emotions"),
        asset_checks=emotion_checks,
        jobs=[emotions_posts_job, emotions_batch_job],
        sensors=[emotions_batches_sensor],
    )
