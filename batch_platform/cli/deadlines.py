"""`batch-platform deadlines`: by when each night's work must be there, shown and changed."""

import getpass
from collections.abc import Mapping
from datetime import time
from typing import TYPE_CHECKING, Annotated

import typer

from batch_platform.cli.console import out, show_table
from batch_platform.core.errors import NotFoundError, PermanentError

if TYPE_CHECKING:
    from batch_platform.core.deadlines import Deadline
    from batch_platform.core.settings import Settings
    from batch_platform.operations.deadline_changes import DeadlineChange, DeadlineChanges

app = typer.Typer(help="밤마다 언제까지 끝나야 하는지 보고 바꿉니다.", no_args_is_help=True)

Asset = Annotated[str, typer.Argument(help="자산. 예: chats/report", show_default=False)]


@app.command("list", epilog="예: batch-platform deadlines list")
def list_() -> None:
    """지금 지켜보는 마감을 보입니다."""
    settings, book = _opened()
    changed = book.all()
    rows = [
        (each.asset, f"{each.at:%H:%M}", _day(each), "예" if each.asset in changed else "-")
        for each in _in_force(settings, changed)
    ]
    off = [(asset, "-", "마감 없음", "예") for asset, each in changed.items() if each.at is None]
    show_table("마감", ["자산", "시각", "어느 날", "바꿈"], [*rows, *off])


@app.command("set", epilog="예: batch-platform deadlines set chats/report 06:30")
def set_(
    asset: Asset,
    at: Annotated[str, typer.Argument(help="시각 (HH:MM)", show_default=False)],
    days_after: Annotated[
        int | None, typer.Option("--days-after", min=-7, max=31, help="며칠 뒤의 시각인지")
    ] = None,
) -> None:
    """마감을 바꿉니다. 30초 안에 적용됩니다."""
    from batch_platform.operations.deadline_changes import DeadlineChange

    try:
        moment = time.fromisoformat(at)
    except ValueError:
        raise PermanentError(f"{at!r} is no time of day", "Write it like 06:30") from None
    settings, book = _opened()
    usual = {each.asset: each for each in _in_force(settings, {})}
    if asset not in usual:
        raise NotFoundError(f"{asset} has no deadline", f"There are {', '.join(usual)}")
    days = usual[asset].days_after if days_after is None else days_after
    _write(book, asset, DeadlineChange(moment, days))


@app.command(epilog="예: batch-platform deadlines off stocks/daily_prices")
def off(asset: Asset) -> None:
    """마감을 없앱니다: 늦어도 알리지 않습니다."""
    from batch_platform.operations.deadline_changes import DeadlineChange

    settings, book = _opened()
    if asset not in {each.asset for each in _in_force(settings, {})}:
        raise NotFoundError(f"{asset} has no deadline", "batch-platform deadlines list")
    _write(book, asset, DeadlineChange(None, None))


@app.command(epilog="예: batch-platform deadlines reset chats/report")
def reset(asset: Asset) -> None:
    """바꾼 마감을 처음대로 돌립니다."""
    _, book = _opened()
    book.reset(asset)
    list_()


def _write(book: "DeadlineChanges", asset: str, change: "DeadlineChange") -> None:
    from batch_platform.core.days import utc_now

    book.set(asset, change, utc_now(), changed_by=getpass.getuser())
    out.print(f"{asset}의 마감을 바꾸었습니다.", markup=False)
    list_()


def _opened() -> "tuple[Settings, DeadlineChanges]":
    from batch_platform.gateways.platform_services import open_platform_db
    from batch_platform.operations.deadline_changes import DeadlineChanges
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    return settings, DeadlineChanges(open_platform_db(settings))


def _in_force(settings: "Settings", changes: "Mapping[str, DeadlineChange]") -> "list[Deadline]":
    from batch_platform.build import DEADLINES
    from batch_platform.core.days import utc_now
    from batch_platform.gateways.platform_services import open_platform_db
    from batch_platform.operations.deadlines_in_force import deadlines_in_force
    from batch_platform.operations.schedules import ScheduleBook

    schedules = ScheduleBook(open_platform_db(settings), utc_now).list()
    return deadlines_in_force(DEADLINES, schedules, settings, changes)


def _day(deadline: "Deadline") -> str:
    if deadline.days_after == 0:
        return "같은 날"
    return f"{abs(deadline.days_after)}일 {'뒤' if deadline.days_after > 0 else '앞'}"
