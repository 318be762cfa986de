"""Dagster's launcher, which also knows when a run's process is gone. Named in `dagster.yaml`.

Dagster asks it about every run that goes on, some times a minute, and marks those as failed whose
process is gone; its own launcher cannot tell, and would leave them running for hours. What becomes
of such a run then is said by `run_retries`.
"""

import time
from functools import cached_property

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._serdes.config_class import ConfigurableClassData

from batch_platform.core.settings import load_settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.run_locks import living_runs
from batch_platform.gateways.platform_services import platform_database_url

GRACE_SECONDS = 45
"""How long a lock must stay away: a process that lives takes it again sooner."""

MOST_SECONDS_WITHOUT_CODE_SERVER = 300
"""How long a run whose process is gone is kept while the code server that began it is away.

Dagster launches such a run again at once, and tries that a single time.
"""

GONE = (
    "The run's process is gone without a word: it was killed, or its machine went down"
    " (its lock has not been held for {:.0f} s)"
)


class PlatformRunLauncher(DefaultRunLauncher):
    """Launches runs on the code server, and finds those whose process is gone."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._missing_since: dict[str, float] = {}

    @cached_property
    def _db(self) -> PlatformDb:
        return PlatformDb(platform_database_url(load_settings()))

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether Dagster may ask about runs."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell whether the process of a run that has started is there."""
        if living_runs(self._db, [run.run_id]):
            self._missing_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        missing = time.monotonic() - self._missing_since.setdefault(run.run_id, time.monotonic())
        if missing < GRACE_SECONDS or (
            missing < MOST_SECONDS_WITHOUT_CODE_SERVER and self._is_code_server_away(run.run_id)
        ):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._missing_since[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, GONE.format(missing))

    def _is_code_server_away(self, run_id: str) -> bool:
        client = self._get_grpc_client_for_termination(run_id)
        if client is None:
            return False
        try:
            client.ping("")
        except DagsterUserCodeUnreachableError:
            return True
        return False
