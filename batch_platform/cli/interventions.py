"""`batch-platform interventions`: the old system's commands, and what a person wants to see.

What an option means is decided here; what a command does with it is in `intervention_work`.
"""

from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(help="환자의 기록으로 다음 날의 생활 습관을 권합니다.", no_args_is_help=True)


class ModeOption(StrEnum):
    """What `--mode` takes."""

    LLM = "LLM"
    RULE = "RULE"


class GubunOption(StrEnum):
    """What `--gubun` takes."""

    ALL = "all"
    SLEEP = "sleep"
    FOOD = "food"


Day = Annotated[
    str, typer.Option("-d", "--date", help="기록의 날 (YYYY-MM-DD 또는 yesterday). 기본: 어제")
]


@app.command(
    "init-schedule",
    epilog="예: batch-platform interventions init-schedule"
    "   |   batch-platform interventions init-schedule --force",
)
def init_schedule(
    force: Annotated[
        bool, typer.Option("--force", help="이미 있으면 기본값(매일 09:00)으로 되돌립니다.")
    ] = False,
) -> None:
    """기본 스케줄(매일 09:00, 어제의 기록)을 만듭니다 (예전 init_batch_schedule)."""
    from batch_platform.cli import intervention_work
    from batch_platform.resources.roles import active_settings

    intervention_work.make_usual_schedule(active_settings(), is_forced=force)


@app.command("init_batch_schedule", hidden=True)
def init_batch_schedule(force: Annotated[bool, typer.Option("--force")] = False) -> None:
    """init-schedule 의 예전 이름입니다."""
    init_schedule(force)


@app.command(
    epilog="예: batch-platform interventions run --dry-run"
    "   |   batch-platform interventions run --date 2026-11-19 --gubun sleep --mode RULE"
    "   |   batch-platform interventions run --user-id 42 --force"
)
def run(
    day: Day = "",
    user_id: Annotated[str, typer.Option("--user-id", help="이 사용자만. 기본: 모두")] = "",
    gubun: Annotated[
        GubunOption, typer.Option(help="무엇을 권할지: 전체, 수면, 식단")
    ] = GubunOption.ALL,
    mode: Annotated[
        ModeOption | None,
        typer.Option(
            help="LLM은 모델이, RULE은 규칙이 씁니다. 기본: INTERVENTIONS_MODE",
            case_sensitive=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="이미 권고가 있는 사용자도 새로 만듭니다.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="부르거나 쓰지 않고 대상과 비용만 봅니다.")
    ] = False,
) -> None:
    """하루의 권고를 만들어 서비스의 표에 씁니다. 켜진 스케줄이 없어도 실행합니다."""
    from batch_platform.cli import intervention_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    chosen = intervention_work.Asked(
        day=intervention_work.record_day(settings, day),
        user_id=user_id,
        gubun=gubun.value,
        mode=mode.value if mode else settings.interventions.mode,
        is_forced=force,
    )
    if dry_run:
        intervention_work.show_dry_run(settings, chosen)
    else:
        intervention_work.run_day(settings, chosen)


@app.command(
    epilog="예: batch-platform interventions show --user-id 42"
    "   |   batch-platform interventions show --user-id 42 --date 2026-11-19"
)
def show(
    user_id: Annotated[str, typer.Option("--user-id", help="사용자")],
    day: Day = "",
) -> None:
    """한 사용자의 권고를, 없으면 그 까닭을 보입니다. 없으면 종료 코드 1."""
    from batch_platform.cli import intervention_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    if not intervention_work.show_user(
        settings, intervention_work.record_day(settings, day), user_id
    ):
        raise typer.Exit(1)
