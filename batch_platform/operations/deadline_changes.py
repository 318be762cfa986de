"""`DeadlineChanges`: deadlines that people set in place of those that domains declare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.platform_db import PlatformDb


@dataclass(frozen=True, slots=True)
class DeadlineChange:
    """What a person said about an asset's deadline.

    Attributes:
        at: Time of day in the platform's zone; None: it has no deadline.
        days_after: Days from the partition's day to the day of `at`; None without a deadline.
    """

    at: time | None
    days_after: int | None


@dataclass(frozen=True, slots=True)
class KnownDeadline:
    """A deadline as people see it: what they said, else what is noted.

    Attributes:
        at: Time of day in the platform's zone; None: it has none.
        days_after: Days from the partition's day to the day of `at`; None without a deadline.
        is_changed: Whether a person said so.
    """

    at: time | None
    days_after: int | None
    is_changed: bool


def known_deadlines(
    noted: Sequence[Deadline], changes: Mapping[str, DeadlineChange]
) -> Mapping[str, KnownDeadline]:
    """Asset → its deadline, for those who cannot ask the domains; what people said counts at once.

    Args:
        noted: As the watch over incidents noted them last.
        changes: Asset → what a person said since or before.
    """
    known = {each.asset: KnownDeadline(each.at, each.days_after, False) for each in noted}
    said = {asset: KnownDeadline(each.at, each.days_after, True) for asset, each in changes.items()}
    return dict(sorted((known | said).items()))


class DeadlineChanges:
    """The deadlines that people set.

    Args:
        db: The platform's database.
    """

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def all(self) -> Mapping[str, DeadlineChange]:
        """Asset key `group/name` → what a person said."""
        rows = self._db.fetch_all("SELECT asset, at, days_after FROM operations.deadline_changes")
        return {asset: DeadlineChange(at, days_after) for asset, at, days_after in rows}

    def set(self, asset: str, change: DeadlineChange, now: datetime, *, changed_by: str) -> None:
        """Put this in place of what code declares, from now on."""
        with self._db.connect("deadlines") as connection:
            connection.execute(
                "INSERT INTO operations.deadline_changes (asset, at, days_after, changed_by,"
                " changed_at) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (asset) DO UPDATE"
                " SET at = excluded.at, days_after = excluded.days_after,"
                " changed_by = excluded.changed_by, changed_at = excluded.changed_at",
                [asset, change.at, change.days_after, changed_by, now],
            )

    def reset(self, asset: str) -> None:
        """Let what code declares count again."""
        with self._db.connect("deadlines") as connection:
            connection.execute("DELETE FROM operations.deadline_changes WHERE asset = %s", [asset])
