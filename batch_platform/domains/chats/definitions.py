"""The chats domain as Dagster sees it."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import dagster as dg

from batch_platform.core.settings import Settings
from batch_platform.domains.chats import assets
from batch_platform.domains.chats.automation import JOBS, chats_schedules
from batch_platform.domains.chats.checks import chat_checks
from batch_platform.domains.chats.chunks import CHUNKINGS
from batch_platform.orchestration.chunks import cut_on_workers


def chats_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, jobs and schedules of the domain."""
    return dg.Definitions(
        assets=cut_on_workers(
            dg.load_assets_from_modules([assets], group_name="chats"), CHUNKINGS, settings
        ),
        asset_checks=chat_checks,
        jobs=JOBS,
        schedules=chats_schedules(settings),
    )
