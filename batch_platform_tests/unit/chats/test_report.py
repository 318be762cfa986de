"""The workbook says what the figures say, in constant memory, and opens where managers open it."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from openpyxl import load_workbook
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from batch_platform.core.errors import ConfigurationError, NoDataError, RetryableError
from batch_platform.domains.chats.models import (
    CategoryTotal,
    ClassificationRow,
    DayTotal,
    KeywordTotal,
    QuestionTotal,
    ReportSummary,
)
from batch_platform.domains.chats.report import report_file_name, write_report

SEOUL = ZoneInfo("Asia/Seoul")
DAY = date(2026, 11, 19)
SHEETS = ["채팅키워드분류", "카테고리별통계", "일별통계", "상위키워드", "상위질문", "요약정보"]
BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "chats_report.py"
ODD_QUESTIONS = [
    '=HYPERLINK("http://evil","눌러")',
    "학교폭력 😀 신고 & <b>절차</b>",
    "줄\n바꿈\x00\x1b",
    "긴 글 " * 10_000,
]


@dataclass
class Figures:
    """A report's source whose totals are counted from its rows, one classification a question."""

    rows: int = 40
    days: int = 1
    is_made_up: bool = False
    chat_count: int | None = None

    @property
    def start(self) -> date:
        return DAY - timedelta(days=self.days - 1)

    def classifications(self) -> Iterator[ClassificationRow]:
        for number in range(self.rows):
            day = self.start + timedelta(days=number % self.days)
            text = ODD_QUESTIONS[number] if number < len(ODD_QUESTIONS) else f"{number}번 질문"
            yield ClassificationRow(
                chat_date=day,
                question=text,
                keyword=f"키워드 {number % 30}",
                category_id=number % 11 + 1,
                category_name=f"카테고리 {number % 11 + 1}",
                query_count=number % 7 + 1,
                asked_at=datetime(2026, 11, 18, 15, tzinfo=UTC) + timedelta(seconds=number),
            )

    def category_totals(self) -> Sequence[CategoryTotal]:
        asked, questions = Counter[str](), Counter[str]()
        for row in self.classifications():
            asked[row.category_name] += row.query_count
            questions[row.category_name] += 1
        return [CategoryTotal(name, questions[name], count) for name, count in asked.most_common()]

    def day_totals(self) -> Sequence[DayTotal]:
        counts = Counter(row.chat_date for row in self.classifications())
        return [DayTotal(day, n + 1, 1, n, n, 0, 0) for day, n in sorted(counts.items())]

    def keyword_totals(self, limit: int) -> Sequence[KeywordTotal]:
        counts = Counter(row.keyword for row in self.classifications())
        return [KeywordTotal(name, n, n) for name, n in counts.most_common(limit)]

    def question_totals(self, limit: int) -> Sequence[QuestionTotal]:
        rows = sorted(self.classifications(), key=lambda row: -row.query_count)[:limit]
        return [QuestionTotal(row.question, row.category_name, row.query_count) for row in rows]

    def summary(self) -> ReportSummary:
        return ReportSummary(
            start=self.start,
            end=DAY,
            chat_count=self.rows + self.days if self.chat_count is None else self.chat_count,
            blank_count=self.days,
            question_count=self.rows,
            classified_count=self.rows,
            quarantined_count=0,
            unclassified_count=0,
            keyword_count=30,
            classification_rows=self.rows,
            previous_chat_count=None,
            model="HCX-005",
            cost_krw=12.5,
            is_made_up=self.is_made_up,
            generated_at=datetime(2026, 11, 20, 1, 3, tzinfo=SEOUL),
        )


def written(folder: Path, figures: Figures) -> Workbook:
    path = folder / "report.xlsx"
    write_report(path, figures, zone=SEOUL, org_name="교육청")
    return load_workbook(path)


def below(sheet: Worksheet, header_row: int = 1) -> list[tuple[object, ...]]:
    return list(sheet.iter_rows(min_row=header_row + 1, values_only=True))


def values(sheet: Worksheet, rows: int) -> list[list[object]]:
    """A sheet's values, numbers to the twelve digits that every program keeps."""
    return [
        [round(cell, 12) if isinstance(cell, float) else cell for cell in row]
        for row in sheet.iter_rows(max_row=rows, values_only=True)
    ]


def texts_of(sheet: Worksheet) -> list[str]:
    return [
        cell for row in sheet.iter_rows(values_only=True) for cell in row if isinstance(cell, str)
    ]


def test_the_sheets_are_the_old_systems_and_it_opens_on_the_summary(tmp_path: Path) -> None:
    book = written(tmp_path, Figures())
    assert book.sheetnames == SHEETS
    assert book.active is book["요약정보"]
    header = next(book["채팅키워드분류"].iter_rows(max_row=1, values_only=True))
    assert header == ("질문내용", "키워드", "카테고리", "질문횟수", "생성일시")


def test_the_first_sheet_has_a_line_for_each_classification_in_local_time(tmp_path: Path) -> None:
    lines = below(written(tmp_path, Figures(rows=40))["채팅키워드분류"])
    assert len(lines) == 40
    assert lines[0][0] == ODD_QUESTIONS[0]
    assert lines[2][0] == "줄\n바꿈"
    assert lines[10] == (
        "10번 질문",
        "키워드 10",
        "카테고리 11",
        4,
        datetime.fromisoformat("2026-11-19T00:00:10"),
    )


def test_the_sheets_agree_with_one_another(tmp_path: Path) -> None:
    figures = Figures(rows=300, days=7)
    book = written(tmp_path, figures)
    asked = sum(row.query_count for row in figures.classifications())
    assert sum(line[3] for line in below(book["채팅키워드분류"])) == asked
    categories = below(book["카테고리별통계"])
    assert sum(line[2] for line in categories) == asked
    assert sum(line[3] for line in categories) == pytest.approx(1)
    days = below(book["일별통계"])
    assert [line[0].date() for line in days] == [figures.start + timedelta(n) for n in range(7)]
    assert sum(line[3] for line in days) == 300
    assert sum(line[3] for line in below(book["상위키워드"])) == 300
    assert len(below(book["상위질문"])) == 100


def test_charts_stand_on_their_sheets_and_on_the_summary(tmp_path: Path) -> None:
    book = written(tmp_path, Figures(days=7))
    titles = {
        name: [chart.title.tx.rich.p[0].r[0].t for chart in book[name]._charts] for name in SHEETS
    }
    assert [len(titles[name]) for name in SHEETS] == [0, 1, 1, 1, 0, 3]
    for chart in book["요약정보"]._charts:
        assert "!$" in chart.series[0].val.numRef.f


def test_a_single_day_needs_no_chart_of_days(tmp_path: Path) -> None:
    book = written(tmp_path, Figures(days=1))
    assert len(book["일별통계"]._charts) == 0
    assert len(book["요약정보"]._charts) == 2


def test_the_summary_names_every_figure(tmp_path: Path) -> None:
    sheet = written(tmp_path, Figures(rows=1_234))["요약정보"]
    named = {row[1]: row[3] for row in sheet.iter_rows(values_only=True) if row[1] and row[3]}
    assert named["전체 채팅"] == 1_235
    assert named["분류 행(질문·키워드·카테고리)"] == 1_234
    assert named["모델"] == "HCX-005"
    assert named["작성 시각"] == datetime.fromisoformat("2026-11-20T01:03")


@pytest.mark.parametrize("is_made_up", [True, False])
def test_made_up_data_says_so_on_every_sheet_and_page(tmp_path: Path, is_made_up: bool) -> None:
    for sheet in written(tmp_path, Figures(is_made_up=is_made_up)):
        assert any("가상 데이터(샌드박스)" in text for text in texts_of(sheet)) is is_made_up
        assert ("가상" in (sheet.oddHeader.center.text or "")) is is_made_up


@pytest.mark.parametrize(
    ("figures", "remedy"),
    [
        (Figures(rows=0, chat_count=0), "Check the date"),
        (Figures(rows=0, chat_count=9), "Classify"),
    ],
)
def test_an_empty_period_leaves_an_older_file(
    tmp_path: Path, figures: Figures, remedy: str
) -> None:
    path = tmp_path / "report.xlsx"
    path.write_text("older")
    with pytest.raises(NoDataError, match=remedy):
        write_report(path, figures, zone=SEOUL)
    assert path.read_text() == "older"


def test_rows_that_change_while_they_are_read_leave_an_older_file(tmp_path: Path) -> None:
    class Changing(Figures):
        def summary(self) -> ReportSummary:
            return replace(super().summary(), classification_rows=self.rows + 1)

    path = tmp_path / "report.xlsx"
    path.write_text("older")
    with pytest.raises(RetryableError, match="changed"):
        write_report(path, Changing(), zone=SEOUL)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_folder_names_what_chose_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="CHATS_REPORT_FOLDER"):
        write_report(tmp_path / "file" / "report.xlsx", Figures(), zone=SEOUL)
    with pytest.raises(ConfigurationError, match="--output"):
        write_report(tmp_path / "file" / "report.xlsx", Figures(), zone=SEOUL, setting="--output")


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(tmp_path / name, Figures(), zone=SEOUL)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_was_written_is_told(tmp_path: Path) -> None:
    file = write_report(tmp_path / "report.xlsx", Figures(rows=25), zone=SEOUL, row_limit=21)
    assert file.path == tmp_path / "report.xlsx"
    assert (file.rows, file.cut_cells) == (25, 2)  # on the first sheet and among the questions
    assert file.sheets == (SHEETS[0], f"{SHEETS[0]} (2)", *SHEETS[1:])
    assert file.size_bytes == file.path.stat().st_size


def test_file_names_are_the_old_systems() -> None:
    assert report_file_name(DAY, DAY) == "채팅키워드분류보고서_2026-11-19.xlsx"
    assert (
        report_file_name(DAY - timedelta(1), DAY)
        == "채팅키워드분류보고서_2026-11-18_2026-11-19.xlsx"
    )


def test_100_000_rows_are_all_there(tmp_path: Path) -> None:
    figures = Figures(rows=100_000)
    path = tmp_path / "report.xlsx"
    write_report(path, figures, zone=SEOUL)
    book = load_workbook(path, read_only=True)
    try:
        lines = book["채팅키워드분류"].iter_rows(min_row=2, values_only=True)
        for line, row in zip(lines, figures.classifications(), strict=True):
            assert line[1:4] == (row.keyword, row.category_name, row.query_count)
    finally:
        book.close()


def test_memory_does_not_grow_with_the_rows() -> None:
    peaks = [
        float(subprocess.check_output([sys.executable, BENCHMARK, "--memory", rows]))
        for rows in ("1000", "100000")
    ]
    assert peaks[1] < peaks[0] + 15, f"{peaks[0]} MB for 1,000 rows, {peaks[1]} for 100,000"


def test_it_opens_in_libreoffice_with_the_same_values(tmp_path: Path) -> None:
    soffice = shutil.which("soffice")
    if soffice is None:
        if os.environ.get("CI"):
            pytest.fail("LibreOffice (soffice) must be installed in CI")
        pytest.skip("LibreOffice (soffice) is not installed: the report was not opened in it")
    path = tmp_path / "report.xlsx"
    write_report(path, Figures(rows=300, days=7, is_made_up=True), zone=SEOUL, org_name="교육청")
    subprocess.run(
        [
            soffice,
            f"-env:UserInstallation=file://{tmp_path}/profile",
            "--headless",
            "--convert-to",
            "xlsx:Calc MS Excel 2007 XML",
            "--outdir",
            tmp_path / "converted",
            path,
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    ours, theirs = load_workbook(path), load_workbook(tmp_path / "converted" / "report.xlsx")
    assert theirs.sheetnames == SHEETS
    for name in SHEETS:
        assert values(theirs[name], ours[name].max_row) == values(ours[name], ours[name].max_row)
        assert len(theirs[name]._charts) == len(ours[name]._charts)
