"""What `batch-platform alerts` does: options into routes, incidents into tables."""

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from rich.markup import escape

from batch_platform.cli.console import marked, out, show_table
from batch_platform.core.days import utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.core.settings import Settings
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.operations.incidents.models import Channel, Severity
from batch_platform.operations.incidents.outbox import (
    configured_channels,
    incident_book,
    send_test_messages,
)
from batch_platform.operations.incidents.routes import AlertRoute
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.resources.roles import active_settings

_Choice = TypeVar("_Choice", bound=StrEnum)
_SEVERITIES = {"info": "알림", "warning": "주의", "error": "오류", "critical": "긴급"}


def changes_of(
    *,
    domain: str | None,
    severity: str | None,
    channel: str | None,
    to: Sequence[str] | None,
    hours: str | None,
) -> dict[str, Any]:
    """What a command's options change in a route.

    Raises:
        PermanentError: An option cannot be read.
    """
    changes: dict[str, Any] = {
        "domain": domain,
        "least_severity": _one_of(Severity, "--severity", severity) if severity else None,
        "channel": _one_of(Channel, "--channel", channel) if channel else None,
        "recipients": tuple(to) if to else None,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if hours is not None:
        changes["from_time"], changes["to_time"] = _hours(hours)
    return changes


def show_incidents() -> None:
    """Show what is wrong now, and what people could not be told."""
    settings = active_settings()
    book, now = _book(settings), utc_now()
    incidents = book.open_incidents()
    if not incidents:
        out.print("열린 사건이 없습니다.")
    else:
        show_table(
            "열린 사건",
            ["번호", "심각도", "무엇", "날짜·분할", "언제부터", "알림", "원인"],
            [
                (
                    each.incident_id,
                    _SEVERITIES[each.severity],
                    each.trouble.asset or each.trouble.job or "플랫폼",
                    each.trouble.partition or "-",
                    _moment(each.opened_at, settings),
                    f"{_moment(each.muted_until, settings)}까지 끔"
                    if each.muted_until and each.muted_until > now
                    else "켬",
                    each.trouble.causes[0],
                )
                for each in incidents
            ],
            right=(0,),
        )
    show_unsent(book)


def show_unsent(book: IncidentBook) -> None:
    """Say which messages could not be sent, a line a channel; nothing when all were."""
    for channel, count, reason in book.unsent():
        out.print(
            marked("[red]보내지 못한 알림[/red]"), f"{channel} {count}통: {reason}", soft_wrap=True
        )


def mute(number: int, hours: float | None) -> None:
    """Tell nobody of an incident for some hours; None ends that."""
    settings = active_settings()
    until = utc_now() + timedelta(hours=hours) if hours is not None else None
    _book(settings).mute(number, until, muted_by=getpass.getuser())
    if until is None:
        out.print(f"사건 {number}번을 다시 알립니다.")
    else:
        out.print(f"사건 {number}번을 {_moment(until, settings)}까지 알리지 않습니다.")


def show_routes() -> None:
    """Show every route; what happens when there is none."""
    settings = active_settings()
    routes = _book(settings).routes()
    if not routes:
        channels = ", ".join(configured_channels(settings))
        out.print(f"길이 없습니다: 모든 알림이 곧바로 {channels}(으)로 갑니다.")
        return
    show_table(
        "알림의 길",
        ["번호", "업무", "심각도", "어디로", "받는 사람", "시간"],
        [
            (
                each.route_id,
                each.domain or "모두",
                f"{_SEVERITIES[each.least_severity]} 이상",
                each.channel,
                ", ".join(each.recipients) or "설정대로",
                f"{each.from_time:%H:%M}-{each.to_time:%H:%M}" if each.from_time else "늘",
            )
            for each in routes
        ],
        right=(0,),
    )


def add_route(changes: Mapping[str, Any]) -> None:
    """Add a route and show all."""
    settings = active_settings()
    added = _book(settings).add_route(
        AlertRoute(**changes), utc_now(), changed_by=getpass.getuser()
    )
    out.print(f"길 {added.route_id}번을 더했습니다.")
    show_routes()


def edit_route(number: int, changes: Mapping[str, Any]) -> None:
    """Change a route and show all."""
    book = _book(active_settings())
    book.edit_route(replace(book.route(number), **changes), utc_now(), changed_by=getpass.getuser())
    show_routes()


def delete_route(number: int) -> None:
    """Remove a route and show what is left."""
    _book(active_settings()).delete_route(number)
    show_routes()


def send_test(domain: str, severity: str) -> bool:
    """Send a test message wherever such an incident would be told; tell whether all arrived."""
    settings = active_settings()
    chosen = _one_of(Severity, "--severity", severity)
    tried = send_test_messages(
        _book(settings).routes(), Mailer(settings.mail), settings, utc_now(),
        domain=domain, severity=chosen,
    )  # fmt: skip
    if not tried:
        out.print("[yellow]아무 데도 가지 않습니다[/yellow]: 그런 사건을 위한 길이 없습니다.")
        return False
    for each in tried:
        mark = "[green]보냄[/green]" if each.is_sent else "[red]실패[/red]"
        out.print(f"{mark} {each.channel}:", escape(each.said), soft_wrap=True)
    return all(each.is_sent for each in tried)


def _book(settings: Settings) -> IncidentBook:
    return incident_book(open_platform_db(settings), settings)


def _moment(at: datetime, settings: Settings) -> str:
    return f"{at.astimezone(settings.platform.zone):%m-%d %H:%M}"


def _one_of(kind: type[_Choice], option: str, text: str) -> _Choice:
    try:
        return kind(text)
    except ValueError:
        raise PermanentError(
            f"{option} cannot be {text!r}", f"Use one of {', '.join(kind)}"
        ) from None


def _hours(text: str) -> tuple[time | None, time | None]:
    if text == "any":
        return None, None
    first, separator, last = text.partition("-")
    try:
        if separator:
            return time.fromisoformat(first.strip()), time.fromisoformat(last.strip())
    except ValueError:
        pass
    raise PermanentError(f"{text!r} are no hours", "Write them like 09:00-18:00, or any")
