"""A night's incremental backup, in whichever way the server allows."""

from datetime import date

from batch_platform.core.days import Clock
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import Settings
from batch_platform.domains.backups.chains import create_link
from batch_platform.domains.backups.changed_days import create_changed_days
from batch_platform.domains.backups.models import Manifest
from batch_platform.gateways.pg_tools.base_backup import why_not_incremental
from batch_platform.gateways.pg_tools.contents import server_version
from batch_platform.gateways.pg_tools.programs import programs_for
from batch_platform.gateways.platform_db import PlatformDb


def create_increment(
    day: date,
    *,
    db: PlatformDb,
    settings: Settings,
    clock: Clock,
    progress: ProgressReport = unheard,
) -> Manifest | None:
    """Copy what changed, of the server's files where that is possible, else of its partitions.

    Returns:
        The backup's manifest; None when incremental backups are switched off.

    Raises:
        ConfigurationError: `BACKUP_INCREMENTAL` is `base`, and the server does not allow it.
        PlatformError: As `create_link` and `create_changed_days` raise.
    """
    wanted = settings.backups.incremental
    if wanted == "off":
        return None
    note = "BACKUP_INCREMENTAL is days"
    if wanted != "days":
        tools = programs_for(server_version(db)[0], settings.backups.programs)
        note = why_not_incremental(db, tools)
        if not note:
            return create_link(day, db=db, settings=settings, clock=clock, progress=progress)
    if wanted == "base":
        raise ConfigurationError(
            f"Incremental base backups are not possible: {note}",
            "Mend that, or set BACKUP_INCREMENTAL to days",
        )
    return create_changed_days(
        day, db=db, settings=settings, clock=clock, note=note, progress=progress
    )
