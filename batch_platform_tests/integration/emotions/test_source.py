"""Posts come from a CSV, an Excel file or a database; every row is a post or told of."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from batch_platform.core.errors import ConfigurationError
from batch_platform.domains.emotions.models import Post
from batch_platform.domains.emotions.source import PostSource, Unreadable
from batch_platform_tests.given_settings import settings_of

DAY = date(2026, 11, 20)
HEADER = ["post_id", "comment_id", "구분", "title", "content", "depth", "views", "likes"]
ROWS = [
    ["1", "", "게시글", "제목", "내용\n둘째 줄", "0", "1,024", "3"],
    ["1", "7", "댓글", "", "=좋아요", "1", "", ""],
    ["", "", "게시글", "열쇠 없음", "x", "", "", ""],
]


def found_in(source: object, **variables: object) -> list[Post | Unreadable]:
    settings = settings_of(EMOTIONS_SOURCE=str(source), **variables)
    return list(PostSource(settings.emotions, ZoneInfo("Asia/Seoul")).posts(DAY))


def as_csv(path: Path, encoding: str) -> Path:
    lines = [",".join(f'"{cell}"' for cell in row) for row in [HEADER, *ROWS]]
    path.write_text("\n".join(lines), encoding=encoding)
    return path


def check(found: list[Post | Unreadable]) -> None:
    first, second, third = found
    assert first == Post(DAY, "1", None, "게시글", "제목", "내용\n둘째 줄", 0, 1024, 3)
    assert isinstance(second, Post)
    assert (second.key, second.kind, second.content) == ("1_7", "댓글", "=좋아요")
    assert third == Unreadable(3, "it has no key")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_a_csv_is_read_in_the_encodings_that_people_have(tmp_path: Path, encoding: str) -> None:
    check(found_in(as_csv(tmp_path / "posts.csv", encoding)))


def test_an_excel_file_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [HEADER, *ROWS]:
        sheet.append(row)
    sheet["E3"].data_type = "s"
    sheet["A2"].value, sheet["G2"].value = 1, 1024
    book.save(tmp_path / "posts.xlsx")
    check(found_in(tmp_path / "posts.xlsx"))


def test_a_database_is_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "posts.sqlite")) as db, db:
        db.execute(f"CREATE TABLE posts ({', '.join(f'{name} TEXT' for name in HEADER)})")
        db.executemany(f"INSERT INTO posts VALUES ({', '.join('?' * len(HEADER))})", ROWS)
    check(found_in(f"sqlite:///{tmp_path / 'posts.sqlite'}"))


def test_columns_have_the_names_of_the_settings_and_days(tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text(
        "review_id,when,review\n1,2015-08-01,좋다\n2,2015.08.02,싫다\n3,20150803 10:00,음\n"
        "4,2015-08-03T23:30:00+00:00,밤\n5,언젠가,모름\n"
    )
    found = found_in(
        file,
        EMOTIONS_COLUMN_POST_ID="review_id",
        EMOTIONS_COLUMN_CONTENT="review",
        EMOTIONS_COLUMN_DATE="when",
    )
    days = [each.post_date.day if isinstance(each, Post) else each.reason for each in found]
    assert days == [1, 2, 3, 4, "its date cannot be read"]


def test_what_is_wrong_with_a_source_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no file"):
        found_in(tmp_path / "nowhere.csv")
    file = tmp_path / "posts.csv"
    file.write_text("id,text\n1,a\n")
    with pytest.raises(ConfigurationError, match="has no column post_id; it has id, text"):
        found_in(file)
    (tmp_path / "posts.xlsx").write_text("no workbook")
    with pytest.raises(ConfigurationError, match="is no Excel file"):
        found_in(tmp_path / "posts.xlsx")
    with pytest.raises(ConfigurationError, match="EMOTIONS_SOURCE is not set"):
        list(PostSource(settings_of().emotions, ZoneInfo("Asia/Seoul")).posts(DAY))


def test_dates_of_a_workbook_are_dates(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["post_id", "content", "date"])
    sheet.append([1.0, "좋다", date(2026, 11, 3)])
    book.save(tmp_path / "posts.xlsx")
    (found,) = found_in(tmp_path / "posts.xlsx", EMOTIONS_COLUMN_DATE="date")
    assert found == Post(date(2026, 11, 3), "1", None, "post", "", "좋다")
