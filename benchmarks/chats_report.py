"""How long a report of 100,000 rows takes against openpyxl's `write_only` mode.

The limit is the shortest program that writes the same cells of the first sheet: no style, no
chart, no other sheet, no care for formulas or control characters. Both write the same made-up rows,
by turns in one process, each once before anything is timed; memory is a process's of its own.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from openpyxl import Workbook

from batch_platform.domains.chats.models import (
    CategoryTotal,
    ClassificationRow,
    DayTotal,
    KeywordTotal,
    QuestionTotal,
    ReportSummary,
)
from batch_platform.domains.chats.report import write_report

ROWS = 100_000
TURNS = 5
AIM = 1.4
SEOUL = ZoneInfo("Asia/Seoul")
DAY = date(2026, 11, 19)
MIDNIGHT = datetime(2026, 11, 18, 15, tzinfo=UTC)


class MadeUpReport:
    """A day of `rows` classifications, all different, made anew at every reading."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def classifications(self) -> Iterator[ClassificationRow]:
        """Two keywords for each question, as a day has."""
        for number in range(self.rows):
            yield ClassificationRow(
                chat_date=DAY,
                question=f"{number // 2}번 학생의 전학 서류는 무엇이 필요하고 어디에 내면 되나요?",
                keyword=f"전학 서류 {number % 900}",
                category_id=number % 11 + 1,
                category_name=f"카테고리 {number % 11 + 1}",
                query_count=number % 37 + 1,
                asked_at=MIDNIGHT + timedelta(seconds=number * 86_399 // self.rows),
            )

    def summary(self) -> ReportSummary:
        """Figures that fit the rows."""
        questions = self.rows // 2
        return ReportSummary(
            start=DAY,
            end=DAY,
            chat_count=questions,
            blank_count=0,
            question_count=questions,
            classified_count=questions,
            quarantined_count=0,
            unclassified_count=0,
            keyword_count=900,
            classification_rows=self.rows,
            previous_chat_count=None,
            model="sandbox",
            cost_krw=0.0,
            is_made_up=True,
            generated_at=datetime(2026, 11, 20, 1, tzinfo=SEOUL),
        )

    def category_totals(self) -> Sequence[CategoryTotal]:
        """Eleven categories."""
        return [CategoryTotal(f"카테고리 {n}", 100 - n, 1000 - n) for n in range(1, 12)]

    def day_totals(self) -> Sequence[DayTotal]:
        """One day."""
        return [DayTotal(DAY, self.rows, 0, self.rows // 2, self.rows // 2, 0, 0)]

    def keyword_totals(self, limit: int) -> Sequence[KeywordTotal]:
        """As many as are asked for."""
        return [KeywordTotal(f"전학 서류 {n}", 500 - n, 5000 - n) for n in range(limit)]

    def question_totals(self, limit: int) -> Sequence[QuestionTotal]:
        """As many as are asked for."""
        return [QuestionTotal(f"{n}번 질문", "카테고리 1", 500 - n) for n in range(limit)]


def write_bare(path: Path, source: MadeUpReport) -> None:
    """The limit: openpyxl `write_only`, the same cells, nothing else."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("채팅키워드분류")
    for row in source.classifications():
        asked_at = row.asked_at.astimezone(SEOUL).replace(tzinfo=None)
        sheet.append((row.question, row.keyword, row.category_name, row.query_count, asked_at))
    book.save(path)


def write_whole(path: Path, source: MadeUpReport) -> None:
    """The report as the platform writes it, all six sheets."""
    write_report(path, source, zone=SEOUL)


def peak_megabytes(rows: int) -> float:
    """Peak resident memory of a fresh process that writes a report of `rows` rows, in MB."""
    completed = subprocess.run(
        [sys.executable, __file__, "--memory", str(rows)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(completed.stdout)


def report_figure(rows: int = ROWS, turns: int = TURNS) -> dict[str, dict[str, float | str]]:
    """Measure, print what was measured, and return the figures by name.

    Returns:
        `report_ratio`: median over the turns of our time to the limit's; `report_peak_mb`: memory.
    """
    source = MadeUpReport(rows)
    with tempfile.TemporaryDirectory() as folder:
        writers: tuple[Callable[[Path, MadeUpReport], None], ...] = (write_bare, write_whole)
        seconds: list[list[float]] = [[], []]
        for turn in range(turns + 1):
            for writer, taken in zip(writers, seconds, strict=True):
                start = time.perf_counter()
                writer(Path(folder) / f"{writer.__name__}.xlsx", source)
                if turn:
                    taken.append(time.perf_counter() - start)
    bare, whole = (statistics.median(taken) for taken in seconds)
    ratio = statistics.median(ours / limit for limit, ours in zip(*seconds, strict=True))
    peak, small_peak = peak_megabytes(rows), peak_megabytes(rows // 100)
    print(f"report of {rows:,} rows, {turns} turns")
    print(f"  openpyxl write_only, same cells alone  {bare:6.2f} s")
    print(f"  the whole report                       {whole:6.2f} s   ratio {ratio:.2f}")
    print(f"  peak memory {peak:.0f} MB; of a report of {rows // 100:,} rows {small_peak:.0f} MB")
    return {
        "report_ratio": {"value": round(ratio, 3), "aim": AIM, "better": "lower"},
        "report_peak_mb": {"value": round(peak, 1), "aim": 512, "better": "lower"},
    }


def _print_own_peak(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_whole(Path(folder) / "report.xlsx", MadeUpReport(rows))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(kilobytes / 1000 if sys.platform == "linux" else kilobytes / 1e6)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        _print_own_peak(int(sys.argv[2]))
    else:
        print(json.dumps({"figures": report_figure()}))
