"""`batch-platform worker`: executes steps of runs, on as many machines as are wanted."""

import os
from importlib import import_module
from typing import Annotated

import typer

from batch_platform.cli.console import MADE_UP, err


def worker(
    queue: Annotated[
        list[str] | None,
        typer.Option("--queue", "-q", help="맡을 큐: llm, data, backup. 여러 번 쓸 수 있습니다."),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency",
            "-c",
            min=1,
            max=64,
            help="한 번에 실행할 단계 수. 기본: CELERY_WORKER_CONCURRENCY",
            show_default=False,
        ),
    ] = None,
    up_folder: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """실행의 단계를 맡는 Celery 워커를 띄웁니다 (EXECUTION=celery). 큐를 안 쓰면 모두 맡습니다."""
    from batch_platform.cli.runs import dagster_home
    from batch_platform.orchestration.execution import serve_steps
    from batch_platform.resources.roles import active_settings

    del up_folder  # in the command line only: by it a later `cluster` finds what a killed one left
    settings = active_settings()
    if settings.is_made_up:
        err.print(MADE_UP)
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    serve_steps(
        settings,
        queue or [],
        concurrency,
        load_code=lambda: import_module("batch_platform.definitions"),
    )


def cluster(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="웹서버 포트. 기본: DAGSTER_WEBSERVER_PORT"),
    ] = None,
    api_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="API 포트. 기본: BATCH_PLATFORM_API_PORT", show_default=False
        ),
    ] = None,
    proxy_port: Annotated[
        int, typer.Option(min=1, max=65535, help="한 주소의 포트 (nginx가 있을 때)")
    ] = 8080,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=32, help="워커 프로세스 수")
    ] = 2,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency",
            "-c",
            min=1,
            max=64,
            help="워커마다 한 번에 실행할 단계 수. 기본: CELERY_WORKER_CONCURRENCY",
            show_default=False,
        ),
    ] = None,
) -> None:
    """`up`에 Redis, 워커, 프록시를 더해, 여러 대의 구성을 이 컴퓨터의 프로세스로 띄웁니다."""
    from batch_platform.orchestration.execution import require_packages

    require_packages()
    from batch_platform.cli.cluster_work import Wanted, serve_cluster

    serve_cluster(
        Wanted(
            port=port,
            api_port=api_port,
            proxy_port=proxy_port,
            workers=workers,
            concurrency=concurrency,
        )
    )
