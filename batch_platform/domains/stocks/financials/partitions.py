"""Partitions of the financials: fiscal quarters by their first day, and days of prices."""

from batch_platform.core.settings import load_settings
from batch_platform.orchestration.partitions import daily_partitions, quarterly_partitions

_FIRST_DAY = load_settings().stocks.first_day

fiscal_quarters = quarterly_partitions(_FIRST_DAY)
"""Named after their first day like months are (2026-07-01 is the third quarter of 2026), so that
the webserver sorts, filters and backfills them as times."""

valued_days = daily_partitions(_FIRST_DAY)
"""The same days as the prices'."""
