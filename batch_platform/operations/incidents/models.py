"""What an incident is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentKind(StrEnum):
    """What kind of trouble it is."""

    FAILED = "failed"
    LATE = "late"


class Change(StrEnum):
    """A change of an incident's state: what people are told of."""

    OPENED = "opened"
    RECOVERED = "recovered"


class Channel(StrEnum):
    """Where people are told."""

    MAIL = "mail"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now.

    Attributes:
        kind: A run failed, or a partition is not there in time.
        domain: The domain's name.
        asset: Key `group/name`; empty when a run failed outside of any step.
        partition: The partition's key; empty for a run without one.
        job: The job that failed; empty for what is late.
        causes: A sentence each, the first cause first.
        advice: What a person should do, a Korean sentence each.
        run_id: The run that failed.
        is_made_up: Whether it happened in the sandbox.
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

    @property
    def key(self) -> str:
        """What makes it this trouble and no other, however often it is seen."""
        return f"{self.kind} {self.asset or self.job} {self.partition}"


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
    """

    incident_id: int
    trouble: Trouble
    opened_at: datetime
    last_seen_at: datetime
    times_seen: int
    recovered_at: datetime | None
