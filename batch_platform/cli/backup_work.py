"""What the commands about backups and snapshots do.

Imports all that they need, so `backups` imports this file only inside a command.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import typer

from batch_platform.cli.console import MADE_UP, err, marked, out, progress_bars, show_table
from batch_platform.cli.runs import run_job, show_run
from batch_platform.core.days import today, utc_now
from batch_platform.core.errors import PlatformError
from batch_platform.core.settings import BackupsSettings, Settings
from batch_platform.domains.backups.chains import KINDS as CHAIN_KINDS
from batch_platform.domains.backups.chains import restore_chain
from batch_platform.domains.backups.copies import fetch_copy
from batch_platform.domains.backups.folder import BackupFolder
from batch_platform.domains.backups.models import Backup, State
from batch_platform.domains.backups.restore import (
    dump_and_changes,
    find_backup,
    require_whole,
    restore_database,
    restore_targets,
)
from batch_platform.domains.backups.retention import plan_pruning
from batch_platform.domains.backups.retention import prune as prune_backups
from batch_platform.domains.backups.snapshot_store import SnapshotStore
from batch_platform.domains.backups.table_snapshots import find_snapshot, last_week
from batch_platform.domains.backups.table_snapshots import prune_snapshots as prune_table_snapshots
from batch_platform.domains.backups.table_snapshots import restore_snapshot as put_back
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


def fetch(settings: Settings, name: str) -> str:
    """Bring a backup back from where copies are; return its id."""
    backup_id = fetch_copy(name, settings)
    out.print(f"[green]가져옴[/green] {backup_id} · {settings.backups.copy_url}", soft_wrap=True)
    return backup_id


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
    day: str,
    is_sure: bool,
) -> None:
    """Restore databases of a dump, or of a dump and changed days, after a person said yes.

    Raises:
        PlatformError: Nothing was changed, and why.
        typer.Exit: The person said no.
    """
    _say_made_up(settings)
    folder, manifest = find_backup(name, settings, until=_day(day))
    dump, changes = dump_and_changes(manifest, folder)
    require_whole(dump, folder)
    targets = restore_targets(dump, settings, only=only, into=into)
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
            dump,
            target,
            folder=folder,
            settings=settings,
            clock=utc_now,
            beside=beside,
            changes=changes,
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


def restore_server(settings: Settings, name: str, target: Path, *, day: str) -> None:
    """Put copies of a server's files together to a folder that a server starts from.

    Raises:
        PlatformError: Nothing was written, and why.
    """
    _say_made_up(settings)
    folder, manifest = find_backup(name, settings, until=_day(day), kinds=CHAIN_KINDS)
    place = target.expanduser().resolve()
    databases, rows = restore_chain(manifest, place, folder=folder, settings=settings)
    read = (
        f"서버를 띄워 데이터베이스 {databases:,}개, {rows:,}행을 모두 읽음"
        if databases
        else "파일을 하나하나 비교함(여기에는 띄울 서버 프로그램이 없음)"
    )
    out.print(f"[green]복원됨[/green] {manifest.backup_id} → {place} · {read}", soft_wrap=True)
    out.print("다음: docs/runbooks/backups.md의 '서버 폴더로 복원'", soft_wrap=True)


def prune(settings: Settings, *, is_dry_run: bool, is_sure: bool) -> None:
    """Remove old backups after a person said yes."""
    _say_made_up(settings)
    planned = plan_pruning(settings, utc_now)
    rows = [(each, "[red]지움[/red]", "") for each in planned.retention.removed]
    rows += [(each, "남김", reason) for each, reason in planned.retention.kept.items()]
    if not rows:
        out.print("백업이 없습니다.")
        return
    show_table(
        f"정리 · {settings.backups.retention_days}일 보관 · {planned.freed_bytes / 1e6:,.1f} MB",
        ["이름", "무엇을", "왜"],
        [(name, marked(what), why) for name, what, why in sorted(rows)],
    )
    if is_dry_run or not planned.retention.removed:
        return
    if not is_sure:
        typer.confirm(f"백업 {len(planned.retention.removed)}개를 지울까요?", abort=True, err=True)
    done = prune_backups(settings, utc_now, db=_db_if_it_answers(settings))
    for damaged in done.damaged:
        err.print(f"[red]손상됨[/red] {damaged}: 좋은 백업으로 치지 않고 다시 계획했습니다.")
    out.print(f"{len(done.retention.removed)}개를 지웠습니다 ({done.freed_bytes / 1e6:,.1f} MB).")


def create_snapshots(settings: Settings) -> None:
    """Copy tables now.

    Raises:
        typer.Exit: It failed; it has been said why.
    """
    _say_made_up(settings)
    week = last_week(utc_now, settings.platform.zone).isoformat()
    result = run_job("backups_snapshots_job", week, settings=settings)
    show_run(week, result)
    if not result.is_success or result.failed_checks:
        raise typer.Exit(2 if result.is_misconfigured else 1)
    show_snapshots(settings)


def show_snapshots(settings: Settings) -> None:
    """Show every copy of a table."""
    snapshots = SnapshotStore(open_platform_db(settings)).all()
    if not snapshots:
        out.print("스냅샷이 없습니다. 만들기: batch-platform snapshots create")
        return
    show_table(
        "스냅샷 (스키마 snapshots)",
        ["이름", "테이블", "행", "MB", "만든 때", ""],
        [
            (
                each.snapshot_name,
                each.source,
                f"{each.row_count:,}",
                f"{each.size_bytes / 1e6:,.1f}",
                f"{each.taken_at.astimezone(settings.platform.zone):%Y-%m-%d %H:%M}",
                "" if each.is_there else marked("[red]없어짐[/red]"),
            )
            for each in reversed(snapshots)
        ],
        right=(2, 3),
    )


def restore_snapshot(
    settings: Settings, table: str, chosen: str, *, beside: bool, is_sure: bool
) -> None:
    """Put a table back as a snapshot has it, after a person said yes."""
    _say_made_up(settings)
    db = open_platform_db(settings)
    snapshot = find_snapshot(table, chosen, db)
    out.print(
        f"{snapshot.snapshot_name} · {snapshot.row_count:,}행 → {snapshot.source}"
        + (" 옆에" if beside else ""),
        soft_wrap=True,
    )
    if not beside and not is_sure:
        typer.confirm(f"{snapshot.source}의 지금 내용을 바꿀까요?", abort=True, err=True)
    name, rows = put_back(
        snapshot, db=db, beside=beside, clock=utc_now, zone=settings.platform.zone
    )
    out.print(f"[green]복원됨[/green] {name} · 쓰거나 지운 행 {rows:,}", soft_wrap=True)


def prune_snapshots(settings: Settings, *, is_dry_run: bool, is_sure: bool) -> None:
    """Remove old copies of tables after a person said yes."""
    db = open_platform_db(settings)
    planned = prune_table_snapshots(db, settings, utc_now, is_dry_run=True)
    if not planned:
        out.print("지울 스냅샷이 없습니다.")
        return
    show_table(
        f"지울 스냅샷 · {settings.backups.snapshot_retention_days}일 보관",
        ["이름", "테이블"],
        [(each.snapshot_name, each.source) for each in planned],
    )
    if is_dry_run:
        return
    if not is_sure:
        typer.confirm(f"스냅샷 {len(planned)}개를 지울까요?", abort=True, err=True)
    gone = prune_table_snapshots(db, settings, utc_now, is_dry_run=False)
    out.print(f"{len(gone)}개를 지웠습니다.")


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}는 날짜가 아닙니다 (YYYY-MM-DD).") from None


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
