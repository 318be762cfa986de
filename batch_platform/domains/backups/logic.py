"""Rules about backups: names, what an incremental one adds to, what may go. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from batch_platform.core.days import Clock, today
from batch_platform.core.errors import PermanentError
from batch_platform.domains.backups.models import BackupKind, State

FULL_BACKUP_WEEKDAY = 6
"""Sunday, as `date.weekday()` counts."""

_NAME_TIME = "%Y%m%d_%H%M%S"
_NAME = re.compile(rf"(?P<kind>{'|'.join(BackupKind)})_(?P<at>\d{{8}}_\d{{6}})(_\d+)?")
_LONGEST_CHAIN_DAYS = 7
_BASE_KINDS = (BackupKind.BASE, BackupKind.BASE_INCREMENT)
_TIERS = (State.GOOD, State.READABLE, State.UNVERIFIED)
"""From the surest to the least sure of what is not known to be bad."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the rules know of a backup.

    Attributes:
        made_on: Local calendar day on which it was begun.
        order: When it was begun; what is newer is greater.
        system_identifier: Of the server's cluster it is a copy of, for base copies.
    """

    backup_id: str
    kind: BackupKind
    made_on: date
    order: datetime
    parent_id: str | None
    base_id: str
    state: State
    system_identifier: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it passed a check and did not change since."""
        return self.state in (State.GOOD, State.READABLE)


@dataclass(frozen=True, slots=True)
class Retention:
    """What goes, and what stays for which reason.

    Attributes:
        kept: Id → reason.
        removed: Ids, in an order in which nothing loses its parent before itself.
    """

    kept: Mapping[str, str]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncrementPlan:
    """What the incremental backup of a night is.

    Attributes:
        parent_id: The backup it adds to; None for a full one.
        reason: Why.
    """

    parent_id: str | None
    reason: str


def name_of(kind: BackupKind, at: datetime, zone: ZoneInfo, taken: Collection[str]) -> str:
    """A new backup's id: its kind and local time, `dump_20261121_010003`.

    Args:
        kind: Its kind.
        at: When it is begun.
        zone: The platform's zone.
        taken: Ids that exist.
    """
    stem = f"{kind}_{at.astimezone(zone):%Y%m%d_%H%M%S}"
    number = 1
    # The hour that comes twice in autumn, or two within a second.
    while (name := stem if number == 1 else f"{stem}_{number}") in taken:
        number += 1
    return name


def kind_and_time(name: str) -> tuple[BackupKind, datetime] | None:
    """What a backup's id says, in local time without a zone; None when it is no such id."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return BackupKind(match["kind"]), datetime.strptime(match["at"], _NAME_TIME)  # noqa: DTZ007


def snapshot_name(table: str, at: datetime, zone: ZoneInfo) -> str:
    """A table snapshot's name, `daily_prices_snapshot_20261122_020000`."""
    return f"{table}_snapshot_{at.astimezone(zone):%Y%m%d_%H%M%S}"


def room_needed(*, min_free_gb: float, factor: float, last_bytes: int, database_bytes: int) -> int:
    """Bytes that must be free before a backup is begun.

    Args:
        min_free_gb: Always wanted, in 10⁹ bytes.
        factor: Multiple of the last backup that is wanted.
        last_bytes: Size of the last one of its kind; 0 when there is none.
        database_bytes: What is backed up takes on the server: the only guess for a first one.
    """
    return int(max(min_free_gb * 1e9, factor * last_bytes if last_bytes else database_bytes))


def dump_jobs(configured: int, cores: int) -> int:
    """Dump processes: as configured, or one a core.

    Checksums are counted beside them for the first third of the time only: a core kept for that
    would stand still for the rest (measured on two cores: 12.4 s instead of 13.8 s).
    """
    return configured or cores


def plan_increment(held: Sequence[Held], on: date, system_identifier: str) -> IncrementPlan:
    """Decide whether a base copy adds to the one before or begins a new chain.

    Args:
        held: All backups.
        on: Local calendar day.
        system_identifier: Of the server's cluster now.
    """
    chain = [
        each
        for each in sorted(held, key=lambda each: each.order)
        if each.kind in _BASE_KINDS
        and each.is_usable
        and each.system_identifier == system_identifier
    ]
    if not chain:
        return IncrementPlan(None, "There is no good full copy of this server to add to")
    parent = chain[-1]
    base = next((each for each in chain if each.backup_id == parent.base_id), None)
    if base is None or (on - base.made_on).days > _LONGEST_CHAIN_DAYS:
        return IncrementPlan(None, "The last full copy is more than a week old")
    if on.weekday() == FULL_BACKUP_WEEKDAY and base.made_on != on:
        return IncrementPlan(None, "It is Sunday")
    return IncrementPlan(parent.backup_id, f"Adds to {parent.backup_id}")


def base_of_changed_days(held: Sequence[Held], on: date) -> str | None:
    """The dump that a backup of changed days adds to: the newest good one of Sunday or before.

    Returns:
        Its id; the oldest good dump since when there is none from before, None without any.
    """
    sunday = on - timedelta(days=(on.weekday() - FULL_BACKUP_WEEKDAY) % 7)
    dumps = [
        each
        for each in sorted(held, key=lambda each: each.order)
        if each.kind is BackupKind.DUMP and each.is_usable
    ]
    until = [each for each in dumps if each.made_on <= sunday]
    chosen = until[-1] if until else (dumps[0] if dumps else None)
    return chosen.backup_id if chosen else None


def chain_to(backup_id: str, parents: Mapping[str, str | None]) -> list[str]:
    """The backups that one needs, the full one first, itself last.

    Args:
        backup_id: The last link.
        parents: Id → id of what it adds to, of every backup there is.

    Raises:
        KeyError: A link is missing; the key is the link's id.
    """
    chain = [backup_id]
    while (parent := parents[chain[0]]) is not None:
        if parent in chain or parent not in parents:
            raise KeyError(parent)
        chain.insert(0, parent)
    return chain


def plan_retention(
    held: Sequence[Held], on: date, *, keep_days: int, keep_monthly: int = 0
) -> Retention:
    """Decide which backups stay: by age, but never without a good one and never half a chain.

    Args:
        held: All backups.
        on: Local calendar day.
        keep_days: A backup made this many days ago stays, an older one may go.
        keep_monthly: Of this month and as many before, the first good dump stays too.
    """
    kept: dict[str, str] = {
        each.backup_id: f"made within {keep_days} days"
        for each in held
        if (on - each.made_on).days <= keep_days
    }
    for last in last_good(held):
        kept.setdefault(last.backup_id, f"the last {last.state} {last.kind}")
    for first in _first_of_months(held, on, keep_monthly):
        kept.setdefault(first.backup_id, f"the first of {first.made_on:%Y-%m}")
    parents = {each.backup_id: each.parent_id for each in held}
    for backup_id in list(kept):
        parent = parents[backup_id]
        while parent is not None and parent in parents:
            kept.setdefault(parent, f"needed by {backup_id}")
            parent = parents[parent]
    gone = [each for each in held if each.backup_id not in kept]
    # Children are newer than parents: an interrupted removal leaves no child without its parent.
    removed = sorted(gone, key=lambda each: each.order, reverse=True)
    return Retention(kept, tuple(each.backup_id for each in removed))


def plan_snapshot_retention(
    snapshots: Sequence[tuple[str, str, date]], on: date, *, keep_days: int
) -> set[str]:
    """Decide which copies of tables go: by age, but never a table's last one.

    Args:
        snapshots: (name, table, local day it was taken), in any order.
        on: Local calendar day.
        keep_days: A copy taken this many days ago stays, an older one may go.

    Returns:
        Names of those that go.
    """
    last: dict[str, tuple[date, str]] = {}
    for name, table, taken_on in snapshots:
        last[table] = max(last.get(table, (taken_on, name)), (taken_on, name))
    spared = {name for _, name in last.values()}
    return {
        name
        for name, _, taken_on in snapshots
        if (on - taken_on).days > keep_days and name not in spared
    }


def last_good(held: Sequence[Held]) -> list[Held]:
    """The newest of the surest tier there is, of dumps and of base copies: what must never go."""
    found: list[Held] = []
    for kinds in ((BackupKind.DUMP,), _BASE_KINDS):
        for tier in _TIERS:
            of_tier = [each for each in held if each.kind in kinds and each.state is tier]
            if of_tier:
                found.append(max(of_tier, key=lambda each: each.order))
                break
    return found


def _first_of_months(held: Sequence[Held], on: date, keep_monthly: int) -> list[Held]:
    if not keep_monthly:
        return []
    firsts: dict[int, Held] = {}
    for each in sorted(held, key=lambda each: each.order):
        month = each.made_on.year * 12 + each.made_on.month
        months_ago = on.year * 12 + on.month - month
        if each.kind is BackupKind.DUMP and each.is_usable and months_ago <= keep_monthly:
            firsts.setdefault(month, each)
    return list(firsts.values())


def require_last_day(day: date, clock: Clock, zone: ZoneInfo) -> None:
    """Refuse to make a backup of any day but the last one that is over.

    Raises:
        PermanentError: What the database held then is gone; another day's name would be a lie.
    """
    last = today(clock, zone) - timedelta(days=1)
    if day != last:
        raise PermanentError(
            f"A backup of {day} cannot be made any more: it would hold what is there now",
            f"Materialize {last} instead",
        )
