"""What the fortunes commands do: run the platform's assets, and show what came of it.

Imports all that a run needs, so `fortunes` imports this file only inside a command.
"""

import os
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, cast

import typer

from batch_platform.cli.console import MADE_UP, err, out, show_table
from batch_platform.cli.runs import run_job, show_run
from batch_platform.core.days import utc_now
from batch_platform.core.settings import Settings
from batch_platform.domains.fortunes.dry_run import estimate_day
from batch_platform.domains.fortunes.models import StoredFortune
from batch_platform.domains.fortunes.one_user import make_one
from batch_platform.domains.fortunes.store import FortuneStore
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.resources.roles import bulk_llm, fortune_source

_JOB = "fortunes_night_job"
_LABELS = {"love": "애정", "money": "재물", "work": "일", "health": "건강"}


def make_day(
    settings: Settings, day: date, *, retry_failed: bool, replaces_imported: bool = False
) -> None:
    """Run the night's job for one day.

    Raises:
        typer.Exit: It failed, or a user's fortune did; it has been said which and why.
    """
    _say_made_up(settings)
    asked_for = {"retry_failed": retry_failed, "replaces_imported": replaces_imported}
    config = {"ops": {"fortunes__daily_fortunes": {"config": asked_for}}}
    result = run_job(_JOB, day.isoformat(), settings=settings, run_config=config)
    show_run(day.isoformat(), result)
    counts = FortuneStore(open_platform_db(settings)).counts(day)
    if counts.failed:
        err.print(
            f"[yellow]{day}: {counts.eligible:,}명 가운데 {counts.failed:,}명의 운세가"
            " 실패했습니다.[/yellow] 시간이 되면 다시 시도합니다 (지금: --retry-failed)."
        )
    if result.is_misconfigured:
        raise typer.Exit(2)
    if not result.is_success or counts.failed:
        raise typer.Exit(1)


def make_one_user(
    settings: Settings, day: date, user_id: str, *, replaces_imported: bool = False
) -> None:
    """Make one user's fortune again and show it.

    Raises:
        typer.Exit: It failed; why has been said.
        PlatformError: The app, the model or the database failed.
    """
    _say_made_up(settings)
    db = open_platform_db(settings)
    fortune = make_one(
        day,
        user_id,
        db=db,
        source=fortune_source(settings),
        llm=bulk_llm(settings, db),
        settings=settings,
        clock=utc_now,
        holder=f"command {os.getpid()}",
        replaces_imported=replaces_imported,
    )
    if not _show(fortune):
        raise typer.Exit(1)


def show_dry_run(settings: Settings, day: date, user_id: str | None) -> None:
    """Show what a day would take; ask and write nothing."""
    _say_made_up(settings)
    db = open_platform_db(settings)
    run = estimate_day(
        day,
        source=fortune_source(settings),
        llm=bulk_llm(settings, db),
        settings=settings,
        user_id=user_id,
        imported=FortuneStore(db).imported_users(day),
    )
    reading, cost = run.reading, run.estimate
    show_table(
        f"{day}의 운세 · 미리 보기 (아무것도 부르거나 쓰지 않았습니다)",
        ["무엇", "값"],
        [
            (what, f"{figure:,}")
            for what, figure in (
                ("앱의 사용자", reading.source_rows),
                ("대상", reading.eligible_rows),
                ("· 그중 태어난 시각 모름", reading.unknown_hour_rows),
                ("제외: 비활성", reading.inactive_rows),
                ("제외: 생일 없음", reading.undated_rows),
                ("제외: 아직 태어나지 않음", reading.unborn_rows),
                ("제외: 생일을 읽을 수 없음", reading.unreadable_rows),
                ("답 있음", cost.in_ledger),
                ("물을 것", cost.to_ask),
                ("호출", cost.calls),
                ("입력 토큰", cost.input_tokens),
                ("출력 토큰", cost.output_tokens),
                ("원", round(cost.cost_krw)),
            )
        ],
        right=(1,),
    )


def show_one(settings: Settings, day: date, user_id: str) -> bool:
    """Show a user's fortune; tell whether there is one."""
    _say_made_up(settings)
    fortune = next(FortuneStore(open_platform_db(settings)).fortunes(day, user_id), None)
    if fortune is None:
        err.print(
            f"사용자 {user_id}의 {day} 운세가 아직 없습니다."
            f" 만들기: batch-platform fortunes generate --date {day - timedelta(days=1)}"
            f" --user-id {user_id}",
            markup=False,
        )
        return False
    return _show(fortune)


def _show(fortune: StoredFortune) -> bool:
    title = f"{fortune.for_date} {fortune.gapja_name}일 · 사용자 {fortune.user_id}"
    if fortune.data is None:
        err.print(f"{title}: 실패 ({fortune.attempts}번). {fortune.reason}", markup=False)
        if fortune.next_retry_at is not None:
            err.print(f"다음 시도: {fortune.next_retry_at:%Y-%m-%d %H:%M} UTC")
        return False
    data = cast(Mapping[str, Any], fortune.data)
    score = cast(Mapping[str, Any], fortune.score)
    rows: list[tuple[object, ...]] = [
        ("총운", data.get("overall", {}).get("score", ""), data["today_fortune_summary"]),
        *(
            (label, data[topic]["score"], data[topic]["text"])
            for topic, label in _LABELS.items()
            if topic in data
        ),
        ("오행", score.get("entropy_score", ""), data["today_element_balance_description"]),
        ("조언", "", data["today_daily_guidance"]),
    ]
    # What an old system wrote has the three texts alone.
    lucky = data.get("lucky")
    if lucky:
        luck = f"{lucky['color']} · {lucky['number']} · {lucky['direction']} · {lucky['time']}"
        rows += [
            ("하면 좋은 일", "", data["do"]),
            ("피할 일", "", data["avoid"]),
            ("행운", "", luck),
        ]
    show_table(title, ["무엇", "점수", "내용"], rows, right=(1,))
    if fortune.is_made_up:
        out.print("[yellow]가상(샌드박스)의 글입니다[/yellow]")
    return True


def _say_made_up(settings: Settings) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)
