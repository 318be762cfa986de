"""Old exports are read as they are: their encodings, their kinds, and the line of each row."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.gateways.table_files import (
    as_date,
    as_number,
    as_time,
    as_whole,
    column_texts,
    read_rows,
)
from batch_platform.sandbox.old_exports import write_csv, write_dumpdata

SEOUL = ZoneInfo("Asia/Seoul")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_a_csv_is_read_in_the_encoding_that_it_was_written_in(
    tmp_path: Path, encoding: str
) -> None:
    path = write_csv(
        tmp_path / "a.csv", ["질문", "수"], [["여러\n줄", 1], ["둘", 2]], encoding=encoding
    )
    assert [(row.place, row.values) for row in read_rows(path)] == [
        ("a.csv:2", {"질문": "여러\n줄", "수": "1"}),
        ("a.csv:4", {"질문": "둘", "수": "2"}),
    ]


def test_json_comes_as_a_list_a_line_or_dumpdata(tmp_path: Path) -> None:
    rows = [{"a": 1}, {"a": 2}]
    whole, lines = tmp_path / "a.json", tmp_path / "b.jsonl"
    whole.write_text(json.dumps(rows))
    lines.write_text('{"a": 1}\n\nnope\n[3]\n{"a": 2}')
    assert [row.values for row in read_rows(whole)] == rows
    assert [(row.place, row.problem) for row in read_rows(lines) if row.problem] == [
        ("b.jsonl:3", "JSON이 아닙니다"),
        ("b.jsonl:4", "JSON 객체가 아닙니다"),
    ]
    dumped = write_dumpdata(tmp_path / "c.json", "app.model", [{"user_id": 7, "x": None}])
    assert [row.values for row in read_rows(dumped)] == [{"id": 1, "user": 7, "x": None}]


def test_a_workbooks_table_may_stand_below_a_title(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.create_sheet("표")
    for cells in (["제목"], ["이름", "날"], ["가", date(2026, 11, 20)]):
        sheet.append(cells)
    path = tmp_path / "a.xlsx"
    workbook.save(path)
    (row,) = read_rows(path, sheet="표")
    assert (row.place, as_date(row.values["날"])) == ("a.xlsx:3", date(2026, 11, 20))
    with pytest.raises(PermanentError, match="has no sheet 없음"):
        list(read_rows(path, sheet="없음"))


def test_what_is_no_table_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "odd.csv").write_bytes(b"a\n\xff\xff\xff\n")
    (tmp_path / "a.xlsx").write_text("no zip")
    (tmp_path / "a.rds").write_text("")
    with pytest.raises(NoDataError, match="is empty"):
        list(read_rows(tmp_path / "empty.csv"))
    with pytest.raises(PermanentError, match="neither UTF-8 nor CP949"):
        list(read_rows(tmp_path / "odd.csv"))
    with pytest.raises(PermanentError, match="no Excel file"):
        list(read_rows(tmp_path / "a.xlsx"))
    with pytest.raises(PermanentError, match="no CSV, JSON or Excel"):
        list(read_rows(tmp_path / "a.rds"))
    with pytest.raises(NoDataError, match="There is no file"):
        list(read_rows(tmp_path / "none.csv"))


@given(st.lists(st.booleans(), max_size=60))
def test_columns_keep_the_line_of_each_row_whatever_is_broken_between(
    tmp_path_factory: pytest.TempPathFactory, is_whole: list[bool]
) -> None:
    path = tmp_path_factory.getbasetemp() / "columns.csv"
    lines = ["a,b", *("x,y" if whole else "z" for whole in is_whole)]
    path.write_text("\n".join(lines) + "\n")
    batches = list(column_texts(path, ["b"]))
    found = [line for batch in batches for line in batch.lines]
    assert found == [number for number, whole in enumerate(is_whole, 2) if whole]
    told = [line for batch in batches for line, _ in batch.broken]
    assert not batches or told == [number for number, whole in enumerate(is_whole, 2) if not whole]


def test_values_are_read_as_people_and_machines_write_them() -> None:
    assert [as_whole(each) for each in ("1,234", "5.0", 7, "-3")] == [1234, 5, 7, -3]
    assert as_whole("9007199254740993") == 9007199254740993
    assert [as_date(each) for each in ("20261120", "2026/11/20", "2026-11-20 09:00:00")] == [
        date(2026, 11, 20)
    ] * 3
    local, instant = "2026-11-20 01:00:00", "2026-11-20T01:00:00Z"
    assert as_time(local, SEOUL) == datetime(2026, 11, 19, 16, tzinfo=UTC)
    assert as_time(instant, SEOUL) == datetime(2026, 11, 20, 1, tzinfo=UTC)
    for reader, value in ((as_whole, "1.5"), (as_number, "NaN"), (as_number, True), (as_date, "")):
        with pytest.raises(ValueError, match="아닙니다"):
            reader(value)
