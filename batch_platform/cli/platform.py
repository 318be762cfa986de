"""`batch-platform up`, `down`, `demo`, `status`, `db migrate`: the platform as a whole.

What an option means is decided here; what a command does is in `platform_work`.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from batch_platform.cli.console import MADE_UP, err, out
from batch_platform.core.settings import (
    PROFILE_VARIABLE,
    Profile,
    Settings,
    load_home,
    load_settings,
)

_API_PORT = typer.Option(
    min=1, max=65535, help="API 포트. 기본: BATCH_PLATFORM_API_PORT", show_default=False
)

db_app = typer.Typer(help="플랫폼 데이터베이스를 관리합니다.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command(epilog="예: batch-platform demo   |   make demo")(demo)
    app.command(epilog="예: batch-platform up   |   batch-platform up --port 3100")(up)
    app.command(
        epilog="예: batch-platform api   |   BATCH_PLATFORM_API_HOST=0.0.0.0 batch-platform api"
    )(api)
    app.command(epilog="예: batch-platform down")(down)
    app.command(epilog="예: batch-platform status")(status)
    app.command(
        epilog="예: batch-platform debug-info   |   batch-platform debug-info --output 도움.zip"
    )(debug_info)
    app.add_typer(db_app, name="db")


def demo() -> None:
    """가상 데이터로 어제 하루를 끝까지 돌려 봅니다. 두 번째부터는 모델을 부르지 않습니다."""
    os.environ[PROFILE_VARIABLE] = Profile.DEMO
    err.print(MADE_UP)
    from batch_platform.cli.demo import run_demo

    if not run_demo():
        raise typer.Exit(1)


def up(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="웹서버 포트. 기본: DAGSTER_WEBSERVER_PORT"),
    ] = None,
    api_port: Annotated[int | None, _API_PORT] = None,
) -> None:
    """데이터베이스, 웹서버, 데몬, API를 띄우고 Ctrl-C까지 돌봅니다."""
    from batch_platform.cli import platform_work
    from batch_platform.resources.roles import active_settings

    settings = _with_api_port(active_settings(), api_port)
    if settings.is_made_up:
        err.print(MADE_UP)
    platform_work.serve(settings, port or settings.platform.webserver_port)


def api(
    port: Annotated[int | None, _API_PORT] = None,
    up_folder: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """API만 띄웁니다. `up`은 API도 함께 띄우므로, 따로 둘 때만 씁니다."""
    from batch_platform.api.server import serve_api

    del up_folder  # in the command line only: by it a later `up` finds what a killed one left
    serve_api(_with_api_port(load_settings(), port))


def down() -> None:
    """`up`과 내장 데이터베이스, 샌드박스를 끝냅니다."""
    from batch_platform.cli.ending import end_everything

    end_everything(load_home())


def status() -> None:
    """무엇에 닿는지와 지난 밤들을 한눈에 보입니다. 데이터베이스에 닿지 않으면 종료 코드 2."""
    from batch_platform.cli import platform_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    if settings.is_made_up:
        err.print(MADE_UP)
    if not platform_work.show_status(settings):
        raise typer.Exit(2)


def debug_info(
    output: Annotated[
        Path | None,
        typer.Option(help="만들 ZIP 파일. 기본: batch-platform-debug-날짜-시각.zip"),
    ] = None,
) -> None:
    """상태, 설정(비밀은 가림), 버전, 사건, 로그의 끝을 보내도 안전한 한 파일로 모읍니다."""
    from batch_platform.cli.support_bundle import write_bundle
    from batch_platform.core.days import utc_now
    from batch_platform.resources.roles import active_settings

    settings, now = active_settings(), utc_now()
    local = now.astimezone(settings.platform.zone)
    file = output or Path(f"batch-platform-debug-{local:%Y%m%d-%H%M%S}.zip")
    held = write_bundle(settings, file, now)
    out.print(f"{file.absolute()} · {', '.join(held)}", markup=False, soft_wrap=True)


@db_app.command("migrate", epilog="예: batch-platform db migrate")
def db_migrate() -> None:
    """플랫폼 데이터베이스의 테이블을 이 버전에 맞춥니다."""
    from batch_platform.cli import platform_work

    platform_work.bring_to_this_version(load_settings())


def _with_api_port(settings: Settings, port: int | None) -> Settings:
    if port is None:
        return settings
    return settings.model_copy(update={"api": settings.api.model_copy(update={"port": port})})
