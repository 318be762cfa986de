"""The chats' Excel report: which sheets it has, what stands in them, and how it looks.

Where the figures come from is the source's business (`ReportSource`, kept by `store`); how a
workbook is written safely is `gateways.workbook`'s; the mail that carries it is `report_mail`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from openpyxl.chart import BarChart
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from batch_platform.core.errors import NoDataError
from batch_platform.core.personal_data import mask
from batch_platform.domains.chats.models import (
    CategoryTotal,
    ClassificationRow,
    DayTotal,
    KeywordTotal,
    QuestionTotal,
    ReportSummary,
)
from batch_platform.gateways.files import atomic_file
from batch_platform.gateways.workbook import (
    ACCENT,
    FONT,
    INK,
    MUTED,
    PALE,
    ROW_LIMIT,
    RULE,
    WARNING,
    Column,
    ReportWorkbook,
    Table,
    Value,
)
from batch_platform.gateways.workbook_charts import bar_chart, day_chart, place_chart

REPORT_TITLE = "채팅 키워드 분류 보고서"
MADE_UP_BANNER = "가상 데이터(샌드박스) — 실제 상담 기록이 아닙니다"
FOLDER_SETTING = "CHATS_REPORT_FOLDER"
KEYWORD_LIMIT = 100
QUESTION_LIMIT = 100

_CHART_BARS = 10
_SUMMARY_WIDTHS = (2, *[11.5] * 12, 2)
_SUMMARY_COLUMNS = range(2, 14)

_CLASSIFICATION_COLUMNS = (
    Column("질문내용", 66, "paragraph"),
    Column("키워드", 22),
    Column("카테고리", 26),
    Column("질문횟수", 11, "integer"),
    Column("생성일시", 21, "datetime"),
)
_CATEGORY_COLUMNS = (
    Column("카테고리", 30),
    Column("고유 질문 수", 14, "integer"),
    Column("질문횟수", 13, "integer"),
    Column("비율", 10, "percent"),
)
_DAY_COLUMNS = (
    Column("날짜", 13, "date"),
    Column("채팅 수", 11, "integer"),
    Column("빈 채팅", 11, "integer"),
    Column("고유 질문", 12, "integer"),
    Column("분류 완료", 12, "integer"),
    Column("분류 보류", 12, "integer"),
    Column("미분류(기타)", 15, "integer"),
    Column("분류율", 10, "percent"),
)
_KEYWORD_COLUMNS = (
    Column("순위", 8, "integer"),
    Column("키워드", 34),
    Column("고유 질문 수", 14, "integer"),
    Column("질문횟수", 13, "integer"),
)
_QUESTION_COLUMNS = (
    Column("순위", 8, "integer"),
    Column("질문내용", 84, "paragraph"),
    Column("카테고리", 28),
    Column("질문횟수", 13, "integer"),
)


class ReportSource(Protocol):
    """The figures of one report. All methods must see the same state of the data."""

    def summary(self) -> ReportSummary:
        """The figures of the whole period."""
        ...

    def classifications(self) -> Iterator[ClassificationRow]:
        """The lines of the first sheet, streamed; `summary().classification_rows` of them."""
        ...

    def category_totals(self) -> Sequence[CategoryTotal]:
        """Each final category, most asked first."""
        ...

    def day_totals(self) -> Sequence[DayTotal]:
        """Each day of the period, in order."""
        ...

    def keyword_totals(self, limit: int) -> Sequence[KeywordTotal]:
        """The keywords asked most often, most asked first."""
        ...

    def question_totals(self, limit: int) -> Sequence[QuestionTotal]:
        """The questions asked most often, most asked first."""
        ...


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report that was written.

    Attributes:
        rows: Classifications in it.
        sheets: Titles of its sheets, in order.
        size_bytes: The file's size.
        cut_cells: Cells whose text was longer than Excel allows and ends in `…(잘림)`.
    """

    path: Path
    rows: int
    sheets: tuple[str, ...]
    size_bytes: int
    cut_cells: int


def report_file_name(start: date, end: date) -> str:
    """Name of the report of a day, or of a range, as in the old system."""
    period = f"{start}" if start == end else f"{start}_{end}"
    return f"채팅키워드분류보고서_{period}.xlsx"


def write_report(
    path: Path,
    source: ReportSource,
    *,
    zone: ZoneInfo,
    org_name: str = "",
    setting: str = FOLDER_SETTING,
    row_limit: int = ROW_LIMIT,
) -> ReportFile:
    """Write a period's report, whole or not at all, in constant memory.

    The same figures (`generated_at` among them) give the same bytes.

    Args:
        path: The workbook to make or replace.
        source: The figures.
        zone: In which times are shown.
        org_name: The organisation, in footers and on the first page; may be empty.
        setting: The variable or option that chose the folder, for an error's remedy.
        row_limit: Rows that a sheet may have; the rest goes on in a further sheet.

    Raises:
        NoDataError: The period has nothing to report; nothing was written.
        ConfigurationError: The folder cannot be written to.
        RetryableError: The disk is full, or the figures changed while they were read.
    """
    summary = source.summary()
    _require_data(summary)
    book = ReportWorkbook(
        title=REPORT_TITLE,
        subtitle=_period(summary),
        organisation=org_name,
        zone=zone,
        generated_at=summary.generated_at,
        banner=MADE_UP_BANNER if summary.is_made_up else "",
    )
    book.add_stream(
        "채팅키워드분류",
        _CLASSIFICATION_COLUMNS,
        _classification_values(source),
        summary.classification_rows,
        row_limit=row_limit,
    )
    categories = _add_categories(book, source.category_totals())
    days = _add_days(book, source.day_totals())
    keywords = _add_keywords(book, source.keyword_totals(KEYWORD_LIMIT))
    _add_questions(book, source.question_totals(QUESTION_LIMIT))
    _add_summary(book, summary, org_name, categories, days, keywords)
    with atomic_file(path, setting=setting) as temporary:
        book.save(temporary)
        size = temporary.stat().st_size
    return ReportFile(path, summary.classification_rows, book.sheet_titles, size, book.cut_cells)


def _require_data(summary: ReportSummary) -> None:
    if summary.chat_count == 0:
        raise NoDataError(
            f"There are no chats in {_period(summary)}: there is nothing to report",
            "Check the date, or load the period with `batch-platform chats batch`",
        )
    if summary.classification_rows == 0:
        raise NoDataError(
            f"None of the {summary.chat_count:,} chats in {_period(summary)} is classified",
            "Classify them with `batch-platform chats batch` and make the report again",
        )


def _period(summary: ReportSummary) -> str:
    if summary.start == summary.end:
        return f"{summary.start}"
    return f"{summary.start} ~ {summary.end}"


def _classification_values(source: ReportSource) -> Iterator[tuple[Value, ...]]:
    for row in source.classifications():
        yield _masked(row.question), row.keyword, row.category_name, row.query_count, row.asked_at


def _add_categories(book: ReportWorkbook, totals: Sequence[CategoryTotal]) -> Table:
    asked = sum(total.query_count for total in totals) or 1
    table = book.add_table(
        "카테고리별통계",
        _CATEGORY_COLUMNS,
        (
            (
                total.category_name,
                total.question_count,
                total.query_count,
                total.query_count / asked,
            )
            for total in totals
        ),
    )
    chart = bar_chart(table, "카테고리별 질문횟수", 1, 3, most=20)
    _add_beside(table, chart, len(_CATEGORY_COLUMNS))
    return table


def _add_days(book: ReportWorkbook, totals: Sequence[DayTotal]) -> Table:
    table = book.add_table(
        "일별통계",
        _DAY_COLUMNS,
        (
            (
                total.chat_date,
                total.chat_count,
                total.blank_count,
                total.question_count,
                total.classified_count,
                total.quarantined_count,
                total.unclassified_count,
                total.classified_count / total.question_count if total.question_count else None,
            )
            for total in totals
        ),
    )
    if len(totals) > 1:
        _add_beside(table, _days_chart(table), len(_DAY_COLUMNS))
    return table


def _add_keywords(book: ReportWorkbook, totals: Sequence[KeywordTotal]) -> Table:
    table = book.add_table(
        "상위키워드",
        _KEYWORD_COLUMNS,
        (
            (rank, total.keyword, total.question_count, total.query_count)
            for rank, total in enumerate(totals, 1)
        ),
    )
    chart = bar_chart(table, "키워드 상위 20 (질문횟수)", 2, 4, most=20)
    _add_beside(table, chart, len(_KEYWORD_COLUMNS))
    return table


def _masked(question: str) -> str:
    # The workbook is mailed and passed on: whose number it was is nobody's business there.
    return mask(question).text


def _add_questions(book: ReportWorkbook, totals: Sequence[QuestionTotal]) -> None:
    book.add_table(
        "상위질문",
        _QUESTION_COLUMNS,
        (
            (rank, _masked(total.question), total.category_name, total.query_count)
            for rank, total in enumerate(totals, 1)
        ),
    )


def _days_chart(days: Table) -> BarChart:
    return day_chart(days, "일별 채팅 수와 고유 질문 수", days=1, columns=2, line=4)


def _add_beside(table: Table, chart: BarChart, columns: int) -> None:
    """Put a chart right of a table, and both on the printed page."""
    sheet = table.sheet
    sheet.column_dimensions[get_column_letter(columns + 1)].width = 3
    # Below the header, which is printed again on every page: a chart beside it would be, too.
    first_row, last_row = table.header_row + 1, table.header_row + 25
    first, last = get_column_letter(columns + 2), get_column_letter(columns + 8)
    place_chart(sheet, chart, f"{first}{first_row}:{last}{last_row}")
    sheet.print_area = f"A1:{last}{max(table.last_row, last_row)}"


def _add_summary(
    book: ReportWorkbook,
    summary: ReportSummary,
    org_name: str,
    categories: Table,
    days: Table,
    keywords: Table,
) -> None:
    """Add the page that a manager reads: four figures, three charts, then every figure by name."""
    sheet = book.add_page("요약정보", _SUMMARY_WIDTHS, pages_high=1)
    row = 1
    if summary.is_made_up:
        book.add_banner(sheet, row, len(_SUMMARY_COLUMNS), first_column=2)
        row += 1
    title = book.put(sheet, row, 2, REPORT_TITLE)
    title.font = Font(name=FONT, size=18, bold=True, color=ACCENT)
    title.alignment = Alignment(vertical="center")
    sheet.row_dimensions[row].height = 36
    subtitle = book.put(sheet, row + 1, 2, " · ".join(filter(None, (org_name, _period(summary)))))
    subtitle.font = Font(name=FONT, size=11, color=MUTED)
    _add_tiles(book, sheet, row + 3, summary)
    details_row = row + 7
    last_detail = _add_details(book, sheet, details_row, summary, org_name)
    chart = bar_chart(categories, "카테고리 상위 10 (질문횟수)", 1, 3, most=_CHART_BARS)
    place_chart(sheet, chart, f"G{details_row}:M{last_detail}")
    first_row, last_row = last_detail + 2, last_detail + 18
    has_days = summary.start != summary.end
    chart = bar_chart(keywords, "키워드 상위 10 (질문횟수)", 2, 4, most=_CHART_BARS)
    place_chart(sheet, chart, f"B{first_row}:{'G' if has_days else 'M'}{last_row}")
    if has_days:
        place_chart(sheet, _days_chart(days), f"H{first_row}:M{last_row}", indent_cm=0.4)
    sheet.print_area = f"A1:N{last_row}"
    book.open_on(sheet)


def _add_tiles(book: ReportWorkbook, sheet: Worksheet, row: int, summary: ReportSummary) -> None:
    tiles: list[tuple[str, Value, str, str]] = [
        ("전체 채팅", summary.chat_count, "#,##0", _against_previous(summary)),
        (
            "고유 질문",
            summary.question_count,
            "#,##0",
            f"빈 채팅 {summary.blank_count:,}건 제외",
        ),
        (
            "분류율",
            summary.classified_count / summary.question_count if summary.question_count else None,
            "0.0%",
            f"{summary.classified_count:,}건 분류 완료",
        ),
        (
            "확인 필요",
            summary.quarantined_count + summary.unclassified_count,
            "#,##0",
            f"보류 {summary.quarantined_count:,} · 미분류(기타) {summary.unclassified_count:,}",
        ),
    ]
    for index, (label, value, number_format, note) in enumerate(tiles):
        column = _SUMMARY_COLUMNS[index * 3]
        is_alarming = index == len(tiles) - 1 and bool(value)
        for offset, (content, font, height) in enumerate(
            (
                (label, Font(name=FONT, size=10, color=MUTED), 20),
                (
                    value,
                    Font(name=FONT, size=22, bold=True, color=WARNING if is_alarming else ACCENT),
                    36,
                ),
                (note, Font(name=FONT, size=9, color=MUTED), 20),
            )
        ):
            cell = book.put(sheet, row + offset, column, content)
            cell.font = font
            cell.number_format = number_format if offset == 1 else "General"
            cell.alignment = Alignment(horizontal="left", vertical="center", indent=1)
            sheet.row_dimensions[row + offset].height = height
            _fill_tile(sheet, row + offset, column)


def _fill_tile(sheet: Worksheet, row: int, column: int) -> None:
    fill = PatternFill("solid", start_color=PALE)
    left = Side(style="thick", color=ACCENT)
    gap = Side(style="thick", color="FFFFFF")
    for offset in range(3):
        cell = sheet.cell(row, column + offset)
        cell.fill = fill
        if offset == 0:
            cell.border = Border(left=left)
        elif offset == 2:
            cell.border = Border(right=gap)
    sheet.merge_cells(start_row=row, start_column=column, end_row=row, end_column=column + 2)


def _against_previous(summary: ReportSummary) -> str:
    previous = summary.previous_chat_count
    days = (summary.end - summary.start).days + 1
    name = "전일" if days == 1 else f"직전 {days}일"
    if previous is None:
        return f"{name} 기록 없음"
    change = summary.chat_count - previous
    share = f" ({change / previous:+.1%})" if previous else ""
    return f"{name} {previous:,}건 대비 {change:+,}{share}"


def _add_details(
    book: ReportWorkbook, sheet: Worksheet, row: int, summary: ReportSummary, org_name: str
) -> int:
    """List every figure by name; return the last row."""
    details: list[tuple[str, Value, str]] = [
        ("기관", org_name or "-", "General"),
        ("기간", _period(summary), "General"),
        ("전체 채팅", summary.chat_count, "#,##0"),
        ("직전 기간 채팅", summary.previous_chat_count, "#,##0"),
        ("빈 채팅", summary.blank_count, "#,##0"),
        ("고유 질문", summary.question_count, "#,##0"),
        ("분류 완료 질문", summary.classified_count, "#,##0"),
        ("분류 보류 질문", summary.quarantined_count, "#,##0"),
        ("미분류(기타) 질문", summary.unclassified_count, "#,##0"),
        ("키워드", summary.keyword_count, "#,##0"),
        ("분류 행(질문·키워드·카테고리)", summary.classification_rows, "#,##0"),
        ("모델", summary.model, "General"),
        ("모델 비용(원)", summary.cost_krw, "#,##0.0"),
        ("작성 시각", summary.generated_at, "yyyy-mm-dd hh:mm"),
    ]
    rule = Border(bottom=Side(style="hair", color=RULE))
    for number, (label, value, number_format) in enumerate(details, row):
        name = book.put(sheet, number, 2, label)
        name.font = Font(name=FONT, size=10, color=MUTED)
        name.alignment = Alignment(vertical="center", indent=1)
        figure = book.put(sheet, number, 4, value)
        figure.font = Font(name=FONT, size=10, color=INK)
        figure.number_format = number_format
        figure.alignment = Alignment(horizontal="right", vertical="center", indent=1)
        sheet.merge_cells(start_row=number, start_column=2, end_row=number, end_column=3)
        sheet.merge_cells(start_row=number, start_column=4, end_row=number, end_column=5)
        for column in range(2, 6):
            sheet.cell(number, column).border = rule
        sheet.row_dimensions[number].height = 19
    return row + len(details) - 1
