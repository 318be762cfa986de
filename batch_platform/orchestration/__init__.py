"""What the Dagster half of every domain shares: partitions, results, progress, jobs and schedules.

Thin on purpose. Nothing here knows a domain, a database or the world outside.
"""
