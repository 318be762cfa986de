"""What the Dagster half of every domain shares: partitions, results, progress, jobs and schedules.

Thin on purpose. Nothing here knows a domain or the world outside.
"""

import warnings

import dagster as dg

# A backfill policy is declared on every asset, and a mapping's lenience on some; Dagster calls the
# parameters beta each time. Its version is pinned, and tests backfill: repeating it tells nobody
# anything.
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
warnings.filterwarnings("ignore", "Parameter `allow_nonexistent_upstream", dg.BetaWarning)
# Said again by Dagster itself whenever it gives the resources to a job that a sensor may launch.
warnings.filterwarnings("ignore", "Parameter `owners` of initializer `Sensor", dg.BetaWarning)
