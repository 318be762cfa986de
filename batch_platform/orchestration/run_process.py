"""The process of a run: it shows that it lives, and says whether trying the run again is of use.

A run whose process is gone without a word (killed, out of memory, the machine went down) is
launched again by Dagster's daemon, as `run_retries` in `dagster.yaml` says. One that failed and
could say why is not: its steps have retries of their own, and a wrong setting stays wrong.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.definitions.executor_definition import IN_PROC_CONFIG
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.storage.tags import MAX_RETRIES_TAG

from batch_platform.core.settings import load_settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.run_locks import RunLock
from batch_platform.gateways.platform_services import platform_database_url

NOT_AGAIN = {MAX_RETRIES_TAG: "0"}
"""Tag of a run that the daemon does not launch again by itself."""


class _InThisProcess(InProcessExecutor):
    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        db = PlatformDb(platform_database_url(load_settings()))
        with living_run(db, plan_context):
            yield from super().execute(plan_context, execution_plan)


@contextmanager
def living_run(db: PlatformDb, plan_context: PlanOrchestrationContext) -> Generator[None]:
    """Show that the run's process lives while the block runs; what fails there is not run again."""
    try:
        with RunLock(db, plan_context.run_id):
            yield
    except Exception:
        plan_context.instance.add_run_tags(plan_context.run_id, NOT_AGAIN)
        raise


@dg.executor(name="in_process", config_schema=IN_PROC_CONFIG)
def in_process_executor(init_context: dg.InitExecutorContext) -> InProcessExecutor:
    """Execute all steps of a run in its one process, which shows that it lives."""
    config = init_context.executor_config
    return _InThisProcess(retries=RetryMode.from_config(config["retries"]))  # pyright: ignore[reportArgumentType]
