"""`batch-platform up`, `down`, `demo`, `status`, `db migrate`: the platform as a whole."""

import os
import subprocess
import sys
from datetime import timedelta
from typing import Annotated

import typer

from batch_platform.cli.chats import show_run
from batch_platform.cli.config import show_results
from batch_platform.cli.console import MADE_UP, err, out, show_table
from batch_platform.cli.reach import reach_everything
from batch_platform.cli.runs import RunResult, run_job
from batch_platform.cli.servers import run_servers, stop_servers
from batch_platform.core.days import today, utc_now
from batch_platform.core.settings import (
    PROFILE_VARIABLE,
    Profile,
    Settings,
    demo_env_file,
    load_settings,
)
from batch_platform.domains.chats.store import ChatStore
from batch_platform.gateways.embedded_postgres import server_folder
from batch_platform.gateways.leased_process import stop
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import current_revision, migrate
from batch_platform.gateways.platform_services import (
    lease_sandbox,
    open_platform_db,
    platform_database_url,
    sandbox_folder,
)
from batch_platform.orchestration.results import stopwatch
from batch_platform.resources.roles import active_settings

_STATUS_DAYS = 7

db_app = typer.Typer(help="플랫폼 데이터베이스를 관리합니다.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command(epilog="예: batch-platform demo   |   make demo")(demo)
    app.command(epilog="예: batch-platform up   |   batch-platform up --port 3100")(up)
    app.command(epilog="예: batch-platform down")(down)
    app.command(epilog="예: batch-platform status")(status)
    app.add_typer(db_app, name="db")


def demo() -> None:
    """가상 데이터로 어제 하루를 처음부터 끝까지 돌려 봅니다. 두 번째부터는 모델을 부르지 않습니다."""
    os.environ[PROFILE_VARIABLE] = Profile.DEMO
    home = demo_env_file().parent
    home.mkdir(parents=True, exist_ok=True)
    err.print(MADE_UP)
    sandbox = lease_sandbox(home)
    settings = load_settings()
    day = today(utc_now, settings.platform.zone) - timedelta(days=1)
    subprocess.run(
        [sys.executable, "-m", "batch_platform.sandbox.sample_sources", str(home), str(day)],
        check=True,
    )
    seconds = stopwatch()
    result = run_job("chats_night_job", day.isoformat(), settings=settings)
    show_run(day.isoformat(), result)
    if not result.is_success:
        raise typer.Exit(1)
    _show_places(result, settings, sandbox, seconds())


def up(
    port: Annotated[int | None, typer.Option(help="웹서버 포트. 기본: DAGSTER_WEBSERVER_PORT")] = None,
) -> None:
    """데이터베이스, 웹서버, 데몬을 띄우고 Ctrl-C까지 돌봅니다."""
    settings = active_settings()
    if settings.is_made_up:
        err.print(MADE_UP)
    migrate(PlatformDb(platform_database_url(settings)))
    run_servers(settings, port or settings.platform.webserver_port)


def down() -> None:
    """`up`과 내장 데이터베이스, 샌드박스를 끝냅니다."""
    settings = load_settings()
    ended = {
        "웹서버와 데몬": stop_servers(settings),
        "샌드박스": stop(sandbox_folder(settings.home)),
        "내장 PostgreSQL": stop(server_folder(settings.home)),
    }
    for what, was_running in ended.items():
        out.print(f"{what}: {'끝냈습니다' if was_running else '실행 중이 아니었습니다'}")


def status() -> None:
    """무엇에 닿는지와 지난 밤들을 한눈에 보입니다."""
    settings = active_settings()
    if settings.is_made_up:
        err.print(MADE_UP)
    results = reach_everything(settings)
    show_results(f"상태 · 프로필 {settings.profile}", results)
    if results[0].is_problem:
        raise typer.Exit(1)
    last = today(utc_now, settings.platform.zone) - timedelta(days=1)
    counts = ChatStore(open_platform_db(settings)).day_counts(
        last - timedelta(days=_STATUS_DAYS - 1), last
    )
    rows = [
        (
            day.chat_date,
            "-" if day.landed_rows is None else f"{day.landed_rows:,}",
            f"{day.classified_count:,} / {day.question_count:,}",
            f"{day.quarantined_count:,}",
            _day_state(day.is_extracted, day.missing_count, day.question_count),
        )
        for day in reversed(counts)
    ]
    show_table("채팅: 최근 7일", ["날짜", "채팅", "분류 / 질문", "보류", "상태"], rows, right=(1, 2, 3))


@db_app.command("migrate", epilog="예: batch-platform db migrate")
def db_migrate() -> None:
    """플랫폼 데이터베이스의 테이블을 이 버전에 맞춥니다."""
    db = PlatformDb(platform_database_url(load_settings()))
    before = current_revision(db)
    migrate(db)
    after = current_revision(db)
    out.print(f"{db.address}: {before or '빈 데이터베이스'} → {after}" if before != after else f"{db.address}: 이미 {after}입니다.")


def _day_state(is_extracted: bool, missing: int, questions: int) -> str:
    if not is_extracted:
        return "[dim]아직[/dim]"
    if missing:
        return f"[yellow]{missing:,}개 남음[/yellow]"
    return "[green]완료[/green]" if questions else "채팅 없음"


def _show_places(
    result: RunResult, settings: Settings, sandbox: object, seconds: float
) -> None:
    cost = sum(float(made.metadata.get("cost_krw", 0)) for made in result.made)
    calls = sum(int(made.metadata.get("model_calls", 0)) for made in result.made)
    reports = [str(made.metadata["path"]) for made in result.made if "path" in made.metadata]
    mail_page = sandbox.get("mail_page_url", "") if isinstance(sandbox, dict) else ""
    rows = [
        ("보고서", "\n".join(reports) or "-"),
        ("메일", f"{mail_page} (batch-platform up 이 켜져 있을 때)"),
        ("데이터", str(settings.home)),
        ("모델 호출", f"{calls:,}회 · {cost:,.1f}원 (가상)"),
        ("걸린 시간", f"{seconds:.1f}초"),
        ("다음", "batch-platform up  →  http://127.0.0.1:3000"),
    ]
    show_table("데모 결과", ["무엇", "어디"], rows)
