"""The backups domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.backups import assets
from batch_platform.domains.backups.automation import JOBS, backups_schedules
from batch_platform.domains.backups.checks import backup_checks


def backups_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, jobs and schedules of the domain."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([assets], group_name="backups"),
        asset_checks=backup_checks,
        jobs=list(JOBS),
        schedules=backups_schedules(settings),
    )
