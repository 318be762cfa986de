"""Schedules in a table and their occurrences: what was due, when, and what became of it.

`ScheduleBook` and `OccurrenceBook` are for the API and the commands. Nothing but `sensor`,
`run_coordinator` and `dagster_jobs` knows Dagster.
"""

from batch_platform.operations.schedules.models import (
    Frequency,
    Job,
    MissedPolicy,
    Occurrence,
    OccurrenceStatus,
    PartitionRule,
    Schedule,
    ScheduleChange,
    ScheduleSpec,
)
from batch_platform.operations.schedules.occurrence_book import OccurrenceBook
from batch_platform.operations.schedules.schedule_book import ScheduleBook

__all__ = [
    "Frequency",
    "Job",
    "MissedPolicy",
    "Occurrence",
    "OccurrenceBook",
    "OccurrenceStatus",
    "PartitionRule",
    "Schedule",
    "ScheduleBook",
    "ScheduleChange",
    "ScheduleSpec",
]
