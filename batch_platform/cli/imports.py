"""`batch-platform import`: what the old systems had done is taken over, listed and taken back.

What an option means is decided here; what a command does with it is in `import_work`.
"""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from batch_platform.core.days import days_between

app = typer.Typer(
    help="이전 시스템이 해 둔 일을 가져옵니다. 가져온 것은 다시 묻거나 받거나 보내지 않습니다.",
    epilog="처음이라면 --dry-run으로 미리 보세요. 안내: docs/migrating.md",
    no_args_is_help=True,
)

Files = Annotated[
    list[Path] | None,
    typer.Argument(help="내보낸 파일 (CSV, JSON, Excel). 여러 개 가능", show_default=False),
]
Start = Annotated[str, typer.Option("-s", "--start-date", help="이 날부터만 (YYYY-MM-DD)")]
End = Annotated[str, typer.Option("-e", "--end-date", help="이 날까지만 (YYYY-MM-DD)")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="아무것도 쓰지 않고 무엇을 가져올지만 보입니다.")
]
Model = Annotated[
    str, typer.Option("--model", help="이전 시스템이 쓰던 모델 (표에 출처로 남습니다)")
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help="읽을 수 없는 행이 있는 날만 빼고 가져옵니다. 없으면 하나도 가져오지 않습니다.",
    ),
]


@app.command(
    epilog="예: batch-platform import chats --dry-run   |   "
    "batch-platform import chats 채팅키워드분류보고서_2026-11-19.xlsx 예전분류.csv"
)
def chats(
    files: Files = None,
    start: Start = "",
    end: End = "",
    model: Model = "",
    mailed: Annotated[
        bool,
        typer.Option(
            "--mailed/--not-mailed",
            help="그 날들의 보고서를 이전 시스템이 이미 메일로 보냈는지 (그러면 다시 보내지 않음)",
        ),
    ] = True,
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
) -> None:
    """분류된 질문을 가져옵니다: 예전 보고서(.xlsx), 표의 CSV, 또는 원본 표에서 곧바로."""
    from batch_platform.cli import import_work

    import_work.import_chats(
        files or [],
        import_work.Options(_wanted(start, end), skip_bad, dry_run),
        model=model,
        was_mailed=mailed,
    )


@app.command(
    epilog="예: batch-platform import fortunes --dry-run   |   "
    "batch-platform import fortunes fortuneresult.json --placeholder '운세를 준비 중'"
)
def fortunes(
    files: Files = None,
    start: Start = "",
    end: End = "",
    model: Model = "",
    placeholder: Annotated[
        list[str] | None,
        typer.Option(
            "--placeholder",
            help="모델이 실패했을 때 이전 시스템이 넣던 글. 이 말이 든 행은 가져오지 않습니다.",
        ),
    ] = None,
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
) -> None:
    """쓰인 운세를 가져옵니다: core_fortuneresult의 CSV나 dumpdata(JSON), 또는 앱의 표에서."""
    from batch_platform.cli import import_work

    import_work.import_fortunes(
        files or [],
        import_work.Options(_wanted(start, end), skip_bad, dry_run),
        model=model,
        placeholders=placeholder or [],
    )


@app.command(
    epilog="예: batch-platform import stocks daily_prices.csv stocks.csv --dry-run"
    "   |   batch-platform import stocks prices-*.csv stocks.csv -s 2024-01-01"
)
def stocks(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="daily_prices와 stocks 표의 CSV. 시장은 stocks에서 읽습니다", show_default=False
        ),
    ],
    start: Start = "",
    end: End = "",
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
) -> None:
    """모아 둔 시세를 가져옵니다: 예전 daily_prices 표의 CSV. 그 날은 거래소에 묻지 않습니다."""
    from batch_platform.cli import import_work

    import_work.import_stocks(files, import_work.Options(_wanted(start, end), skip_bad, dry_run))


@app.command(
    epilog="예: batch-platform import interventions --dry-run"
    "   |   batch-platform import interventions interventionrecord.json"
)
def interventions(
    files: Files = None,
    start: Start = "",
    end: End = "",
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
) -> None:
    """권고를 가져옵니다: InterventionRecord의 CSV나 dumpdata(JSON), 또는 서비스의 표에서."""
    from batch_platform.cli import import_work

    import_work.import_interventions(
        files or [], import_work.Options(_wanted(start, end), skip_bad, dry_run)
    )


@app.command(
    epilog="예: batch-platform import emotions analysis_history.csv results.json --dry-run"
)
def emotions(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="이력(history) CSV, 결과 CSV/JSON, 배치 상태 JSON. 이력은 꼭 있어야 합니다",
            show_default=False,
        ),
    ],
    start: Start = "",
    end: End = "",
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
) -> None:
    """분석 이력을 가져옵니다. 최근에 같은 모델로 분석한 글은 다시 보내지 않습니다."""
    from batch_platform.cli import import_work

    import_work.import_emotions(files, import_work.Options(_wanted(start, end), skip_bad, dry_run))


@app.command("list", epilog="예: batch-platform import list")
def list_() -> None:
    """가져온 기록을 보입니다."""
    from batch_platform.cli import import_work

    import_work.show_imports()


@app.command(epilog="예: batch-platform import undo 3   |   batch-platform import undo 3 --yes")
def undo(
    import_id: Annotated[int, typer.Argument(help="import list의 번호", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="묻지 않고 되돌립니다.")] = False,
) -> None:
    """가져온 것을 되돌립니다. 그 뒤 플랫폼이 만든 것은 그대로 둡니다."""
    from batch_platform.cli import import_work

    import_work.undo(import_id, is_confirmed=yes)


def _wanted(start: str, end: str) -> tuple[date, date]:
    """The first and last day that are taken; all of them by default."""
    try:
        first = date.fromisoformat(start) if start else date.min
        last = date.fromisoformat(end) if end else date.max
    except ValueError:
        raise typer.BadParameter("날짜는 2026-11-19처럼 씁니다.") from None
    if start and end:
        next(days_between(first, last))
    return first, last
