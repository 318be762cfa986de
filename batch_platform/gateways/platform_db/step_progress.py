"""How far steps are, written down now and then, so that what will be late is seen before it is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_platform.gateways.platform_db import PlatformDb

_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step is that goes on.

    Attributes:
        asset: Key `group/name`.
        done: Since it began.
        total: That were to be done when it began.
        began_at: When the first were done.
        told_at: When it said so last.
        part: Which part of the partition; empty when it is not cut into parts.
    """

    run_id: str
    asset: str
    partition: str
    done: int
    total: int
    began_at: datetime
    told_at: datetime
    part: str = ""

    @property
    def ends_at(self) -> datetime | None:
        """When it will have ended at the rate it goes; None while there is none."""
        if self.done <= 0 or self.told_at <= self.began_at:
            return None
        return self.told_at + (self.told_at - self.began_at) / self.done * (self.total - self.done)


def tell_progress(db: PlatformDb, progress: StepProgress) -> None:
    """Write down how far a step is, and forget those of yesterday."""
    with db.connect("progress") as connection:
        connection.execute(
            "INSERT INTO operations.step_progress"
            " (run_id, asset, partition, done, total, began_at, told_at, part)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (run_id, asset, part) DO UPDATE"
            " SET done = excluded.done, total = excluded.total, partition = excluded.partition,"
            " began_at = excluded.began_at, told_at = excluded.told_at",
            [
                progress.run_id, progress.asset, progress.partition, progress.done,
                progress.total, progress.began_at, progress.told_at, progress.part,
            ],
        )  # fmt: skip
        connection.execute(
            "DELETE FROM operations.step_progress WHERE told_at < %s", [progress.told_at - _KEPT]
        )


def forget_parts(db: PlatformDb, run_id: str, asset: str) -> None:
    """Forget the parts of a partition, once a step for all of it has begun."""
    with db.connect("progress") as connection:
        connection.execute(
            "DELETE FROM operations.step_progress WHERE run_id = %s AND asset = %s AND part <> ''",
            [run_id, asset],
        )


def progress_since(db: PlatformDb, since: datetime) -> list[StepProgress]:
    """The steps that said since then how far they are; the parts of a partition as one."""
    rows = db.fetch_all(
        "SELECT run_id, asset, partition, sum(done)::bigint, sum(total)::bigint, min(began_at),"
        " max(told_at) FROM operations.step_progress"
        " GROUP BY run_id, asset, partition HAVING max(told_at) >= %s ORDER BY max(told_at)",
        [since],
    )
    return [StepProgress(*row) for row in rows]
