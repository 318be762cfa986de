"""`batch-platform backups` and `snapshots`: making, listing, checking, restoring, removing.

What an option means is decided here; what a command does with it is in `backup_work`.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="데이터베이스를 백업하고, 복원되는지 확인하고, 복원합니다.", no_args_is_help=True
)
snapshots_app = typer.Typer(
    help="테이블을 데이터베이스 안에 복사해 두고 되돌립니다.", no_args_is_help=True
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
    if cleanup_only or retention_days is not None:
        backup_work.prune(settings, is_dry_run=False, is_sure=True)


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
    day: Annotated[
        str, typer.Option("--day", help="이 날까지 담긴 가장 최근 백업 (YYYY-MM-DD)")
    ] = "",
    to_folder: Annotated[
        Path | None,
        typer.Option("--to-folder", help="서버 파일 백업을 합쳐 새 서버 폴더로 만듭니다."),
    ] = None,
    from_copy: Annotated[
        bool, typer.Option("--from-copy", help="BACKUP_COPY_URL의 사본을 먼저 가져옵니다.")
    ] = False,
    beside: Annotated[
        bool, typer.Option("--beside", help="지금 것은 두고 옆에 새 이름으로 복원합니다.")
    ] = False,
    yes: Yes = False,
) -> None:
    """백업을 복원합니다. 비교가 끝난 뒤에 바꾸며, 있던 것은 이름을 바꿔 남깁니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    if from_copy:
        name = backup_work.fetch(settings, name)
    if to_folder is not None:
        backup_work.restore_server(settings, name, to_folder, day=day)
    else:
        backup_work.restore(
            settings, name, only=database or [], into=into, beside=beside, day=day, is_sure=yes
        )


@app.command(
    epilog="예: batch-platform backups prune --dry-run"
    "   |   batch-platform backups prune --retention-days 30 --yes"
)
def prune(
    retention_days: RetentionDays = None,
    keep_monthly: Annotated[
        int | None, typer.Option("--keep-monthly", min=0, help="매달 첫 백업을 더 남길 개월 수")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """오래된 백업을 지웁니다. 마지막으로 좋은 백업과 그것에 필요한 것은 남깁니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    settings = backup_work.tuned(
        active_settings(), retention_days=retention_days, keep_monthly=keep_monthly
    )
    backup_work.prune(settings, is_dry_run=dry_run, is_sure=yes)


@snapshots_app.command("create", epilog="예: batch-platform snapshots create")
def create_snapshots() -> None:
    """주식 테이블과 SNAPSHOT_TABLES를 같은 순간으로 복사합니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    backup_work.create_snapshots(active_settings())


@snapshots_app.command("list", epilog="예: batch-platform snapshots list")
def list_snapshots() -> None:
    """모든 스냅샷을 보입니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    backup_work.show_snapshots(active_settings())


@snapshots_app.command(
    "restore",
    epilog="예: batch-platform snapshots restore stocks.daily_prices"
    "   |   batch-platform snapshots restore daily_prices --snapshot 20261122_020000 --beside",
)
def restore_snapshot(
    table: Annotated[str, typer.Argument(help="테이블 (schema.table) 또는 스냅샷 이름")],
    snapshot: Annotated[
        str, typer.Option("--snapshot", help="YYYYMMDD_HHMMSS. 기본: 가장 최근")
    ] = "",
    beside: Annotated[
        bool, typer.Option("--beside", help="테이블은 두고 옆에 새 테이블로 복원합니다.")
    ] = False,
    yes: Yes = False,
) -> None:
    """테이블 하나를 스냅샷의 내용으로 되돌립니다. 한 트랜잭션이며, 다른 행만 씁니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    backup_work.restore_snapshot(active_settings(), table, snapshot, beside=beside, is_sure=yes)


@snapshots_app.command("prune", epilog="예: batch-platform snapshots prune --days 7 --dry-run")
def prune_snapshots(
    days: Annotated[
        int | None,
        typer.Option("--days", "--retention-days", min=1, help="보관 일수. 기본: 설정값"),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """오래된 스냅샷을 지웁니다. 테이블마다 마지막 것은 남깁니다."""
    from batch_platform.cli import backup_work
    from batch_platform.resources.roles import active_settings

    settings = backup_work.tuned(active_settings(), snapshot_retention_days=days)
    backup_work.prune_snapshots(settings, is_dry_run=dry_run, is_sure=yes)
