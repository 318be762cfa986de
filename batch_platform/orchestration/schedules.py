"""Schedules that a domain declares: when a job is due, which partition, what of missed times.

A schedule declared in code is seen in the webserver as any other; `operations.schedules` notes its
times in the table of occurrences and launches its runs.
"""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.target import ExecutableDefinition

from batch_platform.orchestration.partitions import ZONE_NAME

MISSED_TAG = "batch_platform/missed"
"""Tag of a schedule: what becomes of the times at which the platform was down."""

MAKE_UP_FOR_ALL = {MISSED_TAG: "all"}
"""Every day (month) that was missed is made, the oldest first: what is missing stays missing."""

MAKE_UP_FOR_LATEST = {MISSED_TAG: "latest"}
"""Only the last missed time runs: what it makes stands for those before."""


def declared_schedule(
    job: ExecutableDefinition,
    cron: str,
    *,
    description: str,
    missed: Mapping[str, str],
    partition: Callable[[date], date] | None = None,
    run_config: Mapping[str, Any] | None = None,
    switched_off: str = "",
) -> dg.ScheduleDefinition:
    """The schedule `x_schedule` of the job `x_job`, in the platform's zone, switched on.

    Args:
        job: What is due.
        cron: When.
        description: What people read of it.
        missed: `MAKE_UP_FOR_ALL` or `MAKE_UP_FOR_LATEST`.
        partition: The day on which it is due → the day that names the partition; None for a job
            without partitions.
        run_config: Dagster's configuration of each run.
        switched_off: Why it asks for nothing, in a sentence; empty when it does.
    """

    def ask(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if switched_off:
            return dg.SkipReason(switched_off)
        due = context.scheduled_execution_time.astimezone(ZoneInfo(ZONE_NAME))
        return dg.RunRequest(
            partition_key=partition(due.date()).isoformat() if partition else None,
            run_config=run_config,
            tags={"due_at": due.isoformat()},
        )

    return dg.ScheduleDefinition(
        name=f"{job.name.removesuffix('_job')}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=ZONE_NAME,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        tags=missed,
        description=description,
        execution_fn=ask,
    )


def day_before(due: date) -> date:
    """The day before the one on which it is due."""
    return due - timedelta(days=1)
