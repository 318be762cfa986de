"""Partitions of the fortunes domain: the day a fortune is for. Tomorrow's exists today."""

import dagster as dg

from batch_platform.core.settings import load_settings
from batch_platform.orchestration.partitions import daily_partitions

_FORTUNES = load_settings().fortunes

fortune_days = daily_partitions(_FORTUNES.first_day, last_in_days=1)

backfill_policy = (
    dg.BackfillPolicy.multi_run(_FORTUNES.days_per_backfill_run)
    if _FORTUNES.days_per_backfill_run
    else dg.BackfillPolicy.single_run()
)
"""How many days one run of a backfill makes: FORTUNES_DAYS_PER_BACKFILL_RUN."""
