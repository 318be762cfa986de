"""Partitions of the market: calendar days, closed ones among them, and months of such days."""

from batch_platform.core.settings import load_settings
from batch_platform.orchestration.partitions import daily_partitions, monthly_partitions

_FIRST_DAY = load_settings().stocks.first_day

market_days = daily_partitions(_FIRST_DAY)
market_months = monthly_partitions(_FIRST_DAY)
