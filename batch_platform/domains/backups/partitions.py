"""Partitions of the backups domain.

A backup belongs to the last day that is whole in it: the one of 01:00 on the 21st to the 20th, like
everything else of that night. A week's snapshots belong to the week that ends when they are taken.
"""

import dagster as dg

from batch_platform.core.settings import load_settings
from batch_platform.orchestration.partitions import ZONE_NAME, daily_partitions

_FIRST_DAY = load_settings().backups.first_day

backup_days = daily_partitions(_FIRST_DAY)

snapshot_weeks = dg.WeeklyPartitionsDefinition(
    start_date=_FIRST_DAY.isoformat(), timezone=ZONE_NAME
)
"""Weeks from Sunday to Saturday, named after their Sunday."""
