"""`batch-platform emotions`: batches of posts, from asking for them to what came of them.

What an option means is decided here; what a command does with it is in `emotion_work`.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="게시글의 감정을 모델의 배치(반값)로 분석합니다. 명령 없이 부르면 메뉴가 나옵니다."
)


MODES = ("code_check", "pilot", "sampling", "full")


def _known_mode(mode: str) -> str:
    if mode not in MODES:
        raise typer.BadParameter(f"{mode!r}은(는) 없습니다. 쓸 수 있는 것: {', '.join(MODES)}")
    return mode


Mode = Annotated[
    str,
    typer.Argument(
        help="code_check 1건, pilot 5건, sampling 통계적 표본(384건 이상), full 전부",
        callback=_known_mode,
        metavar="|".join(MODES),
        show_default=False,
    ),
]
Batch = Annotated[str, typer.Argument(help="배치 이름. 기본: 가장 최근 배치", show_default=False)]
Start = Annotated[str, typer.Option("-s", "--start", help="이 날의 글부터. 기본: 모두")]
End = Annotated[str, typer.Option("-e", "--end", help="이 날의 글까지. 기본: 모두")]
Like = Annotated[
    str, typer.Option("--like", help="이 배치와 같은 글을 다시 고릅니다 (모델 비교용).")
]
Direct = Annotated[
    bool,
    typer.Option("--direct", help="배치 대신 바로 묻습니다. 두 배쯤 비싸고, 기다리지 않습니다."),
]
NoRead = Annotated[
    bool, typer.Option("--no-read", help="원본을 다시 읽지 않고 읽어 둔 글을 씁니다.")
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="보내지 않고 대상과 비용만 봅니다. 원본의 글은 읽어 둡니다."),
]


@app.callback(invoke_without_command=True)
def menu(context: typer.Context) -> None:
    """게시글의 감정을 모델의 배치(반값)로 분석합니다. 명령 없이 부르면 메뉴가 나옵니다."""
    if context.invoked_subcommand is None:
        from batch_platform.cli import emotion_menu
        from batch_platform.resources.roles import active_settings

        emotion_menu.show_menu(active_settings())


@app.command(
    epilog="예: batch-platform emotions run pilot"
    "   |   batch-platform emotions run sampling --dry-run"
    "   |   batch-platform emotions run code_check --direct"
)
def run(
    mode: Mode,
    start: Start = "",
    end: End = "",
    like: Like = "",
    direct: Direct = False,
    no_read: NoRead = False,
    dry_run: DryRun = False,
) -> None:
    """보내고 끝날 때까지 지켜봅니다. Ctrl-C를 눌러도 배치는 제공자에서 계속됩니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    asked = emotion_work.asked(mode, start, end, like, is_direct=direct)
    if dry_run:
        emotion_work.show_dry_run(settings, asked, reads=not no_read)
        return
    key = emotion_work.submit(settings, asked, reads=not no_read)
    emotion_work.watch(settings, key)


@app.command(
    epilog="예: batch-platform emotions submit full"
    "   |   batch-platform emotions submit pilot -s 2026-11-01"
)
def submit(
    mode: Mode,
    start: Start = "",
    end: End = "",
    like: Like = "",
    no_read: NoRead = False,
    dry_run: DryRun = False,
) -> None:
    """보내기만 합니다. 나머지는 센서(up)가, 또는 watch가 합니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    asked = emotion_work.asked(mode, start, end, like, is_direct=False)
    if dry_run:
        emotion_work.show_dry_run(settings, asked, reads=not no_read)
        return
    key = emotion_work.submit(settings, asked, reads=not no_read)
    emotion_work.show_status(settings, key)


@app.command("list", epilog="예: batch-platform emotions list --limit 50")
def list_batches(
    limit: Annotated[int, typer.Option(help="몇 개까지", min=1)] = 20,
) -> None:
    """배치를 최근 것부터 보입니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    emotion_work.show_list(active_settings(), limit)


@app.command(epilog="예: batch-platform emotions status sampling-20261120-2201")
def status(batch: Batch = "") -> None:
    """한 배치의 상태, 작업, 비용을 보입니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    emotion_work.show_status(settings, emotion_work.named(settings, batch))


@app.command(epilog="예: batch-platform emotions watch sampling-20261120-2201")
def watch(batch: Batch = "") -> None:
    """끝날 때까지 지켜보고 결과를 받습니다. Ctrl-C를 눌러도 배치는 계속됩니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    emotion_work.watch(settings, emotion_work.named(settings, batch))


@app.command(epilog="예: batch-platform emotions resume sampling-20261120-2201")
def resume(batch: Batch = "") -> None:
    """멈춘 배치를 이어서 합니다. 이미 보낸 것은 다시 보내지 않습니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    emotion_work.watch(settings, emotion_work.named(settings, batch))


@app.command(epilog="예: batch-platform emotions cancel sampling-20261120-2201")
def cancel(
    batch: Annotated[str, typer.Argument(help="배치 이름")],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="묻지 않습니다.")] = False,
) -> None:
    """배치를 그만둡니다. 끝난 글의 결과는 받고, 나머지는 다시 묻지 않습니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    if not yes:
        typer.confirm(f"{batch} 배치를 그만둘까요?", abort=True)
    emotion_work.cancel(settings, batch)


@app.command(epilog="예: batch-platform emotions results sampling-20261120-2201")
def results(batch: Batch = "") -> None:
    """감정의 분포, PAD 평균, 따로 둔 글과 파일을 보입니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    emotion_work.show_results(settings, emotion_work.named(settings, batch))


@app.command(epilog="예: batch-platform emotions export sampling-20261120-2201 --to 결과.csv")
def export(
    batch: Batch = "",
    to: Annotated[
        Path, typer.Option("--to", help="만들 파일 (.csv 또는 .parquet)", show_default=False)
    ] = Path("emotions.csv"),
) -> None:
    """분석을 파일로 내보냅니다."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    emotion_work.export(settings, emotion_work.named(settings, batch), to)


@app.command(epilog="예: batch-platform emotions agreement sampling-20261120-2201 사람이_매긴.csv")
def agreement(
    first: Annotated[str, typer.Argument(help="배치 이름")],
    second: Annotated[
        str,
        typer.Argument(
            help="다른 배치 이름, 또는 사람이 매긴 CSV"
            " (post_id, comment_id, dominant_emotion, 있으면 P, A, D)"
        ),
    ],
) -> None:
    """두 분석이 얼마나 같은지 잽니다: 코헨의 카파(주 감정)와 PAD 상관."""
    from batch_platform.cli import emotion_work
    from batch_platform.resources.roles import active_settings

    emotion_work.show_agreement(active_settings(), first, second)
