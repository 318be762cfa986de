"""Why a step failed, in one sentence, from what Dagster recorded of it."""

from dataclasses import dataclass

from dagster import DagsterEvent

_PLATFORM_ERRORS = "batch_platform"


@dataclass(frozen=True)
class FailedStep:
    """A failed step: its name, the error's type and its sentence.

    Attributes:
        is_expected: Whether the platform itself raised the error, with a remedy in the sentence.
    """

    step: str
    error_type: str
    sentence: str
    is_expected: bool


def failed_step(event: DagsterEvent) -> FailedStep:
    """Read a step failure event: the innermost error is what went wrong, the rest wraps it."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    message = error.message.strip() if error is not None else (event.message or "")
    # Recorded as "package.module.ErrorType: sentence".
    kind, separator, sentence = message.partition(": ")
    step = (event.step_key or event.job_name).replace("__", "/")
    return FailedStep(
        step=step,
        error_type=kind.rsplit(".", 1)[-1] if separator else "",
        sentence=sentence if separator else message,
        is_expected=kind.startswith(_PLATFORM_ERRORS),
    )
