"""The dead man's switch: somebody outside hears of each good day, and tells people when none came.

It is the one message that a platform which is gone altogether can still cause.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from batch_platform.core.deadlines import Deadline
from batch_platform.core.errors import PlatformError
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.nights import MadePartitions, Night, PartitionState, last_nights

_NIGHTS = 2
"""What was late may be there after midnight only."""

_UNTIL_TRIED_AGAIN = timedelta(minutes=10)


def tell_good_days(
    db: PlatformDb,
    deadlines: Sequence[Deadline],
    made_partitions: MadePartitions,
    settings: Settings,
    now: datetime,
    call: Callable[[str], None],
) -> str:
    """Call HEARTBEAT_URL once for each day whose due partitions are all there.

    Made-up work is told to nobody.

    Args:
        db: Where it stands who was told.
        deadlines: Those in force.
        made_partitions: Looks up what was made.
        settings: The address, and the zone.
        now: The present.
        call: Calls an address; raises a `PlatformError` when nobody there took it.

    Returns:
        Why the last call was in vain; empty when none was.
    """
    url = settings.alerts.heartbeat_url
    if url is None or settings.is_made_up:
        return ""
    nights = last_nights(
        deadlines, made_partitions, now=now, zone=settings.platform.zone, count=_NIGHTS
    )
    problem = ""
    for night in reversed(nights):
        if _is_good(night) and _is_to_be_told(db, night.due_date, now):
            try:
                call(url.get_secret_value())
            except PlatformError as error:
                problem = str(error)
            else:
                _note_told(db, night.due_date, now)
    return problem


def _is_good(night: Night) -> bool:
    expected = set(night.states.values()) - {PartitionState.BEFORE_START}
    return expected == {PartitionState.DONE}


def _is_to_be_told(db: PlatformDb, due_date: date, now: datetime) -> bool:
    """Whether a day was not told yet, nor tried just now; notes that it is tried now."""
    with db.connect("heartbeat") as connection, connection.transaction():
        noted = connection.execute(
            """
            INSERT INTO operations.heartbeats AS known (due_date, tried_at)
            VALUES (%(day)s, %(now)s)
            ON CONFLICT (due_date) DO UPDATE SET tried_at = excluded.tried_at
            WHERE known.told_at IS NULL AND known.tried_at <= %(before)s
            """,
            {"day": due_date, "now": now, "before": now - _UNTIL_TRIED_AGAIN},
        )
        return noted.rowcount == 1


def _note_told(db: PlatformDb, due_date: date, now: datetime) -> None:
    with db.connect("heartbeat") as connection, connection.transaction():
        connection.execute(
            "UPDATE operations.heartbeats SET told_at = %s WHERE due_date = %s", [now, due_date]
        )
