"""Partitions of the chats domain: the day on which chats were written, weeks and months of such."""

from batch_platform.core.settings import load_settings
from batch_platform.orchestration.partitions import (
    daily_partitions,
    monthly_partitions,
    weekly_partitions,
)

_FIRST_DAY = load_settings().chats.first_day

chat_days = daily_partitions(_FIRST_DAY)
chat_weeks = weekly_partitions(_FIRST_DAY)
chat_months = monthly_partitions(_FIRST_DAY)
