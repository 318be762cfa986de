"""The interventions domain's partitions: the day whose records are used."""

from batch_platform.core.settings import load_settings
from batch_platform.orchestration.partitions import daily_partitions

record_days = daily_partitions(load_settings().interventions.first_day)
"""The records' day; its recommendations are for the next one."""
