"""The process of a run whose steps are executed by Celery workers. Needs the extra `celery`.

Dagster's own loop decides which step is next; here is what it lacks: a step whose worker died is
sent again, and one that cannot be executed fails with a sentence instead of hanging the run.
"""

import sys
import time
from collections.abc import Callable, Generator
from typing import Any, Self
from uuid import uuid4

import dagster as dg
from celery import Celery
from celery.exceptions import TaskRevokedError, WorkerLostError
from celery.result import AsyncResult
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.step import ExecutionStep
from dagster._core.execution.retries import RetryMode
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import pack_value, serialize_value
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_celery import core_execution_loop
from dagster_celery.executor import CeleryExecutor
from dagster_celery.tasks import create_task
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from batch_platform.core.errors import PermanentError, PlatformError, RetryableError
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.worker_steps import is_executed, worker_of
from batch_platform.gateways.platform_services import platform_database_url
from batch_platform.orchestration.celery_app import SECONDS_OF_GRACE, app_arguments, queue_name
from batch_platform.orchestration.queues import DATA, QUEUE_TAG
from batch_platform.orchestration.run_process import living_run

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_UNTIL_SENT_AGAIN = 300.0
"""When a message that no worker took is sent once more: the broker may have lost it."""
_SECONDS_WITHOUT_BROKER = 300.0
_MOST_WORKERS_LOST = 3

# A second, of which a night of small steps would spend most.
core_execution_loop.TICK_SECONDS = 0.1


class OnWorkers(CeleryExecutor):
    """Executes the steps of a run on Celery workers.

    Args:
        settings: Where the broker is.
        retries: Whether a step may ask to be tried again.
    """

    def __init__(self, settings: Settings, retries: RetryMode) -> None:
        super().__init__(retries=retries)
        self._settings = settings

    def app_args(self) -> dict[str, Any]:
        """Arguments of the application, from the settings: no run's configuration holds them."""
        return app_arguments(self._settings)

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Generator[DagsterEvent]:
        """Send the steps in their order and yield what came of them."""
        db = PlatformDb(platform_database_url(self._settings))
        with living_run(db, plan_context):

            def send(
                app: Celery,
                context: PlanOrchestrationContext,
                step: ExecutionStep,
                _queue: str,
                priority: int,
                known_state: Any,
            ) -> _SentStep:
                queue = queue_name(step.tags.get(QUEUE_TAG, DATA), self._settings.profile)
                return _SentStep(
                    db, context, step, _sender(app, context, step, queue, priority, known_state)
                ).sent()

            yield from core_execution_loop.core_celery_execution_loop(
                plan_context, execution_plan, step_execution_fn=send
            )


def _sender(
    app: Celery,
    context: PlanOrchestrationContext,
    step: ExecutionStep,
    queue: str,
    priority: int,
    known_state: Any,
) -> Callable[[str], AsyncResult]:
    arguments = ExecuteStepArgs(
        job_origin=context.reconstructable_job.get_python_origin(),
        run_id=context.dagster_run.run_id,
        step_keys_to_execute=[step.key],
        instance_ref=context.instance.get_ref(),
        retry_mode=context.executor.retries.for_inner_plan(),
        known_state=known_state,
        print_serialized_events=True,
    )
    task: Any = create_task(app)
    signature = task.si(
        execute_step_args_packed=pack_value(arguments),
        executable_dict=context.reconstructable_job.to_dict(),
    )

    def send(task_id: str) -> AsyncResult:
        return signature.apply_async(
            task_id=task_id,
            priority=priority,
            queue=queue,
            routing_key=f"{queue}.execute_plan",
        )

    return send


class _SentStep:
    """A step at the workers; for Dagster's loop it is the `AsyncResult` of its message.

    Args:
        db: Where workers note what they took.
        send: Sends the step under a key of its message.
    """

    def __init__(
        self,
        db: PlatformDb,
        context: PlanOrchestrationContext,
        step: ExecutionStep,
        send: Callable[[str], AsyncResult],
    ) -> None:
        self._db = db
        self._context = context
        self._step = step
        self._send = send
        self._workers_lost = 0
        self._failure: PlatformError | None = None
        self._is_revoked = False

    def sent(self) -> Self:
        """Send it, for the first time or again: another message, so that it is executed again."""
        self._task_id = str(uuid4())
        self._result = self._send(self._task_id)
        now = time.monotonic()
        self._looked_at = self._heard_at = self._sent_at = now
        self._worker: str | None = None
        self._gone_since: float | None = None
        return self

    def ready(self) -> bool:
        """Whether it has ended, well or not."""
        now = time.monotonic()
        try:
            is_over = self._result.ready()
            if is_over and isinstance(self._result.result, WorkerLostError):
                self._send_elsewhere("its process was killed")
                is_over = False
            elif not is_over and now - self._looked_at >= _SECONDS_BETWEEN_LOOKS:
                self._looked_at = now
                self._look(now)
            self._heard_at = now
        except (OperationalError, RedisError, OSError) as error:
            if now - self._heard_at > _SECONDS_WITHOUT_BROKER:
                self._failure = RetryableError(
                    f"The broker of the workers does not answer ({type(error).__name__})",
                    "Check CELERY_BROKER_URL and its server, then run again",
                )
            is_over = False
        except PlatformError:
            is_over = False  # the database does not answer: nobody knows
        return is_over or self._failure is not None

    def get(self) -> Any:
        """Its events.

        Raises:
            TaskRevokedError: It was taken back.
        """
        if self._failure is None:
            try:
                return self._result.get()
            except TaskRevokedError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a worker could not execute
                self._failure = PermanentError(
                    f"A worker could not execute the step: {type(error).__name__}: {error}",
                    "Workers and code server must have the same version",
                )
        if self._is_revoked:
            raise TaskRevokedError(self._task_id)
        try:
            raise self._failure
        except PlatformError:
            told = serializable_error_info_from_exc_info(sys.exc_info())
        event = dg.DagsterEvent.step_failure_event(
            self._context.for_step(self._step), StepFailureData(told, None)
        )
        return [serialize_value(event)]

    def revoke(self) -> None:
        """Take it back; a worker that executes it ends the step."""
        self._is_revoked = True
        self._result.revoke(terminate=True)

    def _look(self, now: float) -> None:
        """See whether the worker that took it lives."""
        if self._worker is None:
            self._worker = worker_of(self._db, self._task_id)
            if self._worker is None:
                if now - self._sent_at > _SECONDS_UNTIL_SENT_AGAIN:
                    # Under the same key: if the first message is still there, it counts once.
                    self._result, self._sent_at = self._send(self._task_id), now
                return
        if is_executed(self._db, self._task_id):
            self._gone_since = None
            return
        self._gone_since = self._gone_since or now
        if now - self._gone_since >= SECONDS_OF_GRACE and not self._result.ready():
            self._send_elsewhere("it was killed, or its machine went down")

    def _send_elsewhere(self, why: str) -> None:
        self._workers_lost += 1
        step, worker = self._step.key, self._worker or "a worker"
        if self._is_revoked or self._workers_lost >= _MOST_WORKERS_LOST:
            self._failure = RetryableError(
                f"{self._workers_lost} workers were lost while they executed the step: {why}",
                "Look at the memory of the workers' machines, then run again",
            )
            return
        self._context.log.warning(f"The worker {worker} of {step} is gone ({why}): sent again")
        self.sent()
