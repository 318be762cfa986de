"""What the chats commands do: run the platform's assets day by day, and show what came of it.

Imports all that a run needs, so `chats` imports this file only inside a command.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import typer

from batch_platform.cli.console import MADE_UP, err, out, show_table
from batch_platform.cli.runs import run_job, show_run
from batch_platform.core.days import utc_now
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.delivery import mail_report
from batch_platform.domains.chats.dry_run import DryRun, estimate_day
from batch_platform.domains.chats.missing import missing_days
from batch_platform.domains.chats.models import KeptArchive, MissingDay
from batch_platform.domains.chats.review import kept_archive, review_month, review_week
from batch_platform.domains.chats.store import ChatStore
from batch_platform.domains.chats.workflow import write_period_report
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.resources.roles import bulk_llm, chat_source

CLASSIFY = ("chats/raw_chats", "chats/classifications", "chats/published_keywords")
_JOB = "chats_night_job"
_NEVER = "가져오지 않음"
_REPORT = "chats/report"
_MAIL = "chats/report_mail"


def run_days(
    settings: Settings,
    days: Sequence[date],
    assets: Sequence[str],
    *,
    is_reported: bool,
    is_mailed: bool,
    retry_quarantined: bool = False,
    replaces_imported: bool = False,
) -> None:
    """Run assets for each day in turn; a day that fails does not keep the others from running.

    Settings that are wrong fail every day the same way: then the first one ends it.

    Raises:
        typer.Exit: A day failed; it has been said which and why.
    """
    _say_made_up(settings)
    chosen = [*assets, *([_REPORT] if is_reported else []), *([_MAIL] if is_mailed else [])]
    asked_for = {"retry_quarantined": retry_quarantined, "replaces_imported": replaces_imported}
    classifying = {"config": {name: True for name, is_so in asked_for.items() if is_so}}
    run_config = {"ops": {"chats__classifications": classifying}} if classifying["config"] else None
    failed: list[str] = []
    for day in days:
        result = run_job(
            _JOB, day.isoformat(), settings=settings, assets=chosen, run_config=run_config
        )
        show_run(day.isoformat(), result)
        if not result.is_success:
            failed.append(day.isoformat())
        if result.is_misconfigured:
            raise typer.Exit(2)
    if failed and len(days) > 1:
        err.print(
            f"[red]{len(days)}일 가운데 {len(failed)}일이 실패했습니다[/red]: {', '.join(failed)}"
        )
    if failed:
        raise typer.Exit(1)


def report_period(
    settings: Settings, start: date, end: date, output: Path | None, *, is_mailed: bool
) -> None:
    """Write a workbook that is no day's partition: of several days, or where a person wants it.

    Raises:
        NoDataError: Nothing of the period is classified.
        ConfigurationError: The folder or the mail server is wrong.
        RetryableError: The disk is full, or the mail server does not answer.
    """
    _say_made_up(settings)
    db = open_platform_db(settings)
    file = write_period_report(start, end, db=db, settings=settings, clock=utc_now, output=output)
    out.print(
        f"[green]보고서[/green] {file.path} · {file.rows:,}행 · {file.size_bytes:,}바이트",
        soft_wrap=True,
    )
    if is_mailed:
        delivery = mail_report(
            start,
            end,
            workbook=file.path,
            db=db,
            mailer=Mailer(settings.mail),
            settings=settings,
            clock=utc_now,
        )
        out.print(f"메일: {delivery.note}", markup=False, soft_wrap=True)


def show_dry_runs(settings: Settings, days: Sequence[date]) -> None:
    """Show what classifying the days would take; ask and write nothing."""
    _say_made_up(settings)
    db = open_platform_db(settings)
    source, llm, store = chat_source(settings), bulk_llm(settings, db), ChatStore(db)
    runs = [
        estimate_day(
            day,
            source=source,
            llm=llm,
            settings=settings,
            imported=store.imported_questions(day),
        )
        for day in days
    ]
    columns = ["날짜", "채팅", "질문", "답 있음", "물을 것", "호출", "입력 토큰", "출력 토큰", "원"]
    show_table(
        "미리 보기 (아무것도 부르거나 쓰지 않았습니다)",
        columns,
        [_dry_row(run) for run in runs],
        right=range(1, len(columns)),
    )


def show_missing(settings: Settings, days: Sequence[date]) -> list[date]:
    """Show which of the days are not whole here, and return them."""
    found = missing_days(
        days, source=chat_source(settings), db=open_platform_db(settings), settings=settings
    )
    if not found:
        out.print("[green]빠진 것이 없습니다.[/green]")
        return []
    show_missing_days(found)
    return [day.chat_date for day in found]


def show_missing_days(found: Sequence[MissingDay]) -> None:
    """Show days that are not whole here, and why."""
    show_table(
        "빠진 날",
        ["날짜", "원본 채팅", "가져온 채팅", "빠진 질문", "이유"],
        [
            (
                day.chat_date,
                f"{day.source_rows:,}",
                _NEVER if day.landed_rows is None else f"{day.landed_rows:,}",
                "모름" if day.missing_questions is None else f"{day.missing_questions:,}",
                day.reason,
            )
            for day in found
        ],
        right=(1, 2, 3),
    )


def show_review(settings: Settings, first: date, *, is_month: bool) -> bool:
    """Show what a week or a month lacks; write and mail nothing. Tell whether it is whole."""
    _say_made_up(settings)
    look = review_month if is_month else review_week
    review = look(
        first, source=chat_source(settings), db=open_platform_db(settings), settings=settings
    )
    out.print(
        f"{review.start} ~ {review.end}: {review.day_count}일 가운데 {review.days_with_chats}일에서"
        f" 가져온 채팅 {review.chat_count:,}건, 질문 {review.question_count:,}건,"
        f" 분류 {review.classified_count:,}건, 보류 {review.quarantined_count:,}건",
        soft_wrap=True,
    )
    if review.missing:
        show_missing_days(review.missing)
    else:
        out.print("[green]빠진 날이 없습니다.[/green]")
    if review.archive is not None:
        _show_archive(review.archive)
    return review.is_whole


def run_review(settings: Settings, first: date, *, is_month: bool, is_mailed: bool) -> bool:
    """Make the review of a week or a month, and show it; tell whether it is whole.

    Raises:
        typer.Exit: It could not be made; it has been said why.
    """
    name = "monthly_review" if is_month else "weekly_review"
    config = {"ops": {f"chats__{name}": {"config": {"send": is_mailed, "again": is_mailed}}}}
    result = run_job(f"chats_{name}_job", first.isoformat(), settings=settings, run_config=config)
    show_run(first.isoformat(), result)
    if not result.is_success:
        raise typer.Exit(1)
    return show_review(settings, first, is_month=is_month)


def run_archive(settings: Settings, month: date) -> None:
    """Pack a month's workbooks into one file.

    Raises:
        typer.Exit: It could not be made; it has been said why.
    """
    _say_made_up(settings)
    result = run_job("chats_archive_job", month.isoformat(), settings=settings)
    show_run(month.isoformat(), result)
    if not result.is_success:
        raise typer.Exit(1)
    _show_archive(kept_archive(month, open_platform_db(settings), settings))


def _show_archive(archive: KeptArchive) -> None:
    if archive.path is None:
        out.print(
            "보관 파일: 없습니다."
            + (f" 보관할 보고서 {archive.lacking}개" if archive.lacking else "")
        )
        return
    lacking = f", 빠진 것 {archive.lacking}개" if archive.lacking else ""
    out.print(
        f"보관 파일: {archive.path} · 보고서 {archive.workbooks}개{lacking}",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def _say_made_up(settings: Settings) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)


def _dry_row(run: DryRun) -> tuple[str, ...]:
    cost = run.estimate
    figures = (
        run.chats,
        cost.items,
        cost.in_ledger,
        cost.to_ask,
        cost.calls,
        cost.input_tokens,
        cost.output_tokens,
    )
    return (
        run.chat_date.isoformat(),
        *(f"{figure:,}" for figure in figures),
        f"{cost.cost_krw:,.1f}",
    )
