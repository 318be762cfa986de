"""What `batch-platform cluster` serves beside `up`: a broker, workers, and a proxy before it all.

All are processes of this machine; on several machines the same commands run apart (`deploy/`).
"""

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis

from batch_platform.cli.console import MADE_UP, err
from batch_platform.cli.platform_work import serve
from batch_platform.cli.servers import HOST, Further, module_command, workspace_file
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import Settings, load_settings
from batch_platform.gateways.reverse_proxy import (
    VIEWER_PREFIX,
    WEBSERVER_PREFIX,
    ProxyAddresses,
    nginx_program,
    prepared_proxy,
)
from batch_platform.orchestration.celery_app import celery_app
from batch_platform.orchestration.queues import QUEUES
from batch_platform.resources.roles import active_settings

_PING_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person wants of a cluster; None for what the settings say.

    Attributes:
        proxy_port: Of the one address.
        workers: Worker processes.
        concurrency: Steps that each executes at once.
    """

    port: int | None
    api_port: int | None
    proxy_port: int
    workers: int
    concurrency: int | None


def serve_cluster(wanted: Wanted) -> None:
    """Serve `up`, a broker if none is set, workers and the proxy, until a signal ends it.

    Raises:
        ConfigurationError: There is no Redis to start, a port is taken, or `up` runs already.
        PermanentError: A server keeps dying.
    """
    os.environ["EXECUTION"] = "celery"
    own_port = None if load_settings().cluster.broker_url else _free_port()
    if own_port is not None:
        os.environ["CELERY_BROKER_URL"] = f"redis://{HOST}:{own_port}/0"
    settings = active_settings()
    if wanted.api_port is not None:
        api = settings.api.model_copy(update={"port": wanted.api_port})
        settings = settings.model_copy(update={"api": api})
    if settings.is_made_up:
        err.print(MADE_UP)
    port = wanted.port or settings.platform.webserver_port
    serve(settings, port, _further(settings, wanted, port, own_port))


def _further(settings: Settings, wanted: Wanted, port: int, own_port: int | None) -> Further:
    at_once = wanted.concurrency or settings.cluster.worker_concurrency
    redis_server = _redis_server() if own_port is not None else ""
    broker = settings.cluster.broker_url
    broker_address = broker.get_secret_value().rpartition("@")[2] if broker else ""
    has_proxy = _has_proxy()
    viewer_port = _free_port()

    def commands(folder: Path) -> Mapping[str, Sequence[str]]:
        found: dict[str, Sequence[str]] = {}
        if own_port is not None:
            found["redis"] = [
                redis_server, "--bind", HOST, "--port", str(own_port), "--dir", str(folder),
                "--save", "", "--appendonly", "no",
            ]  # fmt: skip
        for number in range(1, wanted.workers + 1):
            found[f"worker-{number}"] = module_command(
                "batch_platform.cli.main", "worker",
                "--concurrency", str(at_once), "--up-folder", str(folder),
            )  # fmt: skip
        if has_proxy:
            found["viewer"] = module_command(
                "dagster_webserver", "--host", HOST, "--port", str(viewer_port), "--read-only",
                "--path-prefix", VIEWER_PREFIX, "--workspace", str(workspace_file(folder)),
            )  # fmt: skip
            found["proxy"] = prepared_proxy(
                folder / "proxy",
                ProxyAddresses(
                    listen=f"{HOST}:{wanted.proxy_port}",
                    api=f"{HOST}:{settings.api.port}",
                    webserver=f"{HOST}:{port}",
                    viewer=f"{HOST}:{viewer_port}",
                ),
            )
        return found

    def is_ready() -> bool:
        try:
            answers = celery_app(settings).control.ping(timeout=_PING_SECONDS)
        except (OSError, redis.RedisError):
            return False
        return len(answers) >= wanted.workers

    front = f"http://{HOST}:{wanted.proxy_port}"
    places = [
        ("브로커", f"redis://{broker_address.removeprefix('redis://')}"),
        ("워커", f"{wanted.workers} x {at_once} · 큐 {', '.join(QUEUES)}"),
    ]
    if has_proxy:
        places = [
            ("한 주소", f"{front}/"),
            ("· 운영", f"{front}{WEBSERVER_PREFIX}/"),
            ("· 보기만", f"{front}{VIEWER_PREFIX}/"),
            *places,
        ]
    return Further(commands, is_ready, places, WEBSERVER_PREFIX)


def _has_proxy() -> bool:
    try:
        nginx_program()
    except ConfigurationError as error:
        err.print(f"[yellow]프록시 없이 띄웁니다[/yellow]: {error}")
        return False
    return True


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
