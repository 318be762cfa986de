"""What `batch-platform cluster` serves beside `up`: a broker and the workers.

All are processes of this machine; on several machines the same commands run apart (`deploy/`).
"""

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import redis

from batch_platform.cli.console import MADE_UP, err
from batch_platform.cli.platform_work import serve
from batch_platform.cli.servers import HOST, Further, module_command
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import Settings, load_settings
from batch_platform.orchestration.celery_app import celery_app
from batch_platform.orchestration.queues import QUEUES
from batch_platform.resources.roles import active_settings

_PING_SECONDS = 1.0


def serve_cluster(
    port: int | None, api_port: int | None, workers: int, concurrency: int | None
) -> None:
    """Serve `up`, a broker if none is set, and workers, until a signal ends it.

    Raises:
        ConfigurationError: There is no Redis to start, a port is taken, or `up` runs already.
        PermanentError: A server keeps dying.
    """
    os.environ["EXECUTION"] = "celery"
    own_port = None if load_settings().cluster.broker_url else _free_port()
    if own_port is not None:
        os.environ["CELERY_BROKER_URL"] = f"redis://{HOST}:{own_port}/0"
    settings = active_settings()
    if api_port is not None:
        api = settings.api.model_copy(update={"port": api_port})
        settings = settings.model_copy(update={"api": api})
    if settings.is_made_up:
        err.print(MADE_UP)
    serve(
        settings,
        port or settings.platform.webserver_port,
        _further(settings, own_port, workers, concurrency),
    )


def _further(
    settings: Settings, own_port: int | None, workers: int, concurrency: int | None
) -> Further:
    at_once = concurrency or settings.cluster.worker_concurrency
    redis_server = _redis_server() if own_port is not None else ""
    broker = settings.cluster.broker_url
    address = broker.get_secret_value().rpartition("@")[2] if broker else ""

    def commands(folder: Path) -> Mapping[str, Sequence[str]]:
        found: dict[str, Sequence[str]] = {}
        if own_port is not None:
            found["redis"] = [
                redis_server, "--bind", HOST, "--port", str(own_port), "--dir", str(folder),
                "--save", "", "--appendonly", "no",
            ]  # fmt: skip
        for number in range(1, workers + 1):
            found[f"worker-{number}"] = module_command(
                "batch_platform.cli.main", "worker",
                "--concurrency", str(at_once), "--up-folder", str(folder),
            )  # fmt: skip
        return found

    def is_ready() -> bool:
        try:
            answers = celery_app(settings).control.ping(timeout=_PING_SECONDS)
        except (OSError, redis.RedisError):
            return False
        return len(answers) >= workers

    return Further(
        commands,
        is_ready,
        [
            ("브로커", f"redis://{address.removeprefix('redis://')}"),
            ("워커", f"{workers} x {at_once} · 큐 {', '.join(QUEUES)}"),
        ],
    )


def _redis_server() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise ConfigurationError(
            "redis-server is not installed",
            "Install it (apt install redis-server), or set CELERY_BROKER_URL to one that runs",
        )
    return found


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
