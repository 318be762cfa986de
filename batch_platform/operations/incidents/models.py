"""What an incident is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentKind(StrEnum):
    """What kind of trouble it is.

    Attributes:
        FAILED: A run failed, and no retry follows.
        BUDGET_PASSED: A run stopped because its next model call could pass the day's budget.
        CHECK_FAILED: A check that blocks nothing failed: what was made is there, and doubtful.
        LATE: A partition is not there in time.
        AT_RISK: A partition that is being made will not be there in time at the rate it goes.
        MISSED: A time that a job was to run, for which no run could be launched.
        STALLED: Nobody looks after the schedules.
        CAUGHT_UP: No trouble any more: what downtime missed has been made up for.
    """

    FAILED = "failed"
    BUDGET_PASSED = "budget_passed"
    CHECK_FAILED = "check_failed"
    LATE = "late"
    AT_RISK = "at_risk"
    MISSED = "missed"
    STALLED = "stalled"
    CAUGHT_UP = "caught_up"


class Change(StrEnum):
    """A change of an incident's state: what people are told of."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RECOVERED = "recovered"


class Channel(StrEnum):
    """Where people are told."""

    MAIL = "mail"
    SLACK = "slack"
    DISCORD = "discord"


class Severity(StrEnum):
    """How much an incident matters, the least first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Greater for what matters more."""
        return list(Severity).index(self)


SEVERITIES = {
    IncidentKind.FAILED: Severity.ERROR,
    IncidentKind.BUDGET_PASSED: Severity.ERROR,
    IncidentKind.CHECK_FAILED: Severity.WARNING,
    IncidentKind.LATE: Severity.ERROR,
    IncidentKind.AT_RISK: Severity.WARNING,
    IncidentKind.MISSED: Severity.ERROR,
    IncidentKind.STALLED: Severity.CRITICAL,
    IncidentKind.CAUGHT_UP: Severity.INFO,
}
"""How much each kind matters at first; what stays open for hours becomes critical."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now.

    Attributes:
        kind: What kind.
        domain: The domain's name.
        asset: Key `group/name`; empty when a run failed outside of any step.
        partition: The partition's key; empty for a run without one.
        job: The job that failed; empty for what is late.
        causes: A sentence each, the first cause first.
        advice: What a person should do, a Korean sentence each.
        run_id: The run that failed.
        is_made_up: Whether it happened in the sandbox.
        check: The asset's check that failed; empty for troubles of another kind.
        severity: How much it matters at first; by default as its kind does.
    """

    kind: IncidentKind
    domain: str
    asset: str
    partition: str
    job: str
    causes: Sequence[str]
    advice: Sequence[str]
    run_id: str | None
    is_made_up: bool
    check: str = ""
    severity: Severity | None = None

    @property
    def key(self) -> str:
        """What makes it this trouble and no other, however often it is seen."""
        subject = f"{self.asset or self.job} {self.partition}"
        return " ".join(filter(None, (self.kind, subject, self.check)))

    @property
    def first_severity(self) -> Severity:
        """How much it matters at first."""
        return self.severity or SEVERITIES[self.kind]


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A failed step: its name, the error's type and its sentence.

    Attributes:
        step: `group/asset`, or the job's name when the run failed outside of any step.
        is_expected: Whether the platform itself raised the error, with a remedy in the sentence.
    """

    step: str
    error_type: str
    sentence: str
    is_expected: bool


@dataclass(frozen=True, slots=True)
class Missed:
    """A time that a job was to run, for which no run could be launched.

    Attributes:
        schedule: The schedule's name; empty when somebody asked for it.
        partition: The partition's key; empty without one.
        reason: Why not, in one sentence.
    """

    occurrence_id: int
    schedule: str
    job: str
    partition: str
    due_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A time of being down, and what became of the times that it missed.

    Attributes:
        down_from: When somebody last looked after the schedules before it.
        back_at: When somebody looked again.
        ended_at: When the last of what was missed had ended; None while that goes on.
        outcomes: (schedule, partition, status) of each missed time, the oldest first.
    """

    catch_up_id: int
    down_from: datetime
    back_at: datetime
    ended_at: datetime | None
    outcomes: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """A trouble from its first sign to its recovery.

    Attributes:
        incident_id: Its number.
        trouble: What was wrong when it was first seen.
        opened_at: When that was.
        last_seen_at: When it was last seen.
        times_seen: How often.
        recovered_at: When it was right again; None while it is open.
        severity: How much it matters now.
        escalated_at: When people were told of it once more; None: not yet.
        muted_until: Until when nobody is told of it; None: it was never muted.
        muted_by: Who said so last.
    """

    incident_id: int
    trouble: Trouble
    opened_at: datetime
    last_seen_at: datetime
    times_seen: int
    recovered_at: datetime | None
    severity: Severity = Severity.ERROR
    escalated_at: datetime | None = None
    muted_until: datetime | None = None
    muted_by: str = ""
