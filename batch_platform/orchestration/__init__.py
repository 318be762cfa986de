"""What the Dagster half of every domain shares: partitions, results, progress, jobs and schedules.

Thin on purpose. Nothing here knows a domain or the world outside.
"""

import warnings

import dagster as dg

# A backfill policy is declared on every asset; Dagster calls the parameter beta each time. Its
# version is pinned, and a test backfills, so the repetition tells nobody anything.
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
