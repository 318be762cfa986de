"""`batch-platform fortunes`: the old command with its options, and a look at one user's fortune.

What an option means is decided here; what a command does with it is in `fortune_work`.
"""

from datetime import date, timedelta
from typing import Annotated

import typer

from batch_platform.core.days import today, utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.core.settings import Settings

app = typer.Typer(help="사용자마다 내일의 운세를 만듭니다.", no_args_is_help=True)

UserId = Annotated[str, typer.Option("--user-id", help="앱의 사용자 번호")]


@app.command(
    epilog="예: batch-platform fortunes generate --dry-run"
    "   |   batch-platform fortunes generate --date 2026-11-20 --workers 20"
    "   |   batch-platform fortunes generate --user-id 42"
)
def generate(
    base_date: Annotated[
        str,
        typer.Option(
            "--date", help="기준일 (YYYY-MM-DD). 그 다음 날의 운세를 만듭니다. 기본: 오늘"
        ),
    ] = "",
    user_id: UserId = "",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=512, help="동시에 부르는 모델 호출 수")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="부르지 않고 사용자, 호출, 토큰, 비용만 셉니다.")
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="실패한 사용자를 지금 다시 묻습니다(다시 과금)."),
    ] = False,
    replace_imported: Annotated[
        bool,
        typer.Option("--replace-imported", help="이전 시스템에서 가져온 운세도 새로 씁니다(과금)."),
    ] = False,
) -> None:
    """기준일 다음 날의 운세를 대상 사용자마다 만듭니다. 답이 있으면 다시 묻지 않습니다."""
    from batch_platform.cli import fortune_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    if workers is not None:
        fortunes = settings.fortunes.model_copy(update={"workers": workers})
        settings = settings.model_copy(update={"fortunes": fortunes})
    day = _day(base_date, settings, last_in_days=0) + timedelta(days=1)
    if day < settings.fortunes.first_day:
        raise PermanentError(
            f"{day} is before the first day of the fortunes, {settings.fortunes.first_day}",
            "Set FORTUNES_FIRST_DAY to an earlier day",
        )
    if dry_run:
        fortune_work.show_dry_run(settings, day, user_id or None)
    elif user_id:
        fortune_work.make_one_user(settings, day, user_id, replaces_imported=replace_imported)
    else:
        fortune_work.make_day(
            settings, day, retry_failed=retry_failed, replaces_imported=replace_imported
        )


@app.command(epilog="예: batch-platform fortunes show --user-id 42 --date 2026-11-22")
def show(
    user_id: UserId,
    for_date: Annotated[
        str, typer.Option("--date", help="운세의 날 (YYYY-MM-DD). 기본: 오늘")
    ] = "",
) -> None:
    """한 사용자의 운세를 보입니다. 없거나 실패했으면 이유를 보이고 종료 코드 1."""
    from batch_platform.cli import fortune_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    if not fortune_work.show_one(settings, _day(for_date, settings, last_in_days=1), user_id):
        raise typer.Exit(1)


def _day(text: str, settings: Settings, *, last_in_days: int) -> date:
    """Read a day, today by default.

    Raises:
        PermanentError: The text is no date, or the day is too far ahead.
    """
    current = today(utc_now, settings.platform.zone)
    if not text:
        return current
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise PermanentError(f"{text!r} is not a date", "Write it like 2026-11-19") from None
    last = current + timedelta(days=last_in_days)
    if day > last:
        raise PermanentError(
            f"{day} is too far ahead in {settings.platform.timezone}",
            f"The last day that can be given is {last}",
        )
    return day
