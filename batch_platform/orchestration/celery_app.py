"""The Celery application of workers and of the runs that send them steps. Needs the extra `celery`.

A worker executes each message once, shows that it lives while it does, and ends a step whose run
is gone: the run that takes its place must find the partition free.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore
from dagster._core.instance.ref import InstanceRef
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import pack_value, unpack_value
from dagster_celery.config import dict_wrapper
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task

from batch_platform.core.errors import ConfigurationError, PlatformError
from batch_platform.core.settings import Profile, Settings, load_settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.run_locks import living_runs
from batch_platform.gateways.platform_db.worker_steps import (
    is_left_behind,
    step_lock,
    take_step,
)
from batch_platform.gateways.platform_services import platform_database_url
from batch_platform.orchestration.queues import DATA

SECONDS_OF_GRACE = 20.0
"""How long a lock must stay away: a process that lives takes it again sooner.

Shorter than what a launcher waits before it gives up a run: the steps must be gone by then.
"""

_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_UNTIL_DELIVERED_AGAIN = 120
"""When a message whose worker has not finished goes to another one, which then ignores it."""
_SECONDS_OF_RESULTS = 3600
_MOST_CONNECT_SECONDS = 5

_log = logging.getLogger("batch_platform.worker")


def queue_name(queue: str, profile: Profile) -> str:
    """What a queue is called at the broker: the demo's steps never reach a live worker."""
    return queue if profile is Profile.LIVE else f"{profile}-{queue}"


def app_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of `celery.Celery`.

    Raises:
        ConfigurationError: No broker is set.
    """
    cluster = settings.cluster
    if cluster.broker_url is None:
        raise ConfigurationError(
            "EXECUTION=celery needs CELERY_BROKER_URL",
            "Set it to a Redis that every machine reaches, like redis://host:6379/0",
        )
    broker = cluster.broker_url.get_secret_value()
    backend = cluster.result_backend
    transport = {
        "visibility_timeout": _SECONDS_UNTIL_DELIVERED_AGAIN,
        "socket_connect_timeout": _MOST_CONNECT_SECONDS,
        "max_retries": 3,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    }
    options = {
        "worker_prefetch_multiplier": 1,
        # A message is kept until its step has ended: one that dies on its way is not lost.
        "task_acks_late": True,
        "task_default_priority": 5,
        "task_default_queue": queue_name(DATA, settings.profile),
        "broker_transport_options": transport,
        "broker_connection_retry_on_startup": True,
        "redis_socket_connect_timeout": _MOST_CONNECT_SECONDS,
        "result_expires": _SECONDS_OF_RESULTS,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
    }
    return {
        "broker": broker,
        "backend": backend.get_secret_value() if backend else broker,
        "include": [],
        "config_source": dict_wrapper(options),
    }


def celery_app(settings: Settings) -> Celery:
    """The application that executes steps.

    Raises:
        ConfigurationError: No broker is set.
    """
    app = make_app(app_arguments(settings))
    create_task(app, base=StepTask, acks_late=True)
    return app


def serve_steps(
    settings: Settings, queues: Sequence[str], concurrency: int, load_code: Callable[[], object]
) -> None:
    """Execute steps of some queues until a signal ends it.

    Args:
        settings: Where the broker is.
        queues: Whose steps.
        concurrency: Steps at once.
        load_code: Imports what steps are made of.

    Raises:
        ConfigurationError: No broker is set.
    """
    app = celery_app(settings)
    # Before the worker forks: its processes share the code, and the first step waits less.
    load_code()
    # Celery's line of a step that has ended quotes its events: they are in Dagster's log.
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
    names = ",".join(queue_name(each, settings.profile) for each in queues)
    app.worker_main(
        [
            "worker",
            *("--queues", names),
            *("--concurrency", str(concurrency)),
            *("--hostname", f"{'-'.join(queues)}-{os.getpid()}@%h"),
            *("--loglevel", settings.platform.log_level),
            *("--without-gossip", "--without-mingle", "-O", "fair"),
        ]
    )


class StepTask(Task):
    """A step's message in a worker."""

    abstract = True

    def __call__(self, *_arguments: Any, **packed: Any) -> Any:
        """Execute the step, unless it was or is executed, or its run is gone."""
        told = unpack_value(packed["execute_step_args_packed"], as_type=ExecuteStepArgs)
        step_key = ", ".join(told.step_keys_to_execute or [])
        db = PlatformDb(platform_database_url(load_settings()))
        if not _is_run_there(db, told.run_id):
            _log.warning("Step %s is not executed: run %s is gone", step_key, told.run_id)
            raise Ignore
        task_id = str(self.request.id)
        worker = f"{self.request.hostname or socket.gethostname()}"
        if not take_step(db, task_id, told.run_id, step_key, worker):
            _log.warning("Step %s of run %s came twice", step_key, told.run_id)
            raise Ignore
        # Dagster's home is this machine's, not that of the run's process.
        here = pack_value(InstanceRef.from_dir(os.environ["DAGSTER_HOME"]))
        packed["execute_step_args_packed"] = {
            **packed["execute_step_args_packed"],
            "instance_ref": here,
        }
        with step_lock(db, task_id), _EndsWithRun(db, told.run_id):
            _wait_for_those_left_behind(db, told.run_id, step_key)
            return self.run(**packed)


class _EndsWithRun:
    """Ends this process, while the block runs, when the run's process is gone."""

    def __init__(self, db: PlatformDb, run_id: str) -> None:
        self._db = db
        self._run_id = run_id
        self._is_over = threading.Event()
        self._watch = threading.Thread(target=self._look, name=f"watch run {run_id}", daemon=True)

    def __enter__(self) -> None:
        self._watch.start()

    def __exit__(self, *_error: object) -> None:
        self._is_over.set()

    def _look(self) -> None:
        gone_since: float | None = None
        while not self._is_over.wait(_SECONDS_BETWEEN_LOOKS):
            try:
                is_there = bool(living_runs(self._db, [self._run_id]))
            except PlatformError:
                is_there = True  # nobody knows
            if is_there:
                gone_since = None
                continue
            gone_since = gone_since or time.monotonic()
            if time.monotonic() - gone_since >= SECONDS_OF_GRACE and not self._is_over.is_set():
                _log.error("Run %s is gone: its step ends here", self._run_id)
                # Nothing softer ends a step that waits for a model, and what was paid for is kept.
                os._exit(70)


def _wait_for_those_left_behind(db: PlatformDb, run_id: str, step_key: str) -> None:
    """Let the steps of a run that died end, which may hold what this one needs."""
    deadline = time.monotonic() + 2 * SECONDS_OF_GRACE
    while is_left_behind(db, run_id, step_key) and time.monotonic() < deadline:
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _is_run_there(db: PlatformDb, run_id: str) -> bool:
    deadline = time.monotonic() + SECONDS_OF_GRACE
    while not living_runs(db, [run_id]):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return True
