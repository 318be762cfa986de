"""`batch-platform retention`: what is removed because it is older than it is kept."""

import os
from typing import Annotated

import typer

from batch_platform.cli.console import out, show_table

app = typer.Typer(help="오래된 실행, 답, 로그, 보고서를 지웁니다.", no_args_is_help=True)

_KINDS = {
    "runs": ("아무것도 만들지 않은 실행", "RETENTION_RUN_DAYS"),
    "run_details": ("실행의 자세한 기록", "RETENTION_RUN_DAYS"),
    "answers": ("모델의 답", "RETENTION_ANSWER_DAYS"),
    "logs": ("로그", "RETENTION_LOG_DAYS, RETENTION_LOG_GB"),
    "reports": ("보고서", "RETENTION_REPORT_DAYS"),
}


@app.callback()
def root() -> None:
    """오래된 실행, 답, 로그, 보고서를 지웁니다."""


@app.command(epilog="예: batch-platform retention run --dry-run   |   batch-platform retention run")
def run(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="세기만 하고 지우지 않습니다.")
    ] = False,
) -> None:
    """보관 기간이 지난 것을 지웁니다. 무엇을 만들었는지의 기록과 보관된 묶음은 남습니다."""
    import dagster as dg

    from batch_platform.cli.runs import dagster_home
    from batch_platform.core.days import utc_now
    from batch_platform.gateways.platform_services import open_platform_db
    from batch_platform.operations.retention_assets import free_all
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    with dg.DagsterInstance.get() as instance:
        freed = free_all(
            settings, utc_now, open_platform_db(settings), instance, is_dry_run=dry_run
        )
    show_table(
        "지울 것" if dry_run else "지운 것",
        ["무엇", "개수", "MB", "설정"],
        [
            (
                _KINDS[each.kind][0],
                f"{each.count:,}",
                f"{each.size_bytes / 1e6:,.1f}",
                _KINDS[each.kind][1],
            )
            for each in freed
        ],
        right=(1, 2),
    )
    if not any(each.count for each in freed):
        out.print("보관 기간이 지난 것이 없습니다.")
