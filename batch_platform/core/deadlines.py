"""By when an asset's partition must be there: data that a domain declares and operations reads.

Pure, so that those who know no Dagster (the API) can read it too.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a daily partition of an asset must be complete.

    Attributes:
        asset: Key `group/name`.
        at: Time of day in the platform's zone.
        days_after: Days from the partition's day to the day of `at`; -1 for what is made ahead.
        first_day: The first partition that is expected; None when the first one made decides.
        job: The job that makes it: what a person runs when it is not there.
    """

    asset: str
    at: time
    days_after: int = 1
    first_day: date | None = None
    job: str = ""

    def due(self, day: date, zone: ZoneInfo) -> datetime:
        """The moment by which the partition `day` must be there."""
        return datetime.combine(day + timedelta(days=self.days_after), self.at, zone)


@dataclass(frozen=True, slots=True)
class DeadlineAfterSchedule:
    """A deadline that follows the schedules of a job, which are rows that people edit.

    Without an active daily schedule nothing is due.

    Attributes:
        asset: Key `group/name`.
        job: The job that makes it.
        after: How long after the schedule's time it must be complete.
    """

    asset: str
    job: str
    after: timedelta


AnyDeadline = Deadline | DeadlineAfterSchedule
