"""What a morning consists of. Data only; how it comes about is in `rules`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from batch_platform.core.deadlines import Deadline
from batch_platform.operations.incidents.models import Incident, IncidentKind


class NightState(StrEnum):
    """How a domain's partition of one night stands, the worst first."""

    FAILED = "failed"
    LATE = "late"
    RUNNING = "running"
    WAITING = "waiting"
    DONE_LATE = "done-late"
    DONE = "done"
    NOTHING_DUE = "nothing-due"

    @property
    def is_bad(self) -> bool:
        """Whether a person should look."""
        return self in {NightState.FAILED, NightState.LATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainNight:
    """A domain's last night.

    Attributes:
        domain: Its name.
        deadline: What was due.
        partition: Which day.
        due_at: By when.
        state: How it stands.
        finished_at: When it was made for the first time; None while it is not.
        rows: Of the asset that was due; None while it is not there.
        cost_krw: Won that the day's assets cost when they were made last; None for no model.
        seconds: How long the run took; None before its end.
        usual_seconds: How long it takes usually (median); None when that cannot be told.
        report: The asset whose file can be downloaded; empty when there is none.
        is_made_up: Whether the sandbox fed it.
    """

    domain: str
    deadline: Deadline
    partition: str
    due_at: datetime
    state: NightState
    finished_at: datetime | None
    rows: int | None
    cost_krw: float | None
    seconds: float | None
    usual_seconds: float | None
    report: str
    is_made_up: bool


@dataclass(frozen=True, slots=True)
class Retry:
    """What a person may start to mend something.

    Attributes:
        job: The job.
        partition: Its partition; empty for a job without.
        is_under_way: Whether a run of it is asked for, waits or goes on already.
    """

    job: str
    partition: str
    is_under_way: bool


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is open, and what mends it; None when no job is known."""

    incident: Incident
    retry: Retry | None

    @property
    def domain(self) -> str:
        """Whose trouble it is; the platform's own when it is no domain's."""
        return self.incident.trouble.domain or "operations"

    @property
    def state(self) -> NightState:
        """How bad it is."""
        return _STATES[self.incident.trouble.kind]


_STATES = {
    IncidentKind.FAILED: NightState.FAILED,
    IncidentKind.BUDGET_PASSED: NightState.FAILED,
    IncidentKind.CHECK_FAILED: NightState.LATE,
    IncidentKind.LATE: NightState.LATE,
    IncidentKind.AT_RISK: NightState.LATE,
    IncidentKind.MISSED: NightState.FAILED,
    IncidentKind.STALLED: NightState.FAILED,
    IncidentKind.CAUGHT_UP: NightState.DONE_LATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWork:
    """A run that waits or goes on.

    Attributes:
        is_waiting: Whether it is still in the queue.
        made: Assets made so far.
        planned: Assets in all.
        items_done: Items that the model answered; None when the run asks none now.
        items_total: None when it cannot be told.
        seconds_left: Of the asking, at the rate so far.
        will_be_late_by: Seconds after its deadline, if it goes on at this rate.
    """

    run_id: str
    job: str
    domain: str
    partition: str
    since: datetime
    is_waiting: bool
    made: int
    planned: int
    items_done: int | None = None
    items_total: int | None = None
    seconds_left: float | None = None
    will_be_late_by: float | None = None


@dataclass(frozen=True, slots=True)
class StripRow:
    """A domain's last nights, the oldest first."""

    domain: str
    asset: str
    nights: Sequence[tuple[date, NightState]]


@dataclass(frozen=True, slots=True)
class OtherDomain:
    """A domain of which nothing is due, and its last run.

    Attributes:
        at: When the run ended, or was asked for while it goes on.
    """

    domain: str
    job: str
    partition: str
    state: NightState
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """Everything on the page.

    Attributes:
        now: When it was read.
        nights: One a deadline, the worst first.
        incidents: Open ones, the oldest first.
        running: What waits and goes on.
        strip: The last 30 nights.
        others: Domains that run on demand.
        quarantined: Items that wait for somebody to look at them.
        unsent_messages: Messages about incidents that could not be sent.
        spent_today_krw: Won that the models cost today.
        daemon_seen_at: When the daemon last looked; None before it ever did.
        is_daemon_away: Whether nothing will be started until it comes back.
        switched_off: Domains that have nothing to read from.
    """

    now: datetime
    nights: Sequence[DomainNight]
    incidents: Sequence[OpenIncident]
    running: Sequence[RunningWork]
    strip: Sequence[StripRow]
    others: Sequence[OtherDomain]
    quarantined: int
    unsent_messages: int
    spent_today_krw: float
    daemon_seen_at: datetime | None
    is_daemon_away: bool
    switched_off: Sequence[str]

    @property
    def wrong(self) -> Sequence[tuple[str, NightState]]:
        """Domain and state of all that a person should look at, each once, the worst first."""
        nights = [(each.domain, each.state) for each in self.nights if each.state.is_bad]
        named = {domain for domain, _ in nights}
        others = [
            (each.domain, each.state)
            for each in self.incidents
            if each.domain not in named and each.state.is_bad
        ]
        worst = sorted([*nights, *others], key=lambda each: list(NightState).index(each[1]))
        return list({domain: (domain, state) for domain, state in reversed(worst)}.values())[::-1]

    @property
    def state(self) -> NightState:
        """The worst of it: what the page says first."""
        if self.wrong:
            return self.wrong[0][1]
        return min(
            (each.state for each in self.nights),
            key=list(NightState).index,
            default=NightState.DONE,
        )
