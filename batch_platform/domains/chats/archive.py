"""The monthly archive: a month's own workbook and those of its days in one ZIP file."""

import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from batch_platform.core.days import Clock, days_between
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.report import report_file_name
from batch_platform.domains.chats.store import ChatStore
from batch_platform.domains.chats.workflow import write_period_report
from batch_platform.gateways.files import atomic_file
from batch_platform.gateways.platform_db import PlatformDb


@dataclass(frozen=True)
class MonthArchive:
    """An archive that was written; `path` is None for a month without chats."""

    path: Path | None
    workbooks: int
    size_bytes: int
    days_without_chats: int


def archive_month(month: date, *, db: PlatformDb, settings: Settings, clock: Clock) -> MonthArchive:
    """Write `채팅키워드분류보고서_2026-10.zip` into the report folder's `archive`.

    A day's workbook that is not in the folder is made from the database first.

    Args:
        month: The month's first day.
        db: The platform's database.
        settings: The report folder and the organisation.
        clock: The time that goes into new workbooks.

    Raises:
        ConfigurationError: The folder cannot be written.
        RetryableError: The disk is full; an older archive is still whole.
    """
    month, last = month_of(month)
    reported, day_count = _reported_days(month, db), sum(1 for _ in days_between(month, last))
    if not reported:
        return MonthArchive(None, 0, 0, day_count)
    folder = settings.chats_report_folder
    workbooks = [write_period_report(month, last, db=db, settings=settings, clock=clock).path]
    for day in reported:
        path = folder / report_file_name(day, day)
        if not path.exists():
            write_period_report(day, day, db=db, settings=settings, clock=clock)
        workbooks.append(path)
    archive = archive_path(month, settings)
    with atomic_file(archive, setting="CHATS_REPORT_FOLDER") as temporary:
        _write_zip(temporary, workbooks)
    silent = day_count - len(reported)
    return MonthArchive(archive, len(workbooks), archive.stat().st_size, silent)


def month_of(day: date) -> tuple[date, date]:
    """The first and the last day of a day's month."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def archive_path(month: date, settings: Settings) -> Path:
    """Where a month's archive stands."""
    name = f"채팅키워드분류보고서_{month:%Y-%m}.zip"
    return settings.chats_report_folder / "archive" / name


def workbook_names(month: date, db: PlatformDb) -> list[str]:
    """What belongs into a month's archive: its own workbook and those of its days with chats."""
    reported = _reported_days(month, db)
    days = [report_file_name(day, day) for day in reported]
    return [report_file_name(*month_of(month)), *days] if reported else []


def _reported_days(month: date, db: PlatformDb) -> list[date]:
    counts = ChatStore(db).day_counts(*month_of(month))
    return [day.chat_date for day in counts if day.classified_count]


def _write_zip(target: Path, files: list[Path]) -> None:
    # Workbooks are compressed already: storing them is as small and much faster.
    with ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.write(file, ZipInfo.from_file(file, file.name).filename)
