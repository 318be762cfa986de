"""What only SQLite does: times are texts, in two shapes, and a wrong path would be a new file."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batch_platform.core.errors import ConfigurationError, PermanentError, RetryableError
from batch_platform.gateways.source_db import SourceDatabase

DAY = date(2026, 11, 19)
SEOUL = ZoneInfo("Asia/Seoul")
MakeSource = Callable[..., SourceDatabase]


@pytest.fixture
def chats_at(tmp_path: Path) -> MakeSource:
    def make(*times: object) -> SourceDatabase:
        file = tmp_path / "chat.db"
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE chattings (input_text TEXT, created_at DATETIME)")
            connection.executemany(
                "INSERT INTO chattings VALUES ('x', ?)", [(time,) for time in times]
            )
        return SourceDatabase(f"sqlite:///{file}", SEOUL)

    return make


def times_of_day(source: SourceDatabase) -> list[datetime]:
    with source.open_day("chattings", {"at": "created_at"}, "created_at", DAY) as rows:
        return sorted(row["at"] for batch in rows.batches() for row in batch.to_pylist())


def test_both_shapes_of_a_time_are_read_to_the_edges_of_the_day(chats_at: MakeSource) -> None:
    source = chats_at(
        *("2026-11-18 23:59:59.999999", "2026-11-18T23:59:59.999999"),
        *("2026-11-19 00:00:00", "2026-11-19T00:00:00.5", "2026-11-19"),
        *("2026-11-19 23:59:59.999999", "2026-11-19T23:59:59"),
        *("2026-11-20 00:00:00", "2026-11-20T00:00:00", "2026-11-20"),
    )
    midnight, second = (
        datetime(2026, 11, 18, 15, tzinfo=UTC),
        datetime(2026, 11, 19, 14, 59, 59, 0, UTC),
    )
    assert times_of_day(source) == [
        *(midnight, midnight, midnight.replace(microsecond=500_000)),
        *(second, second.replace(microsecond=999_999)),
    ]


def test_what_is_no_time_at_all_is_counted(chats_at: MakeSource) -> None:
    source = chats_at(
        None, 1_763_510_400, "", "yesterday", "0000-00-00 00:00:00", "2026-11-19 08:00"
    )
    assert source.undated_count("chattings", "created_at") == 5
    assert len(times_of_day(source)) == 1


@pytest.mark.parametrize("time", ["2026-11-19 25:00:00", "2026-11-19T08:00:00+09:00"])
def test_a_time_that_cannot_be_taken_for_local_stops_the_day(
    chats_at: MakeSource, time: str
) -> None:
    with pytest.raises(
        PermanentError, match="created_at of chattings holds a text that is no time"
    ):
        times_of_day(chats_at(time))


def test_a_missing_file_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(ConfigurationError, match=r"missing\.db of CHAT_URL does not exist"):
        SourceDatabase(f"sqlite:///{missing}", SEOUL, url_variable="CHAT_URL")
    assert not missing.exists()


def test_a_file_of_something_else_is_an_error(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("not a database, but long enough to be taken for one" * 50)
    source = SourceDatabase(f"sqlite:///{other}", SEOUL)
    with pytest.raises(ConfigurationError, match="not an SQLite database"):
        source.check_reachable()


def test_a_file_that_another_program_writes_is_worth_another_try(
    chats_at: MakeSource, tmp_path: Path
) -> None:
    chats_at()
    source = SourceDatabase(f"sqlite:///{tmp_path / 'chat.db'}?timeout=0.1", SEOUL)
    with closing(sqlite3.connect(tmp_path / "chat.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RetryableError, match="Another program is writing"):
            source.count_day("chattings", "created_at", DAY)
