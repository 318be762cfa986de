"""What the commands about backups and snapshots do.

Imports all that they need, so `backups` imports this file only inside a command.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import typer

from batch_platform.cli.console import MADE_UP, err, marked, out, progress_bars, show_table
from batch_platform.cli.runs import run_job, show_run
from batch_platform.core.days import today, utc_now
from batch_platform.core.errors import PlatformError
from batch_platform.core.settings import BackupsSettings, Settings
from batch_platform.domains.backups.folder import BackupFolder
from batch_platform.domains.backups.models import Backup, State
from batch_platform.domains.backups.restore import (
    find_backup,
    require_whole,
    restore_database,
    restore_targets,
)
from batch_platform.domains.backups.verification import verify as verify_backup
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import open_platform_db

_STATES = {
    State.GOOD: "[green]복원 확인됨[/green]",
    State.READABLE: "[cyan]읽기 확인됨[/cyan]",
    State.UNVERIFIED: "[yellow]확인 안 됨[/yellow]",
    State.CHANGED: "[red]바뀜[/red]",
    State.BAD: "[red]나쁨[/red]",
    State.ORPHANED: "[red]앞 백업 없음[/red]",
}


def tuned(settings: Settings, **changes: Any) -> Settings:
    """The settings with what a command's options change; None changes nothing."""
    changed = {name: value for name, value in changes.items() if value is not None}
    known = settings.backups.model_dump()
    # Read again, so that an option obeys the setting's rules.
    fields = BackupsSettings.model_fields
    values = {
        str(fields[name].validation_alias): value for name, value in {**known, **changed}.items()
    }
    return settings.model_copy(update={"backups": BackupsSettings.model_validate(values)})


def create(settings: Settings) -> None:
    """Back up now.

    Raises:
        typer.Exit: It failed; it has been said why.
    """
    _say_made_up(settings)
    day = today(utc_now, settings.platform.zone) - timedelta(days=1)
    result = run_job("backups_database_job", day.isoformat(), settings=settings)
    show_run(day.isoformat(), result)
    if not result.is_success or result.failed_checks:
        raise typer.Exit(2 if result.is_misconfigured else 1)


def show_backups(settings: Settings) -> bool:
    """Show every backup; tell whether one of them can be used."""
    _say_made_up(settings)
    folder = BackupFolder(settings.backup_folder)
    backups = folder.backups()
    if not backups:
        out.print(
            f"{folder.path}에 백업이 없습니다. 만들기: batch-platform backups create",
            markup=False,
            soft_wrap=True,
        )
        return False
    show_table(
        f"백업 · {folder.path}",
        ["이름", "날짜", "MB", "행", "압축", "상태", "확인한 때", "내용"],
        [_row(backup, settings) for backup in reversed(backups)],
        right=(2, 3),
    )
    return any(backup.is_usable for backup in backups)


def verify(settings: Settings, name: str, *, everything: bool, method: str) -> bool:
    """Check backups and show what was found; tell whether all are good."""
    _say_made_up(settings)
    if everything:
        names = [each.backup_id for each in BackupFolder(settings.backup_folder).backups()]
        found = [find_backup(each, settings) for each in names]
    else:
        found = [find_backup(name, settings)]
    db = _db_if_it_answers(settings)
    all_good = True
    for folder, manifest in found:
        at = tuned(settings, folder=folder.path)
        with progress_bars() as bars:
            seen = verify_backup(
                manifest.backup_id,
                db=db,
                settings=at,
                clock=utc_now,
                method=method,
                progress=bars(manifest.backup_id),
            )
        way = "복원해 비교함" if seen.method == "restore" else "끝까지 읽음(복원은 안 함)"
        if seen.is_good:
            out.print(f"[green]좋음[/green] {manifest.backup_id} · {way} · {seen.seconds:.1f}초")
        else:
            all_good = False
            out.print(f"[red]나쁨[/red] {manifest.backup_id} · {way}")
            for problem in seen.problems:
                out.print(f"  - {problem}", markup=False, soft_wrap=True)
    return all_good


def restore(
    settings: Settings,
    name: str,
    *,
    only: Sequence[str],
    into: str | None,
    beside: bool,
    is_sure: bool,
) -> None:
    """Restore databases of a dump after a person said yes.

    Raises:
        PlatformError: Nothing was changed, and why.
        typer.Exit: The person said no.
    """
    _say_made_up(settings)
    folder, manifest = find_backup(name, settings)
    require_whole(manifest, folder)
    targets = restore_targets(manifest, settings, only=only, into=into)
    show_table(
        f"복원할 것 · {manifest.backup_id} · {manifest.day}까지",
        ["데이터베이스", "어디로", "테이블", "행", "지금 있는 것"],
        [
            (
                target.database.name,
                target.db.address,
                f"{len(target.database.tables):,}",
                f"{sum(table.rows for table in target.database.tables):,}",
                _what_is_there(target.table_count, beside),
            )
            for target in targets
        ],
        right=(2, 3),
    )
    if not is_sure and any(target.table_count for target in targets) and not beside:
        typer.confirm("있던 데이터베이스를 바꿀까요?", abort=True, err=True)
    for target in targets:
        done = restore_database(
            manifest, target, folder=folder, settings=settings, clock=utc_now, beside=beside
        )
        out.print(
            f"[green]복원됨[/green] {done.address} · 테이블 {done.table_count:,}개,"
            f" {done.row_count:,}행이 백업 때와 같음 · {done.seconds:.1f}초",
            soft_wrap=True,
        )
        if done.kept_as:
            out.print(
                f"  있던 것은 {done.kept_as}에 남아 있습니다. 확인한 뒤 지우세요.", soft_wrap=True
            )


def _row(backup: Backup, settings: Settings) -> tuple[object, ...]:
    manifest, seen = backup.manifest, backup.verification
    return (
        backup.backup_id,
        manifest.day if manifest else "-",
        f"{manifest.size_bytes / 1e6:,.1f}" if manifest else "-",
        f"{manifest.row_count:,}" if manifest and manifest.row_count else "-",
        manifest.codec if manifest else "-",
        marked(_STATES[backup.state]),
        f"{seen.verified_at.astimezone(settings.platform.zone):%Y-%m-%d %H:%M}" if seen else "-",
        backup.problem or (manifest.note if manifest else ""),
    )


def _what_is_there(table_count: int | None, beside: bool) -> str:
    if not table_count:
        return "없음"
    return f"테이블 {table_count:,}개" + (" (그대로 둠)" if beside else " → 이름을 바꿔 남김")


def _db_if_it_answers(settings: Settings) -> PlatformDb | None:
    """The platform's database, or None: a backup is looked at when that is what broke."""
    try:
        return open_platform_db(settings)
    except PlatformError as error:
        err.print(f"[yellow]기록은 남기지 못합니다[/yellow]: {error}", soft_wrap=True)
        return None


def _say_made_up(settings: Settings) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)
