"""What requests may say about runs and what answers say."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from batch_platform.api.schedule_models import Job
from batch_platform.operations.schedules import Occurrence, OccurrenceStatus

_EXAMPLE_ID = "6f0b8b5e-6f3b-5a55-9d52-0f4f3c1a7c11"


def _iso_day(value: Any) -> Any:
    # A number would pass for seconds since 1970.
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise ValueError("Write a date like 2026-11-20")
    return value


IsoDay = Annotated[date, BeforeValidator(_iso_day)]
Range = tuple[date, date]
"""First and last day, both included."""


class RunContent(BaseModel):
    """What to run: a job on a day, on a range of days, or on yesterday."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"date": "2026-11-20"},
                {"job": "chats_night_job", "start": "2026-11-01", "end": "2026-11-07"},
            ]
        },
    )

    job: Job | None = Field(None, description="The interventions' by default")
    date: IsoDay | None = Field(None, description="Yesterday by default")
    start: IsoDay | None = Field(None, description="First day of a range; needs end")
    end: IsoDay | None = Field(None, description="Last day of a range; needs start")

    @model_validator(mode="after")
    def _one_or_a_range(self) -> "RunContent":
        if (self.start is None) != (self.end is None):
            raise ValueError("A range needs start and end")
        if self.date is not None and self.start is not None:
            raise ValueError("Say a date or a range, not both")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError("The range ends before it starts")
        return self

    @property
    def days(self) -> Range | None:
        """First and last day; None when it says neither."""
        if self.date is not None:
            return self.date, self.date
        if self.start is not None and self.end is not None:
            return self.start, self.end
        return None


class AcceptedRuns(BaseModel):
    """A request to run, accepted: a dispatcher launches it when the daemon is there."""

    id: UUID = Field(examples=[_EXAMPLE_ID])
    job: str = Field(examples=["interventions_job"])
    partitions: list[str] = Field(examples=[["2026-11-20"]])
    requested_by: str = Field(examples=["django-service"])
    requested_at: datetime
    address: str = Field(
        description="Where to read what became of it", examples=[f"/api/batch/run/{_EXAMPLE_ID}/"]
    )


class RunView(BaseModel):
    """One time that a job was to run, by a schedule or because somebody asked."""

    id: int
    schedule_id: int | None = Field(description="Null when somebody asked for it")
    schedule_name: str
    requested_by: str
    job: str
    partition: str = Field(description="Empty for a job without partitions")
    due_at: datetime
    is_missed: bool = Field(description="Whether the platform was down at that time")
    status: OccurrenceStatus
    reason: str = Field(description="Why it failed or was skipped")
    run_id: str | None = Field(description="Dagster's")
    run_url: str | None = Field(description="The run in the webserver")
    launched_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, occurrence: Occurrence, webserver_url: str) -> "RunView":
        """An occurrence as it is shown."""
        run_id = occurrence.run_id
        return cls(
            id=occurrence.occurrence_id,
            schedule_id=occurrence.schedule_id,
            schedule_name=occurrence.schedule_name,
            requested_by=occurrence.requested_by,
            job=occurrence.job,
            partition=occurrence.partition,
            due_at=occurrence.due_at,
            is_missed=occurrence.is_missed,
            status=occurrence.status,
            reason=occurrence.reason,
            run_id=run_id,
            run_url=f"{webserver_url.rstrip('/')}/runs/{run_id}" if run_id else None,
            launched_at=occurrence.launched_at,
            ended_at=occurrence.ended_at,
        )


class RequestState(StrEnum):
    """How a request stands as a whole."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @classmethod
    def of(cls, statuses: Sequence[OccurrenceStatus]) -> "RequestState":
        """The state of a request whose runs stand so."""
        if all(each is OccurrenceStatus.SUCCEEDED for each in statuses):
            return cls.SUCCEEDED
        if all(each.is_final for each in statuses):
            return cls.FAILED
        is_begun = any(each.is_final or each is OccurrenceStatus.LAUNCHED for each in statuses)
        return cls.RUNNING if is_begun else cls.WAITING


class RequestedRuns(BaseModel):
    """What became of a request."""

    id: UUID
    status: RequestState
    job: str
    requested_by: str
    requested_at: datetime
    runs: list[RunView]


class Status(BaseModel):
    """The state of schedules and runs."""

    active_schedules: int
    paused_schedules: int
    next_at: datetime | None = Field(description="When a schedule is due next, UTC")
    waiting: int = Field(description="Runs that are due and not launched yet")
    running: int = Field(description="Runs in Dagster's queue or going on")
    dispatcher_seen_at: datetime | None = Field(
        description="When the dispatcher last looked; over a minute ago, the daemon is away"
    )
    runs: list[RunView] = Field(description="The latest, newest first")


class InLine(BaseModel):
    """Whether what runs is in line with the table of schedules."""

    status: Literal["in line", "dispatcher away"]
    schedules: int = Field(description="Active ones")
    detail: str
