"""The emotions domain's partitions: the day of a post, and the batch."""

import dagster as dg

from batch_platform.core.settings import load_settings
from batch_platform.orchestration.partitions import daily_partitions

post_days = daily_partitions(load_settings().emotions.first_day, last_in_days=0)
"""The day that a post is from; today too, as a source without dates is read whole."""

emotions_batches = dg.DynamicPartitionsDefinition(name="emotions_batches")
"""One a batch, named like `sampling-20261120-2201`."""
