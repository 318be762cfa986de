"""Which messages go where, and when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from batch_platform.core.errors import PermanentError
from batch_platform.operations.domains import DOMAINS, OPERATIONS
from batch_platform.operations.incidents.models import Channel, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRoute:
    """A way that messages go.

    Attributes:
        route_id: 0 for one that is not stored yet.
        domain: Whose incidents; empty for every domain's.
        least_severity: Less severe ones do not go this way.
        channel: Where to.
        recipients: Addresses, of mail only; those of the settings when there are none.
        from_time: In the platform's zone: earlier messages wait until then; None for any time.
        to_time: The end of these hours; earlier than `from_time` when they go over midnight.
        version: Grows with each change; 0 for one that is not stored yet.
    """

    route_id: int = 0
    domain: str = ""
    least_severity: Severity = Severity.INFO
    channel: Channel = Channel.MAIL
    recipients: tuple[str, ...] = ()
    from_time: time | None = None
    to_time: time | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """Where and from when on one message goes."""

    channel: Channel
    recipients: tuple[str, ...]
    send_from: datetime


def ways(
    routes: Sequence[AlertRoute],
    configured: Sequence[Channel],
    *,
    domain: str,
    severity: Severity,
    now: datetime,
    zone: ZoneInfo,
) -> list[Way]:
    """Where a message goes: at most once to each channel, to all whom its routes name.

    Args:
        routes: All there are; without any it goes to every configured channel at once.
        configured: Channels that the settings have an address of.
        domain: Of the incident; empty for the platform's own.
        severity: Of the incident.
        now: When it is written.
        zone: Of the routes' hours.
    """
    if not routes:
        return [Way(channel, (), now) for channel in configured]
    found: list[Way] = []
    for channel in Channel:
        fitting = [
            route
            for route in routes
            if route.channel is channel
            and route.domain in {"", domain}
            and severity.rank >= route.least_severity.rank
        ]
        if not fitting:
            continue
        # A route without addresses means the settings'.
        named = () if any(not route.recipients for route in fitting) else fitting
        recipients = dict.fromkeys(address for route in named for address in route.recipients)
        send_from = min(_opens(route, now, zone) for route in fitting)
        found.append(Way(channel, tuple(recipients), send_from))
    return found


def require_sense(route: AlertRoute) -> None:
    """Refuse a route that nothing could go.

    Raises:
        PermanentError: A value makes no sense; the sentence says which and what would.
    """
    if route.domain not in {"", OPERATIONS, *DOMAINS}:
        raise PermanentError(
            f"There is no domain {route.domain!r}",
            f"Use {', '.join((*DOMAINS, OPERATIONS))}, or none for all of them",
        )
    if route.recipients and route.channel is not Channel.MAIL:
        raise PermanentError(
            f"{route.channel} has one address, which is in the settings",
            "Name recipients for mail only",
        )
    for address in route.recipients:
        if "@" not in address.strip("@") or not address.isprintable():
            raise PermanentError(f"{address!r} is not a mail address", "Write it like a@b.org")
    if (route.from_time is None) != (route.to_time is None) or (
        route.from_time is not None and route.from_time == route.to_time
    ):
        raise PermanentError(
            "Hours have a beginning and another end", "Write them like 09:00-18:00"
        )


def _opens(route: AlertRoute, now: datetime, zone: ZoneInfo) -> datetime:
    """The first moment from now on that is within a route's hours."""
    if route.from_time is None or route.to_time is None:
        return now
    local = now.astimezone(zone)
    at = local.time()
    if route.from_time < route.to_time:
        is_open = route.from_time <= at < route.to_time
    else:
        is_open = at >= route.from_time or at < route.to_time
    if is_open:
        return now
    day = local.date() + timedelta(days=at >= route.from_time)
    return datetime.combine(day, route.from_time, zone).astimezone(now.tzinfo)
