"""`batch-platform chats`: the old system's commands with their options.

What an option means is decided here; what a command does with it is in `chat_work`.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from batch_platform.cli.console import err, out
from batch_platform.core.days import (
    days_between,
    month_before,
    past_day,
    today,
    utc_now,
    week_before,
)
from batch_platform.core.errors import PermanentError
from batch_platform.core.settings import Settings

app = typer.Typer(help="채팅 질문을 분류하고 보고서를 만듭니다.", no_args_is_help=True)
missing_app = typer.Typer(help="분류가 빠진 날과 질문을 찾고 채웁니다.", no_args_is_help=True)
app.add_typer(missing_app, name="missing")

Day = Annotated[
    str, typer.Option("-d", "--date", help="하루 (YYYY-MM-DD 또는 yesterday). 기본: 어제")
]
Start = Annotated[str, typer.Option("-s", "--start-date", help="기간의 첫날 (YYYY-MM-DD)")]
End = Annotated[str, typer.Option("-e", "--end-date", help="기간의 마지막 날 (YYYY-MM-DD)")]
Email = Annotated[bool, typer.Option("--email", help="보고서를 메일로 보냅니다.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=512, help="동시에 부르는 모델 호출 수")
]
NoLongerNeeded = Annotated[
    int | None, typer.Option(min=0, help="예전 옵션. 저절로 이어서 하므로 이제 쓰이지 않습니다.")
]


@app.command(
    epilog="예: batch-platform chats batch -d 2026-11-19 --dry-run"
    "   |   batch-platform chats batch -s 2026-11-01 -e 2026-11-07 --workers 32 --email"
)
def batch(
    day: Day = "",
    start: Start = "",
    end: End = "",
    parallel: Annotated[
        bool | None, typer.Option("--parallel/--no-parallel", help="여러 질문을 동시에 묻습니다.")
    ] = None,
    workers: Workers = None,
    questions_per_call: Annotated[
        int | None, typer.Option(min=1, max=50, help="한 호출에 담는 질문 수")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="부르지 않고 질문, 호출, 토큰, 비용만 셉니다.")
    ] = False,
    email: Email = False,
    retry_quarantined: Annotated[
        bool,
        typer.Option("--retry-quarantined", help="보류된 질문을 한 번 더 묻습니다(다시 과금)."),
    ] = False,
    replace_imported: Annotated[
        bool,
        typer.Option(
            "--replace-imported", help="이전 시스템에서 가져온 분류도 새로 묻습니다(과금)."
        ),
    ] = False,
    start_index: NoLongerNeeded = None,
    chunk_size: NoLongerNeeded = None,
) -> None:
    """하루 또는 기간의 질문을 분류합니다. 이미 답이 있는 질문은 다시 묻지 않습니다."""
    from batch_platform.cli import chat_work
    from batch_platform.resources.roles import active_settings

    settings = _tuned(
        active_settings(),
        parallel_enabled=True if workers and parallel is None else parallel,
        parallel_workers=workers,
        questions_per_call=questions_per_call,
    )
    days = _days(settings, day, start, end)
    for name, value in (("--start-index", start_index), ("--chunk-size", chunk_size)):
        if value is not None:
            err.print(f"{name}는 이제 필요 없습니다. 끝난 질문은 다시 묻지 않습니다.")
    if dry_run:
        chat_work.show_dry_runs(settings, days)
    else:
        chat_work.run_days(
            settings,
            days,
            chat_work.CLASSIFY,
            is_reported=email,
            is_mailed=email,
            retry_quarantined=retry_quarantined,
            replaces_imported=replace_imported,
        )


@app.command(
    epilog="예: batch-platform chats report"
    "   |   batch-platform chats report -s 2026-11-01 -e 2026-11-07 -o 주간.xlsx"
)
def report(
    day: Day = "",
    start: Start = "",
    end: End = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="만들 파일. 기본: 보고서 폴더에")
    ] = None,
    email: Email = False,
) -> None:
    """분류된 날의 엑셀 보고서를 만듭니다."""
    from batch_platform.cli import chat_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    days = _days(settings, day, start, end)
    if output is None and len(days) == 1:
        chat_work.run_days(settings, days, (), is_reported=True, is_mailed=email)
    else:
        chat_work.report_period(settings, days[0], days[-1], output, is_mailed=email)


@app.command(
    epilog="예: batch-platform chats complete   |   batch-platform chats complete 2026-11-19"
)
def complete(
    day: Annotated[str, typer.Argument(help="하루 (YYYY-MM-DD). 기본: 어제")] = "",
    workers: Workers = None,
) -> None:
    """분류, 보고서, 메일을 한 번에 합니다 (run_batch.sh complete)."""
    from batch_platform.cli import chat_work
    from batch_platform.resources.roles import active_settings

    settings = _tuned(active_settings(), parallel_workers=workers)
    days = _days(settings, day, "", "")
    chat_work.run_days(settings, days, chat_work.CLASSIFY, is_reported=True, is_mailed=True)


@app.command(epilog="예: batch-platform chats review   |   chats review --month 2026-10 --email")
def review(
    week: Annotated[
        str, typer.Option("--week", help="그 날이 든 주 (월~일, YYYY-MM-DD). 기본: 지난주")
    ] = "",
    month: Annotated[str, typer.Option("--month", help="달 (YYYY-MM)")] = "",
    email: Annotated[bool, typer.Option("--email", help="결과를 메일로도 보냅니다.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="보기만 합니다: 기록도 메일도 없습니다.")
    ] = False,
) -> None:
    """지난 한 주나 한 달에 빠진 날과 질문을 원본과 견주어 봅니다. 빠진 것이 있으면 종료 코드 1."""
    from batch_platform.cli import chat_work
    from batch_platform.resources.roles import active_settings

    if week and month:
        raise typer.BadParameter("--week 와 --month 는 함께 쓸 수 없습니다.")
    settings = active_settings()
    first = _month(settings, month) if month else _monday(settings, week)
    is_month = bool(month)
    if dry_run:
        is_whole = chat_work.show_review(settings, first, is_month=is_month)
    else:
        is_whole = chat_work.run_review(settings, first, is_month=is_month, is_mailed=email)
    if not is_whole:
        raise typer.Exit(1)


@app.command(epilog="예: batch-platform chats archive   |   batch-platform chats archive 2026-10")
def archive(
    month: Annotated[str, typer.Argument(help="달 (YYYY-MM). 기본: 지난달")] = "",
) -> None:
    """한 달의 보고서를 파일 하나(ZIP)에 모읍니다. 없는 보고서는 다시 만듭니다."""
    from batch_platform.cli import chat_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    chat_work.run_archive(settings, _month(settings, month))


@missing_app.command(
    "check", epilog="예: batch-platform chats missing check -s 2026-11-01 -e 2026-11-19"
)
def missing_check(start: Start, end: End) -> None:
    """분류가 빠진 날과 질문 수를 보입니다. 빠진 것이 있으면 종료 코드 1."""
    from batch_platform.cli import chat_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    if chat_work.show_missing(settings, _days(settings, "", start, end)):
        raise typer.Exit(1)


@missing_app.command(
    "process", epilog="예: batch-platform chats missing process -s 2026-11-01 -e 2026-11-19"
)
def missing_process(start: Start, end: End, email: Email = False, workers: Workers = None) -> None:
    """빠진 날을 찾아 보이고 분류합니다."""
    _fill_missing(start, end, email, workers)


@missing_app.command(
    "auto", epilog="예: batch-platform chats missing auto -s 2026-11-01 -e 2026-11-19 --email"
)
def missing_auto(start: Start, end: End, email: Email = False, workers: Workers = None) -> None:
    """빠진 날을 찾아 보이고, 분류하고, 다시 확인합니다. 그래도 빠지면 종료 코드 1."""
    from batch_platform.cli import chat_work

    settings, days = _fill_missing(start, end, email, workers)
    if chat_work.show_missing(settings, days):
        raise typer.Exit(1)


def _fill_missing(
    start: str, end: str, email: bool, workers: int | None
) -> tuple[Settings, list[date]]:
    from batch_platform.cli import chat_work
    from batch_platform.resources.roles import active_settings

    settings = _tuned(active_settings(), parallel_workers=workers)
    days = _days(settings, "", start, end)
    found = chat_work.show_missing(settings, days)
    if found:
        chat_work.run_days(settings, found, chat_work.CLASSIFY, is_reported=email, is_mailed=email)
        out.print(f"{len(found)}일을 채웠습니다.")
    return settings, days


def _days(settings: Settings, day: str, start: str, end: str) -> list[date]:
    """The days that a command is about.

    Raises:
        PermanentError: A text is no date, a day is not over yet or before the platform's first.
    """
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
    _not_before_the_first(settings, days[0])
    return days


def _monday(settings: Settings, day: str) -> date:
    """The Monday of a day's week, or of the last week; the week is over.

    Raises:
        PermanentError: The text is no date, or the week is not over or before the first day.
    """
    zone = settings.platform.zone
    last = week_before(today(utc_now, zone))
    named = past_day(day, utc_now, zone) if day else last
    monday = named - timedelta(days=named.weekday())
    if monday > last:
        raise PermanentError(
            f"The week of {named} is not over yet", f"The last one that is began on {last}"
        )
    return _not_before_the_first(settings, monday)


def _month(settings: Settings, text: str) -> date:
    """A month's first day, or that of the last month; the month is over.

    Raises:
        PermanentError: The text is no month, or it is not over or before the first day.
    """
    last = month_before(today(utc_now, settings.platform.zone))
    try:
        month = date.fromisoformat(f"{text}-01") if text else last
    except ValueError:
        raise PermanentError(f"{text!r} is not a month", "Write it like 2026-10") from None
    if month > last:
        raise PermanentError(f"{text} is not over yet", f"The last month that is is {last:%Y-%m}")
    _not_before_the_first(settings, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1))
    return month


def _not_before_the_first(settings: Settings, day: date) -> date:
    if day < settings.chats.first_day:
        raise PermanentError(
            f"{day} is before the first day of the platform, {settings.chats.first_day}",
            "Set CHATS_FIRST_DAY to an earlier day",
        )
    return day


def _tuned(settings: Settings, **changes: int | bool | None) -> Settings:
    """The settings with what a command's options change; None changes nothing."""
    changed: Mapping[str, object] = {
        name: value for name, value in changes.items() if value is not None
    }
    return settings.model_copy(update={"chats": settings.chats.model_copy(update=changed)})
