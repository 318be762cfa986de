"""What requests may say about schedules and what answers say: the old service's shape, and more.

Whole numbers must be whole numbers and unknown names are refused, so that a typing error does not
pass for a change. What only the platform sets may be sent back as it was read; it is passed over.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from batch_platform.api.preconditions import LARGEST_ID
from batch_platform.operations.schedules import (
    Frequency,
    MissedPolicy,
    PartitionRule,
    Schedule,
    ScheduleSpec,
)

_READ_ONLY = frozenset({"id", "version", "next_at", "created_at", "updated_at"})
EXAMPLE = {
    "name": "아침 중재",
    "job": "interventions_job",
    "frequency": "daily",
    "hour": 9,
    "minute": 0,
    "is_active": True,
}


def _storable(value: Any) -> Any:
    """Refuse what JSON in the request can say and the database cannot keep."""
    match value:
        case str():
            if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                raise ValueError("Text must be valid Unicode without NUL characters")
        case float():
            if not math.isfinite(value):
                raise ValueError("Numbers must be finite")
        case dict():
            for key, each in value.items():
                _storable(key)
                _storable(each)
        case list():
            for each in value:
                _storable(each)
        case _:
            pass
    return value


def _number(value: Any) -> Any:
    # 9.0 is a whole number in JSON; a text or a truth value is none.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("Write a whole number")
    return value


WholeNumber = Annotated[int, BeforeValidator(_number)]
Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Unique among schedules",
        examples=["아침 중재"],
    ),
]
Job = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,99}$",
        description="The job that runs",
        examples=["interventions_job"],
    ),
]
Hour = Annotated[WholeNumber, Field(ge=0, le=23)]
Minute = Annotated[WholeNumber, Field(ge=0, le=59)]
Weekday = Annotated[WholeNumber, Field(ge=1, le=7, description="Weekly only: 1 Monday … 7 Sunday")]
Day = Annotated[
    WholeNumber, Field(ge=1, le=31, description="Monthly only; in a shorter month its last day")
]
Cron = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9*/,#? -]*$",
        description="With frequency cron only: minute, hour, day, month, weekday",
        examples=["*/30 9-18 * * 1-5"],
    ),
]
TimeZone = Annotated[
    str,
    Field(
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$",
        description="IANA name",
        examples=["Asia/Seoul"],
    ),
]
RunConfig = Annotated[
    dict[str, Any],
    AfterValidator(_storable),
    Field(description="Dagster's configuration of the run", examples=[{}]),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _pass_over_what_is_read_only(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        passed_over = _READ_ONLY - cls.model_fields.keys()
        return {name: value for name, value in data.items() if name not in passed_over}


class ScheduleContent(_Request):
    """A whole schedule. What is left out has its default."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    job: Job | None = Field(None, description="The interventions' by default")
    frequency: Frequency = Field(
        Frequency.DAILY, description="weekly is Sunday and monthly the 1st unless said otherwise"
    )
    hour: Hour = 9
    minute: Minute = 0
    weekday: Weekday = 7
    day: Day = 1
    cron: Cron = ""
    timezone: TimeZone | None = Field(None, description="ORG_TIMEZONE by default")
    is_active: StrictBool = True
    missed: MissedPolicy = Field(
        MissedPolicy.LATEST,
        description="What becomes of the times at which the platform was down",
    )
    partition_rule: PartitionRule | None = Field(
        None, description="Which partition a time stands for; by default what suits the job"
    )
    run_config: RunConfig = Field(default_factory=dict)

    def spec(self, *, job: str, timezone: str) -> ScheduleSpec:
        """What it says, with what is used when it says nothing.

        Args:
            job: The default job.
            timezone: The default zone.
        """
        said = {name: getattr(self, name) for name in ScheduleContent.model_fields}
        said["job"] = self.job or job
        said["timezone"] = self.timezone or timezone
        return ScheduleSpec(**said)


class ScheduleContentInTheList(ScheduleContent):
    """A whole schedule, and which one it replaces: that of its `id`, else of its name."""

    id: Annotated[WholeNumber, Field(ge=1, le=LARGEST_ID)] | None = None


def _without_defaults(schema: dict[str, Any]) -> None:
    for part in schema["properties"].values():
        part.pop("default", None)
    schema["minProperties"] = 1
    schema["examples"] = [{"hour": 8, "minute": 30}]


_NOT_SENT: Any = None
"""Default of what may be left out; sent, null is refused but where it means something."""


class ScheduleChanges(_Request):
    """The parts of a schedule to change; at least one."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: Name = _NOT_SENT
    job: Job = _NOT_SENT
    frequency: Frequency = _NOT_SENT
    hour: Hour = _NOT_SENT
    minute: Minute = _NOT_SENT
    weekday: Weekday = _NOT_SENT
    day: Day = _NOT_SENT
    cron: Cron = _NOT_SENT
    timezone: TimeZone = _NOT_SENT
    is_active: StrictBool = _NOT_SENT
    missed: MissedPolicy = _NOT_SENT
    partition_rule: PartitionRule | None = Field(None, description="Null: what suits the job")
    run_config: RunConfig = _NOT_SENT

    @model_validator(mode="after")
    def _say_something(self) -> "ScheduleChanges":
        if not self.model_fields_set:
            raise ValueError("Say what to change")
        return self

    def applied_to(self, spec: ScheduleSpec) -> ScheduleSpec:
        """A specification with these parts changed."""
        return replace(spec, **{name: getattr(self, name) for name in self.model_fields_set})


class ScheduleView(BaseModel):
    """A schedule."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": 3, "version": 2} | EXAMPLE]})

    id: int
    version: int = Field(description="Grows with each change; the ETag has it too")
    name: str
    job: str
    frequency: Frequency
    hour: int
    minute: int
    weekday: int
    day: int
    cron: str
    timezone: str
    is_active: bool
    missed: MissedPolicy
    partition_rule: PartitionRule | None
    run_config: dict[str, Any]
    next_at: datetime | None = Field(description="UTC; null while it is inactive")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, schedule: Schedule) -> "ScheduleView":
        """A schedule as it is shown."""
        spec = schedule.spec
        return cls(
            id=schedule.schedule_id,
            version=schedule.version,
            name=spec.name,
            job=spec.job,
            frequency=spec.frequency,
            hour=spec.hour,
            minute=spec.minute,
            weekday=spec.weekday,
            day=spec.day,
            cron=spec.cron,
            timezone=spec.timezone,
            is_active=spec.is_active,
            missed=spec.missed,
            partition_rule=spec.partition_rule,
            run_config=dict(spec.run_config),
            next_at=schedule.next_due_at,
            created_at=schedule.created_at,
            updated_at=schedule.updated_at,
        )
