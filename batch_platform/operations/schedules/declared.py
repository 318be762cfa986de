"""Schedules that code declares: seen in the webserver, launched through the table of occurrences.

A definition says when it is due and, asked for a time, what is to run. Dagster's own scheduler does
not catch up after downtime and knows no door that lets in one run: so its ticks launch nothing, and
the dispatcher asks the definition instead.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.errors import ScheduleExecutionError, user_code_error_boundary
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType
from dagster._core.storage.tags import PARTITION_NAME_TAG

from batch_platform.operations.schedules.models import (
    Asked,
    DeclaredSchedule,
    MissedPolicy,
    Schedule,
)
from batch_platform.orchestration.schedules import MISSED_TAG


def launched_by_the_dispatcher(schedule: dg.ScheduleDefinition) -> dg.ScheduleDefinition:
    """The schedule as the webserver shows it: its ticks say what is due and launch nothing."""

    def tell(context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
        data = schedule.evaluate_tick(context)
        if not data.run_requests:
            return dg.SkipReason(data.skip_message)
        partition = data.run_requests[0].tags.get(PARTITION_NAME_TAG, "")
        return dg.SkipReason(
            f"dispatcher_sensor launches {' '.join(filter(None, (schedule.job_name, partition)))}"
            " within 15 seconds; the runs of this schedule are below"
        )

    return dg.ScheduleDefinition(
        name=schedule.name,
        job=schedule.job,
        cron_schedule=schedule.cron_schedule,
        execution_timezone=schedule.execution_timezone,
        default_status=schedule.default_status,
        description=schedule.description,
        tags=schedule.tags,
        metadata=schedule.metadata,
        execution_fn=tell,
    )


class DeclaredSchedules:
    """The schedules of a code location, as the dispatcher asks for them.

    Args:
        schedules: As the domains declare them.
        instance: Knows which are switched on or off in the webserver.
        repository: Of the code location.
    """

    def __init__(
        self,
        schedules: Sequence[dg.ScheduleDefinition],
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
    ) -> None:
        self._by_name = {schedule.name: schedule for schedule in schedules}
        self._instance = instance
        self._repository = repository

    def all(self) -> list[DeclaredSchedule]:
        """Each of them, and whether it is switched on."""
        switched = self._switched() if self._by_name else {}
        return [
            DeclaredSchedule(
                name=name,
                job=schedule.job_name,
                crons=_crons(schedule),
                timezone=schedule.execution_timezone or "UTC",
                is_active=switched.get(
                    name, schedule.default_status is dg.DefaultScheduleStatus.RUNNING
                ),
                missed=MissedPolicy(schedule.tags.get(MISSED_TAG, MissedPolicy.LATEST)),
            )
            for name, schedule in self._by_name.items()
        ]

    def ask(self, row: Schedule, due_at: datetime) -> Asked:
        """What a schedule asks for at one of its times."""
        schedule = self._by_name.get(row.spec.name)
        if schedule is None:
            return Asked(problem="Code declares it no more")
        context = dg.build_schedule_context(
            instance=self._instance,
            scheduled_execution_time=due_at.astimezone(ZoneInfo(row.spec.timezone)),
            repository_def=self._repository,
        )
        try:
            with (
                context,
                user_code_error_boundary(
                    ScheduleExecutionError, lambda: f"{row.spec.name} could not say what is due"
                ),
            ):
                data = schedule.evaluate_tick(context)
        except dg.DagsterError as error:
            return Asked(problem=_sentence(error))
        return _asked(data)

    def _switched(self) -> Mapping[str, bool]:
        """Name → on or off, of those that somebody switched in the webserver."""
        states = self._instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        return {
            state.instigator_name: state.status is InstigatorStatus.RUNNING
            for state in states
            if state.status in {InstigatorStatus.RUNNING, InstigatorStatus.STOPPED}
        }


def _crons(schedule: dg.ScheduleDefinition) -> tuple[str, ...]:
    given = schedule.cron_schedule
    return (given,) if isinstance(given, str) else tuple(given)


def _asked(data: ScheduleExecutionData) -> Asked:
    match data.run_requests or []:
        case []:
            return Asked(skip_reason=data.skip_message or "It asks for nothing at that time")
        case [request]:
            return Asked(
                partition=request.tags.get(PARTITION_NAME_TAG, ""),
                run_config=request.run_config,
                tags=request.tags,
            )
        case _:
            return Asked(problem="It asks for several runs at once, and a time stands for one")


def _sentence(error: dg.DagsterError) -> str:
    cause = error.__cause__ or error
    first_line = str(cause).strip().partition("\n")[0]
    return f"It could not say what is due ({type(cause).__name__}: {first_line})"
