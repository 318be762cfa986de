"""What the dispatcher asks of Dagster: its jobs, whether one can run, how runs stand."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.errors import DagsterUnknownPartitionError
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG, PRIORITY_TAG

from batch_platform.operations.schedules.dispatcher import RunState
from batch_platform.operations.schedules.models import Job, Occurrence

OCCURRENCE_TAG = "batch_platform/occurrence"
"""Tag of a run that executes an occurrence: it holds the occurrence's id."""

SCHEDULE_TAG = "batch_platform/schedule"
"""Tag of a run that a schedule in the table led to: it holds the schedule's name."""

_STATES = {
    dg.DagsterRunStatus.NOT_STARTED: RunState.CREATED,
    dg.DagsterRunStatus.SUCCESS: RunState.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: RunState.FAILED,
    dg.DagsterRunStatus.CANCELED: RunState.CANCELED,
}


class DagsterRuns:
    """Runs of a Dagster instance, as the dispatcher asks for them."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def states(self, run_ids: Sequence[str]) -> Mapping[str, RunState]:
        """Run id → state; without runs that do not exist."""
        runs = self._instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))
        return {run.run_id: _state(run) for run in runs}

    def made_for(self, occurrence_id: int) -> tuple[str, RunState] | None:
        """The run that bears an occurrence's tag; one that has got further comes first."""
        filters = dg.RunsFilter(tags={OCCURRENCE_TAG: str(occurrence_id)})
        found = [(run.run_id, _state(run)) for run in self._instance.get_runs(filters)]
        return min(found, key=lambda each: each[1] is RunState.CREATED, default=None)


def run_request(occurrence: Occurrence) -> dg.RunRequest:
    """What Dagster is asked for: one run, whose key is the occurrence."""
    tags = {
        "due_at": occurrence.due_at.isoformat(),
        **occurrence.tags,
        OCCURRENCE_TAG: str(occurrence.occurrence_id),
    }
    if occurrence.schedule_name:
        tags[SCHEDULE_TAG] = occurrence.schedule_name
    if occurrence.is_missed:
        # Tonight does not wait behind the nights that were missed.
        tags[PRIORITY_TAG] = "-1"
    return dg.RunRequest(
        run_key=str(occurrence.occurrence_id),
        job_name=occurrence.job,
        partition_key=occurrence.partition or None,
        run_config=dict(occurrence.run_config),
        tags=tags,
    )


def why_not(occurrence: Occurrence, repository: dg.RepositoryDefinition) -> str:
    """Why Dagster would refuse the run; empty when it would not.

    One request that Dagster refuses fails the whole look of a sensor, so each is tried before.
    """
    if not repository.has_job(occurrence.job):
        return f"There is no job {occurrence.job!r} any more"
    job = repository.get_job(occurrence.job)
    if ASSET_PARTITION_RANGE_START_TAG in occurrence.tags:
        return config_problem(job, occurrence.run_config)
    if (job.partitions_def is None) != (occurrence.partition == ""):
        return f"The job {'needs a' if job.partitions_def else 'has no'} partition"
    if occurrence.partition:
        try:
            with partition_loading_context() as context:
                job.validate_partition_key(
                    occurrence.partition, selected_asset_keys=None, context=context
                )
        except DagsterUnknownPartitionError:
            return f"The job has no partition {occurrence.partition!r} (yet)"
    return config_problem(job, occurrence.run_config)


def config_problem(job: dg.JobDefinition, run_config: Mapping[str, Any]) -> str:
    """What is wrong with a run's configuration, in a sentence; empty when nothing is."""
    try:
        dg.validate_run_config(job, dict(run_config))
    except dg.DagsterInvalidConfigError as error:
        return f"The run configuration does not fit: {error.errors[0].message}"
    return ""


def jobs_of(repository: dg.RepositoryDefinition) -> list[Job]:
    """The jobs of a code location, without the one that Dagster adds for assets, by name."""
    found = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    return [
        Job(job.name, job.description or "", *_partitions(job.partitions_def))
        for job in sorted(found, key=lambda job: job.name)
    ]


def _partitions(definition: dg.PartitionsDefinition | None) -> tuple[str, str]:
    match definition:
        case None:
            return "none", ""
        case dg.DailyPartitionsDefinition():
            return "daily", definition.timezone
        case dg.MonthlyPartitionsDefinition():
            return "monthly", definition.timezone
        case dg.TimeWindowPartitionsDefinition():
            return "other", definition.timezone
        case _:
            return "other", ""


def _state(run: dg.DagsterRun) -> RunState:
    return _STATES.get(run.status, RunState.GOING)
