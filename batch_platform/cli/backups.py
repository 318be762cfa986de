"""`batch-platform backups`: making, listing, checking, restoring and removing backups.

What an option means is decided here; what a command does with it is in `backup_work`.
"""

from typing import Annotated

import typer

app = typer.Typer(
    help="데이터베이스를 백업하고, 복원되는지 확인하고, 복원합니다.", no_args_is_help=True
)

BackupName = Annotated[
    str, typer.Argument(help="백업 이름 또는 그 폴더. 기본: 확인된 가장 최근 백업")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="묻지 않습니다.")]
RetentionDays = Annotated[
    int | None,
    typer.Option("--retention-days", "--days", min=1, help="보관 일수. 기본: 설정값"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="무엇을 할지 보이기만 합니다.")]


@app.command(
    epilog="예: batch-platform backups create"
    "   |   batch-platform backups create --codec gzip --compression-level 6"
)
def create(
    codec: Annotated[
        str | None, typer.Option(help="auto, zstd, lz4, gzip, none 가운데 하나")
    ] = None,
    level: Annotated[
        int | None,
        typer.Option("--compression-level", "--compress-level", min=0, max=22, help="압축 수준"),
    ] = None,
    read_only_check: Annotated[
        bool,
        typer.Option("--read", help="복원 대신 끝까지 읽기만 합니다(빠르지만 증명이 약함)."),
    ] = False,
    cleanup_only: Annotated[
        bool, typer.Option("--cleanup-only", help="백업하지 않고 오래된 것만 지웁니다(예전 옵션).")
    ] = False,
    retention_days: RetentionDays = None,
) -> None:
    """지금 모든 데이터베이스를 백업하고, 시험 복원으로 확인합니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    settings = backup_work.tuned(
        active_settings(),
        codec=codec,
        level=level,
        check="read" if read_only_check else None,
        retention_days=retention_days,
    )
    if not cleanup_only:
        backup_work.create(settings)


@app.command("list", epilog="예: batch-platform backups list")
def list_() -> None:
    """모든 백업과 그 상태를 보입니다. 쓸 수 있는 것이 없으면 종료 코드 1."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    if not backup_work.show_backups(active_settings()):
        raise typer.Exit(1)


@app.command(
    epilog="예: batch-platform backups verify"
    "   |   batch-platform backups verify dump_20261121_010003 --read"
)
def verify(
    name: BackupName = "",
    everything: Annotated[bool, typer.Option("--all", help="모든 백업을 확인합니다.")] = False,
    read: Annotated[
        bool, typer.Option("--read", help="복원하지 않고 끝까지 읽기만 합니다.")
    ] = False,
) -> None:
    """백업을 시험 데이터베이스에 복원해 목록과 비교합니다. 나쁜 것이 있으면 종료 코드 1."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    if name and everything:
        raise typer.BadParameter("이름과 --all 은 함께 쓸 수 없습니다.")
    method = "read" if read else "restore"
    if not backup_work.verify(active_settings(), name, everything=everything, method=method):
        raise typer.Exit(1)


@app.command(
    epilog="예: batch-platform backups restore"
    "   |   batch-platform backups restore /mnt/usb/dump_20261121_010003 --yes"
)
def restore(
    name: BackupName = "",
    database: Annotated[
        list[str] | None, typer.Option("--database", help="이 데이터베이스만. 여러 번 쓸 수 있음")
    ] = None,
    into: Annotated[
        str | None, typer.Option("--into", help="복원할 곳의 주소 (postgresql://…/이름)")
    ] = None,
    beside: Annotated[
        bool, typer.Option("--beside", help="지금 것은 두고 옆에 새 이름으로 복원합니다.")
    ] = False,
    yes: Yes = False,
) -> None:
    """백업을 복원합니다. 비교가 끝난 뒤에 바꾸며, 있던 것은 이름을 바꿔 남깁니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    backup_work.restore(
        active_settings(), name, only=database or [], into=into, beside=beside, is_sure=yes
    )
