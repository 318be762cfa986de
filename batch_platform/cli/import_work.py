"""What the import commands do: plan, show, write partition by partition, tell Dagster, take back.

Imports all that a domain needs, so `imports` imports this file only inside a command.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

import typer

from batch_platform.cli.console import (
    MADE_UP,
    err,
    marked,
    out,
    person,
    progress_bars,
    show_error,
    show_table,
)
from batch_platform.cli.runs import opened_instance
from batch_platform.core.days import utc_now
from batch_platform.core.settings import Settings
from batch_platform.domains.chats import import_store as chat_import_store
from batch_platform.domains.chats import importing as chat_import
from batch_platform.domains.emotions import import_store as emotion_import_store
from batch_platform.domains.emotions import importing as emotion_import
from batch_platform.domains.fortunes import import_store as fortune_import_store
from batch_platform.domains.fortunes import importing as fortune_import
from batch_platform.domains.interventions import import_store as intervention_import_store
from batch_platform.domains.interventions import importing as intervention_import
from batch_platform.domains.stocks.market import importing as price_import
from batch_platform.domains.stocks.market.store import remove_imported as remove_imported_prices
from batch_platform.gateways.import_book import (
    WRITTEN,
    ImportBook,
    Importer,
    ImportPlan,
    ImportRecord,
    PlannedPartition,
    chosen,
    note_undone,
    take_back_rows,
)
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.gateways.sent_mails import forget_sent_elsewhere
from batch_platform.gateways.table_files import FoundRow, read_rows
from batch_platform.orchestration.import_records import forget_import, record_import
from batch_platform.resources.roles import (
    active_settings,
    chat_source,
    fortune_source,
    intervention_source,
)

_MOST_BAD_ROWS = 30
_MOST_PARTITIONS = 31

_REMOVES: Mapping[str, Callable[[PartitionTransaction, str, int], int]] = {
    chat_import.SYSTEM: chat_import_store.remove_imported,
    fortune_import.SYSTEM: fortune_import_store.remove_imported,
    intervention_import.SYSTEM: intervention_import_store.remove_imported,
    emotion_import.SYSTEM: emotion_import_store.remove_imported,
    price_import.SYSTEM: remove_imported_prices,
}
"""System → what deletes an import's rows of a partition; returns what is to be done again."""


@dataclass(frozen=True, slots=True)
class Options:
    """How any import is done.

    Attributes:
        days: The first and the last day that are taken.
        skips_bad: Whether partitions with a bad row are left out; else a bad row stops all.
        is_dry_run: Whether nothing is written.
    """

    days: tuple[date, date]
    skips_bad: bool
    is_dry_run: bool

    def wants(self, day: date) -> bool:
        """Whether a day is taken."""
        return self.days[0] <= day <= self.days[1]


def import_chats(files: Sequence[Path], options: Options, *, model: str, was_mailed: bool) -> None:
    """Bring in what the old chat job classified; from its own table without files."""
    settings = active_settings()
    db, source = open_platform_db(settings), chat_source(settings)
    if files:
        rows = _rows(files, sheet=chat_import.REPORT_SHEET)
        names = [path.name for path in files]
    else:
        rows = chat_import.source_rows(source, settings.chats)
        names = [settings.chats.table_keywords]
    importer = chat_import.ChatImport(
        rows,
        db=db,
        source=source,
        settings=settings,
        clock=utc_now,
        wanted=options.wants,
        options=chat_import.ChatImportOptions(model, was_mailed),
    )
    run_import(chat_import.SYSTEM, names, importer, db, settings, options)


def import_fortunes(
    files: Sequence[Path], options: Options, *, model: str, placeholders: Sequence[str]
) -> None:
    """Bring in what the old fortunes job wrote; from the app's own table without files."""
    settings = active_settings()
    db, source = open_platform_db(settings), fortune_source(settings)
    if files:
        rows = _rows(files)
        names = [path.name for path in files]
    else:
        rows = fortune_import.source_rows(source, settings.fortunes)
        names = [settings.fortunes.table_results]
    importer = fortune_import.FortuneImport(
        rows,
        db=db,
        source=source,
        settings=settings,
        clock=utc_now,
        wanted=options.wants,
        model=model,
        placeholders=placeholders,
    )
    run_import(fortune_import.SYSTEM, names, importer, db, settings, options)


def import_stocks(files: Sequence[Path], options: Options) -> None:
    """Bring in the prices that the old updater had collected."""
    settings = active_settings()
    db = open_platform_db(settings)
    importer = price_import.PriceImport(
        files, db=db, settings=settings, clock=utc_now, wanted=options.wants
    )
    names = [path.name for path in files]
    run_import(price_import.SYSTEM, names, importer, db, settings, options)


def import_interventions(files: Sequence[Path], options: Options) -> None:
    """Bring in what the old system recommended; from the service's own table without files."""
    settings = active_settings()
    db, source = open_platform_db(settings), intervention_source(settings)
    names = settings.interventions
    importer = intervention_import.InterventionImport(
        _rows(files) if files else intervention_import.source_rows(source, names),
        db=db,
        source=source,
        settings=settings,
        clock=utc_now,
        wanted=options.wants,
    )
    shown = [path.name for path in files] or [names.table_records]
    run_import(intervention_import.SYSTEM, shown, importer, db, settings, options)


def import_emotions(files: Sequence[Path], options: Options) -> None:
    """Enter what the old scripts analysed in the history."""
    settings = active_settings()
    db = open_platform_db(settings)
    importer = emotion_import.EmotionImport(
        _rows(files), db=db, settings=settings, clock=utc_now, wanted=options.wants
    )
    names = [path.name for path in files]
    run_import(emotion_import.SYSTEM, names, importer, db, settings, options)


def run_import(
    system: str,
    sources: Sequence[str],
    importer: Importer,
    db: PlatformDb,
    settings: Settings,
    options: Options,
) -> None:
    """Plan an import, show it, and unless it is a dry run do it.

    Raises:
        typer.Exit: A row cannot be imported, so that nothing was (1).
    """
    if settings.is_made_up:
        err.print(MADE_UP)
    with progress_bars() as bars:
        plan = importer.plan(bars("읽기"))
    _show_plan(plan)
    book = ImportBook(db)
    wanted = chosen(plan, skips_bad=options.skips_bad)
    if options.is_dry_run:
        out.print("미리 보기입니다. 아무것도 쓰지 않았습니다.")
    elif plan.bad_rows and not options.skips_bad:
        err.print("하나도 가져오지 않았습니다. 고쳐서 다시 하거나 --skip-bad로 그 날만 빼세요.")
    else:
        _finish_interrupted(system, book, settings)
        if wanted:
            _write(system, sources, importer, wanted, len(plan.bad_rows), book, settings)
        else:
            out.print("새로 가져올 것이 없습니다.")
    if plan.bad_rows and not options.skips_bad:
        raise typer.Exit(1)


def _write(
    system: str,
    sources: Sequence[str],
    importer: Importer,
    wanted: Sequence[str],
    refused: int,
    book: ImportBook,
    settings: Settings,
) -> None:
    import_id = book.begin(
        system,
        sources,
        by=person(),
        refused_rows=refused,
        is_made_up=settings.is_made_up,
        now=utc_now(),
    )
    with progress_bars() as bars:
        report = bars("가져오기")
        for number, partition in enumerate(wanted, 1):
            importer.write(partition, import_id, f"import {import_id}")
            report(number, len(wanted), partition)
    record = _tell_dagster(import_id, book, settings)
    out.print(
        f"[green]가져왔습니다[/green] #{import_id}: {len(wanted):,}개 파티션, {record.rows:,}행."
        f" 되돌리기: batch-platform import undo {import_id}"
    )


def _finish_interrupted(system: str, book: ImportBook, settings: Settings) -> None:
    """Tell Dagster of what an import that was ended in between had written."""
    for import_id in book.unfinished(system):
        _tell_dagster(import_id, book, settings)
        err.print(f"중단되었던 #{import_id}까지 쓴 것을 기록했습니다.")


def _tell_dagster(import_id: int, book: ImportBook, settings: Settings) -> ImportRecord:
    written = book.partitions(import_id)
    record = book.standing(import_id)
    run_id: str | None = None
    if any(each.is_complete for each in written):
        with opened_instance(settings) as instance, progress_bars() as bars:
            run_id = record_import(instance, record, written, bars("기록"))
    book.finish(import_id, run_id, utc_now())
    return record


def show_imports() -> None:
    """Show every import, the newest first."""
    settings = active_settings()
    records = ImportBook(open_platform_db(settings)).imports()
    if not records:
        out.print("가져온 것이 없습니다. 시작: batch-platform import --help")
        return
    show_table(
        "가져온 기록",
        ["번호", "시스템", "출처", "누가", "언제", "파티션", "범위", "행", "상태"],
        [_record_row(record, settings) for record in records],
        right=(0, 5, 7),
    )


def undo(import_id: int, *, is_confirmed: bool) -> None:
    """Take an import back, after asking.

    Raises:
        NotFoundError: There is none of that number.
        ConflictError: It was taken back before.
        PartitionBusyError: A run works on one of its partitions.
        typer.Exit: The person does not want to (1).
    """
    settings = active_settings()
    db = open_platform_db(settings)
    book = ImportBook(db)
    record = book.standing(import_id)
    out.print(
        f"#{import_id} {record.system}: {record.partitions:,}개 파티션 {record.rows:,}행"
        f" ({record.first_partition or '-'} … {record.last_partition or '-'})"
    )
    if not is_confirmed and not typer.confirm("되돌리면 이 일은 다시 해야 할 일이 됩니다. 할까요?"):
        raise typer.Exit(1)
    removed = take_back(record, db, settings)
    out.print(f"[green]되돌렸습니다[/green] #{import_id}: {removed:,}건이 다시 할 일이 되었습니다.")


def take_back(record: ImportRecord, db: PlatformDb, settings: Settings) -> int:
    """Delete an import's rows and what Dagster shows of it; returns what is to be done again."""
    book = ImportBook(db)
    written = book.partitions(record.import_id)
    mine = [each.partition for each in written if each.asset == WRITTEN[record.system]]
    removed = take_back_rows(record, db, mine, _REMOVES[record.system])
    if record.run_id is not None:
        with opened_instance(settings) as instance:
            forget_import(instance, record.run_id, sorted({each.asset for each in written}))
    with db.connect("undo import") as connection, connection.transaction():
        forget_sent_elsewhere(connection, record.import_id)
        note_undone(connection, record.import_id, utc_now())
    return removed


def _rows(files: Sequence[Path], *, sheet: str | None = None) -> Iterator[FoundRow]:
    return chain.from_iterable(
        read_rows(path, sheet=sheet if path.suffix.lower() == ".xlsx" else None) for path in files
    )


def _show_plan(plan: ImportPlan) -> None:
    bad = plan.bad_partitions()
    for row in plan.bad_rows[:_MOST_BAD_ROWS]:
        show_error(f"{row.place}: {row.problem}")
    if len(plan.bad_rows) > _MOST_BAD_ROWS:
        err.print(f"… 그 밖에 {len(plan.bad_rows) - _MOST_BAD_ROWS:,}행")
    for reason, count in plan.undone.items():
        out.print(f"가져오지 않음: {reason} {count:,}건 (할 일로 남습니다)")
    if not plan.partitions:
        out.print("가져올 날이 없습니다.")
        return
    shown = plan.partitions[-_MOST_PARTITIONS:]
    rows = [_plan_row(each, is_bad=each.partition in bad) for each in shown]
    total = PlannedPartition(
        f"모두 {len(plan.partitions):,}개",
        sum(each.items for each in plan.partitions),
        sum(each.known for each in plan.partitions),
        sum(each.left or 0 for each in plan.partitions),
        "" if len(shown) == len(plan.partitions) else f"마지막 {len(shown)}개만 보입니다",
    )
    show_table(
        "가져올 것",
        ["파티션", "가져옴", "이미 있음", "남는 일", ""],
        [*rows, _plan_row(total, is_bad=False)],
        right=(1, 2, 3),
    )


def _plan_row(each: PlannedPartition, *, is_bad: bool) -> tuple[object, ...]:
    note = marked("[red]읽을 수 없는 행이 있음[/red]") if is_bad else each.note
    left = "-" if each.left is None else f"{each.left:,}"
    return each.partition, f"{each.items:,}", f"{each.known:,}", left, note


def _record_row(record: ImportRecord, settings: Settings) -> tuple[object, ...]:
    zone = settings.platform.zone
    if record.undone_at is not None:
        state = marked(f"[yellow]되돌림 {record.undone_at.astimezone(zone):%m-%d %H:%M}[/yellow]")
    elif record.finished_at is None:
        state = marked("[red]중단됨[/red]")
    else:
        state = marked("[green]완료[/green]")
    span = record.first_partition or "-"
    if record.last_partition != record.first_partition:
        span += f" … {record.last_partition}"
    return (
        record.import_id,
        record.system,
        ", ".join(record.sources[:3]) + (" …" if len(record.sources) > 3 else ""),
        record.imported_by,
        f"{record.started_at.astimezone(zone):%Y-%m-%d %H:%M}",
        f"{record.partitions:,}",
        span,
        f"{record.rows:,}",
        state,
    )
