"""What a schedule, an occurrence and a job are. Data only; rules are in `rules`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Frequency(StrEnum):
    """How often a schedule is due."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    CRON = "cron"


class MissedPolicy(StrEnum):
    """What becomes of the times at which the platform was down."""

    ALL = "all"
    LATEST = "latest"
    SKIP = "skip"


class PartitionRule(StrEnum):
    """Which partition a due time stands for, by the day it falls on in the partitions' zone."""

    NONE = "none"
    DAY_BEFORE = "day_before"
    SAME_DAY = "same_day"
    DAY_AFTER = "day_after"
    MONTH_BEFORE = "month_before"


class OccurrenceStatus(StrEnum):
    """What has become of an occurrence so far."""

    DUE = "due"
    LAUNCHING = "launching"
    LAUNCHED = "launched"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether nothing more is going to happen, unless a person runs it again."""
        return self in {self.SUCCEEDED, self.FAILED, self.SKIPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """What a person says about a schedule.

    Attributes:
        name: Unique among the schedules that are not deleted.
        job: A job of the code location.
        frequency: Daily, weekly and monthly use `hour` and `minute`; cron uses `cron` alone.
        hour: 0 to 23, in `timezone`.
        minute: 0 to 59.
        weekday: Of a weekly one: 1 (Monday) to 7 (Sunday), as ISO 8601 counts.
        day: Of a monthly one: 1 to 31; in a shorter month its last day.
        cron: Minute, hour, day, month and weekday; several are divided by `|`. Empty unless the
            frequency is cron.
        timezone: IANA name of the zone in which the times are meant.
        is_active: An inactive schedule is never due.
        missed: What becomes of the times at which the platform was down.
        partition_rule: None: what suits the job's partitions.
        run_config: Dagster's configuration of the run.
    """

    name: str
    job: str
    frequency: Frequency = Frequency.DAILY
    hour: int = 9
    minute: int = 0
    weekday: int = 7
    day: int = 1
    cron: str = ""
    timezone: str = "Asia/Seoul"
    is_active: bool = True
    missed: MissedPolicy = MissedPolicy.LATEST
    partition_rule: PartitionRule | None = None
    run_config: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it is stored.

    Attributes:
        schedule_id: Never used again, even after deletion.
        version: Grows by one with each change; an edit names the one that it is based on.
        spec: What a person said, with the partition rule filled in.
        next_due_at: UTC; None while it is inactive or deleted.
        created_at: UTC.
        updated_at: UTC, of the last change.
        deleted_at: UTC; None while it exists.
        is_declared: Whether code declares it; people may then change nothing but `missed`.
    """

    schedule_id: int
    version: int
    spec: ScheduleSpec
    next_due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    is_declared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSchedule:
    """A schedule as code declares it.

    Attributes:
        name: Unique; it ends in `_schedule`.
        crons: It is due whenever one of these is.
        timezone: IANA name of the zone in which they are meant.
        is_active: Whether it is switched on, in code or in the webserver.
        missed: The policy until a person changes it.
    """

    name: str
    job: str
    crons: tuple[str, ...]
    timezone: str
    is_active: bool
    missed: MissedPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a schedule asks for at one of its times: a run, nothing, or it could not say.

    Attributes:
        partition: Of the run; empty without one.
        tags: Of the run.
        skip_reason: Why no run is wanted; empty when one is.
        problem: Why it could not say; empty when it could.
    """

    partition: str = ""
    run_config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    skip_reason: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChange:
    """One change of a schedule: who did what, and what the schedule was after it.

    Attributes:
        action: `added`, `edited`, `paused`, `resumed` or `deleted`.
        changed_by: Whose command or token it was.
        spec: The schedule after the change.
    """

    schedule_id: int
    version: int
    action: str
    changed_by: str
    changed_at: datetime
    spec: ScheduleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that a job was to run, and what became of it.

    Attributes:
        occurrence_id: Also the run's `dagster/run_key`.
        schedule_id: None for one that somebody asked for.
        schedule_name: The schedule's name now; empty for one that somebody asked for.
        schedule_version: The version that was in force when it was due.
        request_key: Of one that somebody asked for; unique together with the partition.
        requested_by: Who asked; empty for a schedule's.
        partition: The partition's key; empty for a job without partitions.
        due_at: UTC; for one that somebody asked for, when.
        is_missed: Whether the platform was down at that time.
        reason: Why it was skipped or failed, in one sentence; empty otherwise.
        run_id: Dagster's run, the last one if it was executed again; None before it was launched.
        launched_at: When the run was enqueued, UTC.
        ended_at: When the end was noted, UTC.
        tags: Of the run, as a schedule declared in code asked for them.
    """

    occurrence_id: int
    schedule_id: int | None
    schedule_name: str
    schedule_version: int | None
    request_key: str | None
    requested_by: str
    job: str
    partition: str
    run_config: Mapping[str, Any]
    due_at: datetime
    is_missed: bool
    status: OccurrenceStatus
    reason: str
    run_id: str | None
    launched_at: datetime | None
    ended_at: datetime | None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Job:
    """A job that schedules and requests may name.

    Attributes:
        name: As in the webserver.
        description: What it does.
        partitions: `daily`, `monthly`, `other`, or `none` for a job without partitions.
        timezone: Zone of its partitions; empty when they are no times.
    """

    name: str
    description: str
    partitions: str
    timezone: str
