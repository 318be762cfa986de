"""`batch-platform chats`: the old system's commands, run as the platform's assets."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from batch_platform.cli.console import MADE_UP, err, out, show_table
from batch_platform.cli.runs import RunResult, run_job
from batch_platform.core.days import days_between, past_day, utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.core.settings import Settings, load_settings
from batch_platform.domains.chats.missing import MissingDay, missing_days
from batch_platform.domains.chats.dry_run import DryRun, estimate_day
from batch_platform.domains.chats.workflow import write_period_report
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.resources.roles import active_settings, bulk_llm, chat_source

app = typer.Typer(help="채팅 질문을 분류하고 보고서를 만듭니다.", no_args_is_help=True)
missing_app = typer.Typer(help="분류가 빠진 날과 질문을 찾고 채웁니다.", no_args_is_help=True)
app.add_typer(missing_app, name="missing")

_JOB = "chats_night_job"
_CLASSIFY = ("chats/raw_chats", "chats/classifications", "chats/published_keywords")
_REPORT = ("chats/report",)
_MAIL = ("chats/report_mail",)

Day = Annotated[
    str, typer.Option("-d", "--date", help="하루 (YYYY-MM-DD 또는 yesterday). 기본: 어제")
]
Start = Annotated[str, typer.Option("-s", "--start-date", help="기간의 첫날 (YYYY-MM-DD)")]
End = Annotated[str, typer.Option("-e", "--end-date", help="기간의 마지막 날 (YYYY-MM-DD)")]
Email = Annotated[bool, typer.Option("--email", help="보고서를 메일로 보냅니다.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=512, help="동시에 부르는 모델 호출 수")
]


@app.command(
    epilog="예: batch-platform chats batch -d 2026-11-19 --dry-run"
    "   |   batch-platform chats batch -s 2026-11-01 -e 2026-11-07 --workers 32 --email"
)
def batch(
    day: Day = "",
    start: Start = "",
    end: End = "",
    start_index: Annotated[
        int,
        typer.Option("--start-index", help="예전 옵션. 이제는 저절로 이어서 하므로 쓰이지 않습니다."),
    ] = 0,
    parallel: Annotated[
        bool | None, typer.Option("--parallel/--no-parallel", help="여러 질문을 동시에 묻습니다.")
    ] = None,
    workers: Workers = None,
    chunk_size: Annotated[
        int | None, typer.Option("--chunk-size", min=1, max=50, help="한 호출에 담는 질문 수")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="부르지 않고 질문, 호출, 토큰, 비용만 셉니다.")
    ] = False,
    email: Email = False,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """하루 또는 기간의 질문을 분류합니다. 이미 답이 있는 질문은 다시 묻지 않습니다."""
    settings = _tuned(active_settings(), parallel, workers, chunk_size)
    days = _days(settings, day, start, end)
    if start_index:
        err.print("--start-index는 필요 없습니다. 이미 끝난 질문은 다시 묻지 않습니다.")
    if dry_run:
        _show_dry_runs(settings, days)
        return
    assets = (*_CLASSIFY, *(_REPORT + _MAIL if email else ()))
    _run_days(settings, days, assets, is_mailed=email, is_debug=debug)


@app.command(epilog="예: batch-platform chats report   |   … report -s 2026-11-01 -e 2026-11-07 -o 주간.xlsx")
def report(
    day: Day = "",
    start: Start = "",
    end: End = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="파일을 둘 곳. 기본: 보고서 폴더")
    ] = None,
    email: Email = False,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """분류된 날의 엑셀 보고서를 만듭니다."""
    settings = active_settings()
    days = _days(settings, day, start, end)
    if output is None and len(days) == 1:
        assets = (*_REPORT, *(_MAIL if email else ()))
        _run_days(settings, days, assets, is_mailed=email, is_debug=debug)
        return
    if email:
        raise PermanentError(
            "A report of a range, or one with -o, is not mailed", "Leave out --email, or give one day"
        )
    file = write_period_report(
        days[0],
        days[-1],
        db=open_platform_db(settings),
        settings=settings,
        clock=utc_now,
        output=output,
    )
    out.print(f"[green]보고서[/green] {file.path} · {file.rows:,}행 · {file.size_bytes:,}바이트")


@app.command(epilog="예: batch-platform chats complete   |   batch-platform chats complete 2026-11-19")
def complete(
    day: Annotated[str, typer.Argument(help="하루 (YYYY-MM-DD). 기본: 어제")] = "",
    workers: Workers = None,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """분류, 보고서, 메일을 한 번에 합니다 (run_batch.sh complete)."""
    settings = _tuned(active_settings(), None, workers, None)
    assets = (*_CLASSIFY, *_REPORT, *_MAIL)
    _run_days(settings, _days(settings, day, "", ""), assets, is_mailed=True, is_debug=debug)


@missing_app.command("check", epilog="예: batch-platform chats missing check -s 2026-11-01 -e 2026-11-19")
def missing_check(start: Start, end: End) -> None:
    """분류가 빠진 날과 질문 수를 보입니다. 빠진 것이 있으면 종료 코드 1."""
    settings = active_settings()
    found = _missing(settings, start, end)
    _show_missing(found)
    if found:
        raise typer.Exit(1)


@missing_app.command("process", epilog="예: batch-platform chats missing process -s 2026-11-01 -e 2026-11-19")
def missing_process(start: Start, end: End, email: Email = False, workers: Workers = None) -> None:
    """빠진 날을 분류합니다."""
    settings = _tuned(active_settings(), None, workers, None)
    _fill(settings, _missing(settings, start, end), email)


@missing_app.command("auto", epilog="예: batch-platform chats missing auto -s 2026-11-01 -e 2026-11-19 --email")
def missing_auto(start: Start, end: End, email: Email = False, workers: Workers = None) -> None:
    """빠진 날을 찾아 보이고, 분류하고, 다시 확인합니다."""
    settings = _tuned(active_settings(), None, workers, None)
    found = _missing(settings, start, end)
    _show_missing(found)
    if not found:
        return
    _fill(settings, found, email)
    left = _missing(settings, start, end)
    if left:
        _show_missing(left)
        raise typer.Exit(1)
    out.print("[green]빠진 것이 없습니다.[/green]")


def _days(settings: Settings, day: str, start: str, end: str) -> list[date]:
    zone = settings.platform.zone
    if day and (start or end):
        raise typer.BadParameter("-d 와 -s/-e 는 함께 쓸 수 없습니다.")
    if bool(start) != bool(end):
        raise typer.BadParameter("기간에는 -s 와 -e 가 모두 필요합니다.")
    if start:
        first, last = (past_day(text, utc_now, zone) for text in (start, end))
        days = list(days_between(first, last))
    else:
        days = [past_day(day or "yesterday", utc_now, zone)]
    if days[0] < settings.chats.first_day:
        raise PermanentError(
            f"{days[0]} is before the first day of the platform, {settings.chats.first_day}",
            "Set CHATS_FIRST_DAY to an earlier day",
        )
    return days


def _tuned(
    settings: Settings, parallel: bool | None, workers: int | None, questions_per_call: int | None
) -> Settings:
    """The settings with what a command's options change."""
    changes: dict[str, Any] = {
        "parallel_enabled": True if workers and parallel is None else parallel,
        "parallel_workers": workers,
        "questions_per_call": questions_per_call,
    }
    changed = {name: value for name, value in changes.items() if value is not None}
    return settings.model_copy(update={"chats": settings.chats.model_copy(update=changed)})


def _run_days(
    settings: Settings,
    days: Sequence[date],
    assets: Sequence[str],
    *,
    is_mailed: bool,
    is_debug: bool,
) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)
    run_config = (
        {"ops": {"chats__report_mail": {"config": {"send": True}}}} if is_mailed else None
    )
    failed: list[date] = []
    for day in days:
        result = run_job(
            _JOB,
            day.isoformat(),
            settings=settings,
            assets=assets,
            run_config=run_config,
            is_debug=is_debug,
        )
        show_run(day.isoformat(), result)
        if not result.is_success:
            failed.append(day)
    if failed:
        if len(days) > 1:
            err.print(f"[red]{len(days)}일 가운데 {len(failed)}일이 실패했습니다[/red]: {_listed(failed)}")
        raise typer.Exit(1)


def show_run(partition: str, result: RunResult) -> None:
    """Show what a run made, and in one line each what failed."""
    rows = [
        (made.asset, made.partition, f"{int(made.metadata.get('dagster/row_count', 0)):,}",
         f"{float(made.metadata.get('seconds', 0)):.1f}", _won(made), _result_note(made))
        for made in result.made
    ]
    if rows:
        columns = ["자산", "파티션", "행", "초", "원", "결과"]
        show_table(f"{partition} · 실행 {result.run_id[:8]}", columns, rows, right=(2, 3, 4))
    for check in result.failed_checks:
        err.print(f"[yellow]점검 실패[/yellow] {check}")
    for failure in result.failures:
        kind = "" if failure.is_expected else f"{failure.error_type}: "
        err.print(f"[bold red]오류[/bold red] {failure.step}: {kind}{failure.sentence}", markup=True, soft_wrap=True)


def _won(made: Any) -> str:
    cost = made.metadata.get("cost_krw")
    return "" if cost is None else f"{float(cost):,.1f}"


def _result_note(made: Any) -> str:
    return str(made.metadata.get("path") or made.metadata.get("note") or "")


def _listed(days: Iterable[date]) -> str:
    return ", ".join(day.isoformat() for day in days)


def _show_dry_runs(settings: Settings, days: Sequence[date]) -> None:
    source, db = chat_source(settings), open_platform_db(settings)
    llm = bulk_llm(settings, db)
    runs = [estimate_day(day, source=source, llm=llm, settings=settings) for day in days]
    columns = ["날짜", "채팅", "질문", "답 있음", "물을 것", "호출", "입력 토큰", "출력 토큰", "원"]
    rows = [_dry_row(run.chat_date.isoformat(), run) for run in runs]
    show_table("미리 보기 (아무것도 부르거나 쓰지 않았습니다)", columns, rows, right=range(1, 9))


def _dry_row(name: str, run: DryRun) -> tuple[str, ...]:
    cost = run.estimate
    figures = (run.chats, cost.items, cost.in_ledger, cost.to_ask, cost.calls, cost.input_tokens,
               cost.output_tokens)
    return (name, *(f"{figure:,}" for figure in figures), f"{cost.cost_krw:,.1f}")


def _missing(settings: Settings, start: str, end: str) -> list[MissingDay]:
    days = _days(settings, "", start, end)
    return missing_days(
        days, source=chat_source(settings), db=open_platform_db(settings), settings=settings
    )


def _show_missing(found: Sequence[MissingDay]) -> None:
    if not found:
        out.print("[green]빠진 것이 없습니다.[/green]")
        return
    rows = [
        (day.chat_date, f"{day.source_rows:,}", f"{day.landed_rows:,}", f"{day.missing_questions:,}",
         day.reason)
        for day in found
    ]
    show_table("빠진 날", ["날짜", "원본 채팅", "가져온 채팅", "빠진 질문", "이유"], rows, right=(1, 2, 3))


def _fill(settings: Settings, found: Sequence[MissingDay], email: bool) -> None:
    if not found:
        out.print("[green]빠진 것이 없습니다.[/green]")
        return
    assets = (*_CLASSIFY, *(_REPORT + _MAIL if email else ()))
    _run_days(settings, [day.chat_date for day in found], assets, is_mailed=email, is_debug=False)
