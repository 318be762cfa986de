"""What the commands about the platform as a whole do.

Imports all that they need, so `platform` imports this file only inside a command.
"""

from datetime import timedelta

from rich.text import Text

from batch_platform.api.listening import require_tokens_or_loopback
from batch_platform.cli.console import marked, out, show_table
from batch_platform.cli.reach import reach_everything, show_reached
from batch_platform.cli.servers import run_servers
from batch_platform.core.days import today, utc_now
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.store import ChatStore, DayCounts
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import current_revision, migrate
from batch_platform.gateways.platform_services import (
    lease_sandbox,
    open_platform_db,
    platform_database_url,
)
from batch_platform.gateways.tokens import TokenBook

_STATUS_DAYS = 7


def serve(settings: Settings, port: int) -> None:
    """Bring the database to this version and serve until a signal ends it.

    Raises:
        ConfigurationError: The port is taken, or `up` runs already.
        PermanentError: A server keeps dying.
    """
    run_servers(settings, port, lambda: _prepared_addresses(settings))


def show_status(settings: Settings) -> bool:
    """Show what can be reached and the last nights; tell whether the database is among it."""
    results = reach_everything(settings)
    show_reached(f"상태 · 프로필 {settings.profile}", results)
    if results[0].is_problem:
        return False
    last = today(utc_now, settings.platform.zone) - timedelta(days=1)
    counts = ChatStore(open_platform_db(settings)).day_counts(
        last - timedelta(days=_STATUS_DAYS - 1), last
    )
    show_table(
        f"채팅: 최근 {_STATUS_DAYS}일",
        ["날짜", "채팅", "분류 / 질문", "보류", "상태"],
        [
            (
                day.chat_date,
                "-" if day.landed_rows is None else f"{day.landed_rows:,}",
                f"{day.classified_count:,} / {day.question_count:,}",
                f"{day.quarantined_count:,}",
                _day_state(day),
            )
            for day in reversed(counts)
        ],
        right=(1, 2, 3),
    )
    return True


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
    addresses = [("데이터베이스", db.address)]
    if settings.is_made_up:
        addresses.append(("메일", str(lease_sandbox(settings.home)["mail_page_url"])))
    return addresses


def _day_state(day: DayCounts) -> Text:
    if not day.is_extracted:
        return marked("[dim]아직[/dim]")
    if day.missing_count:
        return marked(f"[yellow]{day.missing_count:,}개 남음[/yellow]")
    return marked("[green]완료[/green]") if day.question_count else Text("채팅 없음")
