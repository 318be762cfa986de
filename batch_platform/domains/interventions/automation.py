"""The interventions domain's job. It has no schedule in code: people edit schedules as rows.

`batch-platform interventions init-schedule` makes the usual one, daily at 09:00.
"""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import timedelta

import dagster as dg

from batch_platform.core.deadlines import DeadlineAfterSchedule
from batch_platform.domains.interventions.assets import (
    eligible_users,
    published_records,
    recommendations,
    user_records,
)
from batch_platform.domains.interventions.store import JOB_NAME

DEADLINES = (
    DeadlineAfterSchedule("interventions/published_records", JOB_NAME, timedelta(minutes=30)),
)
"""Half an hour after the schedule, whenever people put that."""

interventions_job = dg.define_asset_job(
    JOB_NAME,
    selection=dg.AssetSelection.assets(
        user_records, eligible_users, recommendations, published_records
    ),
    description="A day's users: read, chosen, advised for the next day, written back.",
    tags={"domain": "interventions"},
)
