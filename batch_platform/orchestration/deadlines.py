"""By when an asset's partition must be there: data that a domain declares and operations reads."""

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
    """

    asset: str
    at: time
    days_after: int = 1

    def due(self, day: date, zone: ZoneInfo) -> datetime:
        """The moment by which the partition `day` must be there."""
        return datetime.combine(day + timedelta(days=self.days_after), self.at, zone)
