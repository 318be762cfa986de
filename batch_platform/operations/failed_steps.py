"""Why a run failed, in a sentence a step, from what Dagster recorded of it."""

from collections.abc import Iterable, Iterator

from dagster import DagsterEvent
from dagster_shared.error import SerializableErrorInfo

from batch_platform.operations.incidents.models import FailedStep

_PLATFORM_ERRORS = "batch_platform."


def failed_steps(events: Iterable[DagsterEvent]) -> list[FailedStep]:
    """Read a run's events: the steps that failed, or else what ended the run before any step."""
    events = list(events)
    steps = [failed_step(event) for event in events if event.is_step_failure]
    return steps or [
        _failure(event.job_name, event.job_failure_data.error, event.message)
        for event in events
        if event.is_run_failure
    ]


def failed_step(event: DagsterEvent) -> FailedStep:
    """Read a step failure event."""
    # A step of an asset that is cut is named after the asset, and what it does stands behind a dot.
    step = (event.step_key or event.job_name).partition(".")[0].replace("__", "/")
    return _failure(step, event.step_failure_data.error, event.message)


def _failure(step: str, error: SerializableErrorInfo | None, message: str | None) -> FailedStep:
    cause = _cause(error)
    told = cause.message.strip() if cause is not None else (message or "")
    # Recorded as "package.module.ErrorType: sentence".
    kind, separator, sentence = told.partition(": ")
    return FailedStep(
        step=step,
        error_type=kind.rsplit(".", 1)[-1] if separator else "",
        sentence=sentence if separator else told,
        is_expected=kind.startswith(_PLATFORM_ERRORS),
    )


def _cause(error: SerializableErrorInfo | None) -> SerializableErrorInfo | None:
    """What went wrong: the platform's own error, which knows a remedy, else the innermost one."""
    chain = list(_chain(error))
    ours = (each for each in chain if each.message.startswith(_PLATFORM_ERRORS))
    return next(ours, chain[-1] if chain else None)


def _chain(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error is not None:
        yield error
        error = error.cause
