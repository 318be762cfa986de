"""The interventions domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.interventions import assets
from batch_platform.domains.interventions.automation import interventions_job
from batch_platform.domains.interventions.checks import intervention_checks
from batch_platform.domains.interventions.chunks import CHUNKINGS
from batch_platform.orchestration.chunks import cut_on_workers


def interventions_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks and the job of the domain."""
    return dg.Definitions(
        assets=cut_on_workers(
            dg.load_assets_from_modules([assets], group_name="interventions"), CHUNKINGS, settings
        ),
        asset_checks=intervention_checks,
        jobs=[interventions_job],
    )
