"""Creating a job exactly once, whatever becomes of the answer."""

from collections.abc import Callable

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.llm_batch.failures import LostAnswerError
from batch_platform.gateways.llm_batch.models import BatchJob

_LOOKS = (0.0, 2.0, 5.0)
"""Seconds to wait before each look for a job whose creation was not answered."""
_NEXT_LOOK_SECONDS = 60.0


def created_once(
    run_key: str,
    find: Callable[[str], BatchJob | None],
    create: Callable[[], BatchJob],
    sleep: Callable[[float], None],
) -> BatchJob:
    """Give the job of a run key: the one that is there, else a new one. Creates at most once.

    Args:
        run_key: Our name of the job.
        find: Looks for it at the provider.
        create: Sends one request, once.
        sleep: Waits seconds.

    Raises:
        RetryableError: It cannot be told whether there is a job now. Trying again is safe as soon
            as the provider lists what it has created.
    """
    job = find(run_key)
    if job is not None:
        return job
    try:
        return create()
    except LostAnswerError as error:
        for pause in _LOOKS:
            sleep(pause)
            job = find(run_key)
            if job is not None:
                return job
        raise RetryableError(
            f"{error.problem}; it cannot be told whether there is a batch {run_key} now",
            "It is looked for before it is created again",
            retry_after_seconds=_NEXT_LOOK_SECONDS,
        ) from error
