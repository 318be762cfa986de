"""Who executes the steps of runs, chosen by one setting: EXECUTION."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import dagster as dg
from dagster._core.execution.retries import RetryMode, get_retries_config

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import Settings
from batch_platform.orchestration.queues import QUEUES
from batch_platform.orchestration.run_process import in_process_executor


def chosen_executor(settings: Settings) -> dg.ExecutorDefinition:
    """The executor of every job.

    Measured: a chain of small steps costs 2 s in the run's process, 8 s on workers.

    Raises:
        ConfigurationError: Workers are wanted, and what they need is not installed or set.
    """
    if not settings.cluster.is_on_workers:
        return in_process_executor
    require_packages()
    from batch_platform.orchestration.celery_app import app_arguments
    from batch_platform.orchestration.celery_run import OnWorkers

    app_arguments(settings)  # says at once that there is no broker

    @dg.executor(
        name="celery",
        config_schema={"retries": get_retries_config()},
        requirements=dg.multiple_process_executor_requirements(),
    )
    def celery_executor(init_context: dg.InitExecutorContext) -> OnWorkers:
        """Execute each step on a worker of its queue."""
        config = init_context.executor_config
        return OnWorkers(settings, RetryMode.from_config(config["retries"]))  # pyright: ignore[reportArgumentType]

    return celery_executor


def serve_steps(
    settings: Settings,
    queues: Sequence[str],
    concurrency: int | None,
    *,
    load_code: Callable[[], object],
) -> None:
    """Execute steps that runs send, as a worker, until a signal ends it.

    Args:
        settings: Where the broker is.
        queues: Which steps; all when there are none.
        concurrency: Steps at once; as the settings say when not given.
        load_code: Imports what steps are made of.

    Raises:
        ConfigurationError: No broker is set, a queue does not exist, or packages are missing.
    """
    unknown = [each for each in queues if each not in QUEUES]
    if unknown:
        raise ConfigurationError(
            f"There is no queue {unknown[0]!r}", f"The queues are {', '.join(QUEUES)}"
        )
    require_packages()
    from batch_platform.orchestration import celery_app

    celery_app.serve_steps(
        settings,
        queues or QUEUES,
        concurrency or settings.cluster.worker_concurrency,
        load_code,
    )


def require_packages() -> None:
    """Make sure that Celery is installed, which is an extra.

    Raises:
        ConfigurationError: It is not.
    """
    if find_spec("dagster_celery") is None:
        raise ConfigurationError(
            "Celery workers need packages that are not installed",
            "Run: pip install --constraint constraints.txt '.[celery]'",
        )
