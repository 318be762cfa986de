"""The interventions domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.domains.interventions import assets
from batch_platform.domains.interventions.automation import interventions_job
from batch_platform.domains.interventions.checks import intervention_checks


def interventions_definitions() -> dg.Definitions:
    """Assets, checks and the job of the domain."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([assets], group_name="interventions"),
        asset_checks=intervention_checks,
        jobs=[interventions_job],
    )
