"""One user's fortune, made again apart from the night: what the command's `--user-id` does."""

from datetime import date

from batch_platform.core.days import Clock
from batch_platform.core.errors import NoDataError
from batch_platform.core.settings import Settings
from batch_platform.domains.fortunes.models import StoredFortune
from batch_platform.domains.fortunes.store import FortuneStore
from batch_platform.domains.fortunes.workflow import (
    compute_charts,
    publish_fortunes,
    read_users,
    write_fortunes,
)
from batch_platform.gateways.llm import BulkLlm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase


def make_one(
    day: date,
    user_id: str,
    *,
    db: PlatformDb,
    source: SourceDatabase,
    llm: BulkLlm,
    settings: Settings,
    clock: Clock,
    holder: str,
    replaces_imported: bool = False,
) -> StoredFortune:
    """Make a user's fortune of a day and publish it; the other users' stay as they are.

    `holder` is who is at work, for whoever meets the held partition. What an old system wrote is
    kept unless `replaces_imported`.

    Raises:
        PartitionBusyError: A run makes that day now.
        NoDataError: The user gets no fortune that day.
        PlatformError: As the night's steps.
    """
    with db.hold("fortunes/daily_fortunes", day.isoformat(), holder=holder):
        read_users(day, db=db, source=source, settings=settings, clock=clock)
        compute_charts(day, db=db, settings=settings, clock=clock)
        if next(FortuneStore(db).charted(day, user_id), None) is None:
            raise NoDataError(
                f"User {user_id} gets no fortune of {day}",
                "They must be in the app's table, active, and born before that day",
            )
        write_fortunes(
            day,
            db=db,
            llm=llm,
            settings=settings,
            clock=clock,
            user_id=user_id,
            replaces_imported=replaces_imported,
        )
        publish_fortunes(day, db=db, source=source, settings=settings, user_id=user_id)
    return next(FortuneStore(db).fortunes(day, user_id))
