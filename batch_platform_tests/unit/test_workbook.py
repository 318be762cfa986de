"""Any text and any number of rows come out of a workbook as they went in, and as text."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.workbook.workbook import Workbook

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.workbook import (
    CELL_LIMIT,
    CUT_MARK,
    Column,
    ReportWorkbook,
    Value,
    clean_text,
)

SEOUL = ZoneInfo("Asia/Seoul")
COLUMNS = (Column("글", 40, "paragraph"), Column("수", 10, "integer"))


def new_workbook(banner: str = "") -> ReportWorkbook:
    return ReportWorkbook(
        title="보고서",
        subtitle="2026-11-19",
        organisation="A & B",
        zone=SEOUL,
        generated_at=datetime(2026, 11, 20, 1, tzinfo=SEOUL),
        banner=banner,
    )


def streamed(
    folder: Path, rows: Sequence[Sequence[Value]], columns: Sequence[Column] = COLUMNS
) -> Workbook:
    book = new_workbook()
    book.add_stream("자료", columns, iter(rows), len(rows))
    path = folder / "book.xlsx"
    book.save(path)
    return load_workbook(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workbooks")


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_text_can_be_cleaned_and_cleaning_twice_changes_nothing(text: str) -> None:
    cleaned, was_cut = clean_text(text)
    assert not was_cut
    assert clean_text(cleaned) == (cleaned, False)
    cleaned.encode()


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=[]), max_size=40), max_size=20))
@settings(max_examples=40, deadline=None)
def test_streamed_texts_come_back_as_the_same_text(folder: Path, texts: list[str]) -> None:
    sheet = streamed(folder, [(text, 1) for text in texts])["자료"]
    cells = [row[0] for row in sheet.iter_rows(min_row=2, max_row=1 + len(texts))][: len(texts)]
    assert [cell.value or "" for cell in cells] == [clean_text(text)[0] for text in texts]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr", "n"}  # n: an empty cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_what_looks_like_a_formula_is_a_text_in_both_kinds_of_table(
    folder: Path, start: str
) -> None:
    text = start + "1+cmd|' /C calc'!A0"
    book = new_workbook()
    book.add_stream("많은 행", COLUMNS, iter([(text, 1)]), 1)
    book.add_table("적은 행", COLUMNS, [(text, 1)])
    book.save(folder / "formula.xlsx")
    for sheet in load_workbook(folder / "formula.xlsx"):
        assert sheet["A2"].value == text
        assert sheet["A2"].data_type in {"s", "inlineStr"}
        assert sheet["A2"].quotePrefix  # and it stays a text when somebody edits it


def test_characters_that_excel_refuses_are_left_out() -> None:
    assert clean_text("가\x00\x0b나\ufffe\ud83d다\r\n라\r마\t바") == ("가나다\n라\n마\t바", False)


@pytest.mark.parametrize("character", ["가", "😀"])
def test_a_long_text_is_cut_where_excel_would_refuse_it_and_says_so(character: str) -> None:
    units = len(character.encode("utf-16-le")) // 2
    fits = character * (CELL_LIMIT // units)
    assert clean_text(fits) == (fits, False)
    cleaned, was_cut = clean_text(fits + character)
    assert was_cut
    assert cleaned.endswith(character + CUT_MARK)
    assert len(cleaned.encode("utf-16-le")) // 2 <= CELL_LIMIT


def test_cut_cells_are_counted(folder: Path) -> None:
    book = new_workbook()
    long = "가" * (CELL_LIMIT + 1)
    book.add_stream("많은 행", COLUMNS, iter([(long, 1), ("짧다", 1)]), 2)
    book.add_table("적은 행", COLUMNS, [(long, 1)])
    book.save(folder / "cut.xlsx")
    assert book.cut_cells == 2


def test_a_text_that_looks_like_an_escape_is_escaped(folder: Path) -> None:
    streamed(folder, [("_x0041_ <b>&", 1)])
    xml = ZipFile(folder / "book.xlsx").read("xl/worksheets/sheet1.xml").decode()
    assert "_x005F_x0041_ &lt;b&gt;&amp;" in xml


def test_numbers_and_times_keep_their_value_and_their_format(folder: Path) -> None:
    columns = (
        Column("a", 9, "decimal"),
        Column("b", 9, "percent"),
        Column("c", 9, "date"),
        Column("d", 9, "datetime"),
        Column("e", 9, "integer"),
    )
    moment = datetime(2026, 11, 18, 15, 4, 5, 999_999, tzinfo=UTC)
    row = (1.5, 0.25, date(2026, 11, 19), moment, None)
    sheet = streamed(folder, [row], columns)["자료"]
    assert [cell.value for cell in sheet[2]] == [
        1.5,
        0.25,
        datetime.fromisoformat("2026-11-19"),
        datetime.fromisoformat("2026-11-19T00:04:05"),
        None,
    ]
    assert [cell.number_format for cell in sheet[2]][:4] == [
        "#,##0.0",
        "0.0%",
        "yyyy-mm-dd",
        "yyyy-mm-dd hh:mm:ss",
    ]


def test_a_time_without_a_zone_is_refused(folder: Path) -> None:
    with pytest.raises(TypeError, match="zone"):
        streamed(folder, [(datetime.fromisoformat("2026-11-19"), 1)])


@pytest.mark.parametrize("banner", ["", "가상 데이터"])
def test_rows_beyond_a_sheets_limit_go_on_in_a_further_sheet(folder: Path, banner: str) -> None:
    book = new_workbook(banner)
    book.add_stream("자료", COLUMNS, ((f"{n}번", n) for n in range(25)), 25, row_limit=12)
    book.save(folder / "parts.xlsx")
    read = load_workbook(folder / "parts.xlsx")
    assert read.sheetnames == ["자료", "자료 (2)", "자료 (3)"]
    header = 2 if banner else 1
    values = [
        row[1] for sheet in read for row in sheet.iter_rows(min_row=header + 1, values_only=True)
    ]
    assert values == list(range(25))
    for sheet in read:
        assert sheet.max_row <= 12
        assert sheet.cell(header, 1).value == "글"
        assert sheet.auto_filter.ref == f"A{header}:B{sheet.max_row}"
        assert sheet.dimensions == f"A1:B{sheet.max_row}"


@pytest.mark.parametrize("said", [9, 11])
def test_rows_that_changed_while_they_were_read_are_an_error(folder: Path, said: int) -> None:
    book = new_workbook()
    book.add_stream("자료", COLUMNS, ((f"{n}번", n) for n in range(10)), said)
    with pytest.raises(RetryableError, match="changed"):
        book.save(folder / "changed.xlsx")


def test_a_sheet_is_ready_to_print(folder: Path) -> None:
    book = new_workbook("가상 데이터")
    book.add_stream("자료", COLUMNS, iter([("가 " * 400, 1)]), 1)
    book.save(folder / "print.xlsx")
    sheet = load_workbook(folder / "print.xlsx")["자료"]
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (1, 0)
    assert sheet.print_title_rows == "$1:$2"
    assert sheet.freeze_panes == "A3"
    assert sheet.oddHeader.center.text == "가상 데이터"
    assert sheet.oddFooter.left.text == "A && B"
    assert sheet["A1"].value == "가상 데이터"
    assert sheet.row_dimensions[3].height == 8 * 15  # however long the text is


def test_the_same_content_gives_the_same_bytes_and_only_the_given_time(folder: Path) -> None:
    contents: list[bytes] = []
    for name in ("one.xlsx", "two.xlsx"):
        book = new_workbook()
        book.add_stream("자료", COLUMNS, iter([("가", 1)]), 1)
        book.add_table("표", COLUMNS, [("가", 1)])
        book.save(folder / name)
        contents.append((folder / name).read_bytes())
    assert contents[0] == contents[1]
    properties = load_workbook(folder / "one.xlsx").properties
    assert properties.created == properties.modified == datetime.fromisoformat("2026-11-19T16:00")
