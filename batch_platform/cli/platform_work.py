"""What the commands about the platform as a whole do.

Imports all that they need, so `platform` imports this file only inside a command.
"""

from rich.text import Text

from batch_platform.api.listening import require_tokens_or_loopback
from batch_platform.build import DEADLINES
from batch_platform.cli.alert_work import show_unsent
from batch_platform.cli.console import marked, out, show_table
from batch_platform.cli.reach import reach_everything, show_reached
from batch_platform.cli.runs import made_partitions
from batch_platform.cli.servers import Further, run_servers
from batch_platform.core.days import utc_now
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import current_revision, migrate
from batch_platform.gateways.platform_services import (
    lease_sandbox,
    open_platform_db,
    platform_database_url,
)
from batch_platform.gateways.tokens import TokenBook
from batch_platform.operations.deadline_book import note_deadlines
from batch_platform.operations.deadline_changes import DeadlineChanges
from batch_platform.operations.deadlines_in_force import deadlines_in_force
from batch_platform.operations.incidents.outbox import incident_book
from batch_platform.operations.nights import PartitionState, last_nights
from batch_platform.operations.schedules import ScheduleBook

_STATUS_DAYS = 7


def serve(settings: Settings, port: int, further: Further = Further()) -> None:  # noqa: B008
    """Bring the database to this version and serve until a signal ends it.

    Args:
        settings: The active profile's.
        port: The webserver's.
        further: What is served beside; immutable.

    Raises:
        ConfigurationError: The port is taken, or `up` runs already.
        PermanentError: A server keeps dying.
    """
    run_servers(settings, port, lambda: _prepared_addresses(settings), further)


def show_status(settings: Settings) -> bool:
    """Show what can be reached and the last nights; tell whether the database is among it."""
    results = reach_everything(settings)
    show_reached(f"상태 · 프로필 {settings.profile}", results)
    if results[0].is_problem:
        return False
    _show_nights(settings)
    _show_incidents(settings)
    return True


def _show_incidents(settings: Settings) -> None:
    book = incident_book(open_platform_db(settings), settings)
    count = len(book.open_incidents())
    if count:
        out.print(f"[red]열린 사건 {count}건[/red] · 보기: batch-platform alerts list")
    show_unsent(book)


def _show_nights(settings: Settings) -> None:
    schedules = ScheduleBook(open_platform_db(settings), utc_now).list()
    deadlines = deadlines_in_force(
        DEADLINES, schedules, settings, DeadlineChanges(open_platform_db(settings)).all()
    )
    nights = last_nights(
        deadlines,
        made_partitions(settings),
        now=utc_now(),
        zone=settings.platform.zone,
        count=_STATUS_DAYS,
    )
    show_table(
        f"마감: 최근 {_STATUS_DAYS}일",
        ["마감일", *(f"{each.asset} {each.at:%H:%M}" for each in deadlines)],
        [(night.due_date, *map(_shown, night.states.values())) for night in nights],
    )


def bring_to_this_version(settings: Settings) -> None:
    """Apply the migrations that the database lacks, and say from what to what."""
    db = PlatformDb(platform_database_url(settings))
    before = current_revision(db)
    migrate(db)
    after = current_revision(db)
    change = f"이미 {after}입니다." if before == after else f"{before or '빈 곳'} → {after}"
    out.print(f"{db.address}: {change}", markup=False, soft_wrap=True)


def _prepared_addresses(settings: Settings) -> list[tuple[str, str]]:
    """Bring the database to this version; tell where it and the demo's mails are."""
    db = PlatformDb(platform_database_url(settings))
    migrate(db)
    require_tokens_or_loopback(settings.api, TokenBook(db))
    # The morning page shall know them before the daemon has looked for the first time.
    note_deadlines(
        db,
        deadlines_in_force(
            DEADLINES, ScheduleBook(db, utc_now).list(), settings, DeadlineChanges(db).all()
        ),
    )
    addresses = [("데이터베이스", db.address)]
    if settings.is_made_up:
        addresses.append(("메일", str(lease_sandbox(settings.home)["mail_page_url"])))
    return addresses


def _shown(state: PartitionState) -> Text:
    return marked(
        {
            PartitionState.DONE: "[green]완료[/green]",
            PartitionState.WAITING: "[dim]아직[/dim]",
            PartitionState.LATE: "[red]없음[/red]",
            PartitionState.BEFORE_START: "[dim]-[/dim]",
        }[state]
    )
