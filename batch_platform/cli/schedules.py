"""`batch-platform schedules`: schedules listed, added, edited, paused and deleted.

What an option means is decided here; what a command does with it is in `schedule_work`.
"""

from typing import Annotated

import typer

app = typer.Typer(
    help="예약을 관리합니다. 바꾸면 다시 띄우지 않아도 곧바로 적용됩니다.", no_args_is_help=True
)

Which = Annotated[str, typer.Argument(help="예약의 이름 또는 번호", show_default=False)]
Job = Annotated[str | None, typer.Option("--job", help="실행할 작업. 예: chats_night_job")]
Frequency = Annotated[
    str | None, typer.Option("--frequency", help="daily, weekly, monthly 또는 cron")
]
At = Annotated[str | None, typer.Option("--at", help="시각 (HH:MM)")]
Weekday = Annotated[
    str | None, typer.Option("--weekday", help="weekly의 요일: 월~일, mon~sun 또는 1(월)~7(일)")
]
DayOfMonth = Annotated[
    int | None, typer.Option("--day", help="monthly의 날: 1~31. 짧은 달에는 마지막 날")
]
Cron = Annotated[
    str | None, typer.Option("--cron", help="cron 문자열: 분 시 일 월 요일. 예: '0 9 * * 1-5'")
]
Timezone = Annotated[str | None, typer.Option("--timezone", help="시각의 시간대. 예: Asia/Seoul")]
Missed = Annotated[
    str | None,
    typer.Option(
        "--missed", help="멈춰 있던 동안의 시각: all 모두, latest 마지막 하나, skip 건너뜀"
    ),
]
Partition = Annotated[
    str | None,
    typer.Option(
        "--partition",
        help="어느 날의 데이터인가: day_before, same_day, day_after, month_before, none",
    ),
]
Config = Annotated[str | None, typer.Option("--config", help="작업에 주는 Dagster 설정 (JSON)")]


@app.command("list", epilog="예: batch-platform schedules list")
def list_() -> None:
    """예약과 다음 시각을 보입니다."""
    from batch_platform.cli import schedule_work

    schedule_work.show_all()


@app.command(
    epilog="예: batch-platform schedules add 아침 --job chats_night_job --at 09:00"
    "   |   batch-platform schedules add 월말 --job chats_archive_job --frequency monthly --day 31"
)
def add(
    name: Annotated[str, typer.Argument(help="예약의 이름", show_default=False)],
    job: Annotated[str, typer.Option("--job", help="실행할 작업. 예: chats_night_job")],
    frequency: Frequency = None,
    at: At = None,
    weekday: Weekday = None,
    day: DayOfMonth = None,
    cron: Cron = None,
    timezone: Timezone = None,
    missed: Missed = None,
    partition: Partition = None,
    config: Config = None,
    paused: Annotated[bool, typer.Option("--paused", help="쉬는 채로 만듭니다.")] = False,
) -> None:
    """예약을 만듭니다. 기본: 매일 09:00, ORG_TIMEZONE, 놓친 시각은 마지막 하나."""
    from batch_platform.cli import schedule_work

    changes = schedule_work.changes_of(
        name=name, job=job, frequency=frequency, at=at, weekday=weekday, day=day, cron=cron,
        timezone=timezone, missed=missed, partition=partition, config=config,
    )  # fmt: skip
    schedule_work.add(changes, is_active=not paused)


@app.command(
    epilog="예: batch-platform schedules edit 아침 --at 08:30"
    "   |   batch-platform schedules edit 아침 --cron '0 9 * * 1-5'"
)
def edit(
    which: Which,
    name: Annotated[str | None, typer.Option("--name", help="새 이름")] = None,
    job: Job = None,
    frequency: Frequency = None,
    at: At = None,
    weekday: Weekday = None,
    day: DayOfMonth = None,
    cron: Cron = None,
    timezone: Timezone = None,
    missed: Missed = None,
    partition: Partition = None,
    config: Config = None,
) -> None:
    """예약을 바꿉니다. 적지 않은 것은 그대로이고, 지난 시각은 다시 실행하지 않습니다."""
    from batch_platform.cli import schedule_work

    changes = schedule_work.changes_of(
        name=name, job=job, frequency=frequency, at=at, weekday=weekday, day=day, cron=cron,
        timezone=timezone, missed=missed, partition=partition, config=config,
    )  # fmt: skip
    if not changes:
        raise typer.BadParameter("바꿀 것을 적어 주세요. 예: --at 08:30")
    schedule_work.edit(which, changes)


@app.command(epilog="예: batch-platform schedules pause 아침")
def pause(which: Which) -> None:
    """예약을 쉬게 합니다. 기다리던 실행은 건너뜁니다."""
    from batch_platform.cli import schedule_work

    schedule_work.set_active(which, is_active=False)


@app.command(epilog="예: batch-platform schedules resume 아침")
def resume(which: Which) -> None:
    """쉬던 예약을 다시 시작합니다. 쉬던 동안의 시각은 실행하지 않습니다."""
    from batch_platform.cli import schedule_work

    schedule_work.set_active(which, is_active=True)


@app.command(epilog="예: batch-platform schedules delete 아침")
def delete(which: Which) -> None:
    """예약을 지웁니다. 기다리던 실행은 건너뛰고, 이력은 남습니다."""
    from batch_platform.cli import schedule_work

    schedule_work.delete(which)


@app.command(epilog="예: batch-platform schedules preview 아침 -n 5")
def preview(
    which: Which,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=100, help="몇 번")] = 10,
) -> None:
    """다음 시각과 그때 처리할 날을 보입니다."""
    from batch_platform.cli import schedule_work

    schedule_work.show_preview(which, count)


@app.command(
    epilog="예: batch-platform schedules history"
    "   |   batch-platform schedules history 아침 --changes"
)
def history(
    which: Annotated[
        str, typer.Argument(help="예약의 이름 또는 번호. 기본: 모두", show_default=False)
    ] = "",
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="몇 줄")] = 20,
    changes: Annotated[
        bool, typer.Option("--changes", help="실행 대신 누가 무엇을 바꾸었는지 보입니다.")
    ] = False,
) -> None:
    """언제 무엇이 예정되었고 어떻게 되었는지 보입니다. 직접 요청한 실행도 보입니다."""
    from batch_platform.cli import schedule_work

    if changes and not which:
        raise typer.BadParameter("--changes에는 예약의 이름이나 번호가 필요합니다.")
    if changes:
        schedule_work.show_changes(which)
    else:
        schedule_work.show_history(which, count)
