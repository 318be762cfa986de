"""What becomes of a day's chats on their way into the platform's database."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.core.settings import Settings, load_settings
from batch_platform.domains.chats.extraction import extract_day
from batch_platform.domains.chats.models import Extraction
from batch_platform.domains.chats.store import ChatStore
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase, SourceRows
from batch_platform_tests.large_day import (
    BLANK_EVERY,
    fill_large_day,
    land_in_a_process,
)
from batch_platform_tests.mariadb import MariaDb

DAY = date(2026, 11, 19)
SEOUL = ZoneInfo("Asia/Seoul")
Chat = tuple[object, str | None, str | None]
Fill = Callable[..., SourceDatabase]


@pytest.fixture
def settings() -> Settings:
    return load_settings()


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Make the organisation's database hold these chats and no others."""
    file = tmp_path / "chats.db"

    def fill_with(*chats: Chat) -> SourceDatabase:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DROP TABLE IF EXISTS chattings")
            connection.execute(
                "CREATE TABLE chattings (chatting_pk, input_text TEXT, created_at TEXT)"
            )
            connection.executemany("INSERT INTO chattings VALUES (?, ?, ?)", chats)
        return SourceDatabase(f"sqlite:///{file}", SEOUL)

    return fill_with


def stored(db: PlatformDb) -> list[tuple[Any, ...]]:
    return db.fetch_all(
        "SELECT chat_date, chatting_pk, input_text, created_at FROM chats.raw_chats"
        " ORDER BY chatting_pk"
    )


def recorded(db: PlatformDb) -> list[tuple[Any, ...]]:
    return db.fetch_all(
        "SELECT source_rows, landed_rows, blank_rows, mended_rows, undated_rows, warnings,"
        " is_made_up FROM chats.extractions WHERE chat_date = %s",
        [DAY],
    )


def test_a_day_lands_as_it_was_written_and_is_recorded(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    source = fill(
        (1, '학교폭력 신고 😀\n두 줄, "인용"', "2026-11-19 00:00:00"),
        (2, "=1+1", "2026-11-19T23:59:59.999999"),
        (3, "yesterday", "2026-11-18 23:59:59"),
        (4, "undated", None),
    )
    extraction = extract_day(DAY, source=source, db=platform_db, settings=settings)
    assert extraction == Extraction(DAY, 2, 2, 0, 0, 1)
    assert stored(platform_db) == [
        (DAY, "1", '학교폭력 신고 😀\n두 줄, "인용"', datetime(2026, 11, 18, 15, tzinfo=UTC)),
        (DAY, "2", "=1+1", datetime(2026, 11, 19, 14, 59, 59, 999_999, UTC)),
    ]
    assert recorded(platform_db) == [(2, 2, 0, 0, 1, [], False)]


def test_landing_twice_leaves_the_same_rows_and_what_is_gone_goes(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    chats: list[Chat] = [(1, "a", "2026-11-19 08:00:00"), (2, "b", "2026-11-19 09:00:00")]
    extract_day(DAY, source=fill(*chats), db=platform_db, settings=settings)
    first = stored(platform_db)
    extract_day(DAY, source=fill(*chats), db=platform_db, settings=settings)
    assert stored(platform_db) == first
    extract_day(DAY, source=fill(chats[0]), db=platform_db, settings=settings)
    assert stored(platform_db) == first[:1]
    assert recorded(platform_db)[0][:2] == (1, 1)


def test_an_empty_day_lands_empty_and_is_recorded(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    assert extract_day(DAY, source=fill(), db=platform_db, settings=settings).landed_rows == 0
    assert recorded(platform_db) == [(0, 0, 0, 0, 0, [], False)]


def test_a_source_that_lost_a_day_does_not_take_ours_with_it(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    extract_day(
        DAY, source=fill((1, "a", "2026-11-19 08:00:00")), db=platform_db, settings=settings
    )
    first = stored(platform_db)
    with pytest.raises(PermanentError, match="holds no chats of 2026-11-19 any more, but 1 were"):
        extract_day(DAY, source=fill(), db=platform_db, settings=settings)
    assert stored(platform_db) == first
    extract_day(DAY, source=fill(), db=platform_db, settings=settings, may_become_empty=True)
    assert stored(platform_db) == []


def test_nul_characters_are_replaced_and_counted(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    source = fill((1, "전\x00학\x00", "2026-11-19 08:00:00"), (2, "전학", "2026-11-19 08:00:00"))
    assert extract_day(DAY, source=source, db=platform_db, settings=settings).mended_rows == 1
    assert [row[2] for row in stored(platform_db)] == ["전\ufffd학\ufffd", "전학"]


def test_blank_texts_are_counted_just_as_they_are_left_out_of_the_questions(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    spaces = [
        chr(code) for code in range(0x3001) if chr(code).isspace() and code not in range(28, 32)
    ]
    blanks = ["", None, " \t\r\n", "\u200b", "\ufeff \u00a0", "\u3000", *spaces]
    texts = [*blanks, ".", "ㅋ", "😀", " a "]
    source = fill(*((key, text, "2026-11-19 08:00:00") for key, text in enumerate(texts)))
    extraction = extract_day(DAY, source=source, db=platform_db, settings=settings)
    assert extraction.blank_rows == len(blanks)
    asked = [question.text for question in ChatStore(platform_db).questions(DAY)]
    assert sorted(asked) == [" a ", ".", "ㅋ", "😀"]


def test_progress_is_heard_up_to_the_last_chat(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    heard: list[tuple[int, int | None]] = []
    source = fill(*((key, "x", "2026-11-19 08:00:00") for key in range(25_000)))
    extract_day(
        DAY,
        source=source,
        db=platform_db,
        settings=settings,
        on_progress=lambda done, total, note="": heard.append((done, total)),
    )
    assert len(heard) > 1
    assert heard[-1] == (25_000, 25_000)


class HalfASource(SourceDatabase):
    """A source that does not give all the rows that it counted."""

    @contextmanager
    def open_day(self, *args: Any, **options: Any) -> Iterator[SourceRows]:
        with super().open_day(*args, **options) as rows:
            whole = rows.batches

            def half() -> Iterator[pa.RecordBatch]:
                yield from (batch.slice(1) for batch in whole())

            rows.batches = half
            yield rows


class BreakingSource(SourceDatabase):
    """A source whose connection breaks after the first rows."""

    @contextmanager
    def open_day(self, *args: Any, **options: Any) -> Iterator[SourceRows]:
        with super().open_day(*args, **options) as rows:
            whole = rows.batches

            def broken() -> Iterator[pa.RecordBatch]:
                yield next(whole())
                raise RetryableError("The connection broke")

            rows.batches = broken
            yield rows


GONE: list[tuple[type[SourceDatabase], list[Chat], type[PlatformError], str]] = [
    (HalfASource, [], RetryableError, "counted 2 chats on 2026-11-19 but gave 1"),
    (BreakingSource, [], RetryableError, "The connection broke"),
    (
        SourceDatabase,
        [(1, "again", "2026-11-19 10:00:00")],
        PermanentError,
        r"chatting_pk of chattings is missing or the same in two.*DB_COLUMN_CHATTING_PK",
    ),
    (SourceDatabase, [(None, "keyless", "2026-11-19 10:00:00")], PermanentError, "chatting_pk"),
    (SourceDatabase, [(9, "x", "2026-11-19 99:00:00")], PermanentError, "no time"),
]


@pytest.mark.parametrize(("kind", "more", "error", "words"), GONE)
def test_a_day_that_cannot_land_whole_stands_as_before(
    fill: Fill,
    platform_db: PlatformDb,
    settings: Settings,
    tmp_path: Path,
    kind: type[SourceDatabase],
    more: list[Chat],
    error: type[PlatformError],
    words: str,
) -> None:
    extract_day(
        DAY, source=fill((7, "old", "2026-11-19 08:00:00")), db=platform_db, settings=settings
    )
    before = stored(platform_db), recorded(platform_db)
    fill((1, "new", "2026-11-19 08:00:00"), (2, "secret", "2026-11-19 09:00:00"), *more)
    source = kind(f"sqlite:///{tmp_path / 'chats.db'}", SEOUL)
    with pytest.raises(error, match=words) as refused:
        extract_day(DAY, source=source, db=platform_db, settings=settings)
    assert "secret" not in str(refused.value)
    assert (stored(platform_db), recorded(platform_db)) == before


def test_an_unknown_table_lands_nothing(
    fill: Fill, platform_db: PlatformDb, settings: Settings
) -> None:
    chats = settings.chats.model_copy(update={"table_chattings": "chatings"})
    wrong = settings.model_copy(update={"chats": chats})
    with pytest.raises(ConfigurationError, match="'chatings'"):
        extract_day(DAY, source=fill(), db=platform_db, settings=wrong)
    assert recorded(platform_db) == []


def test_zero_dates_and_a_narrow_table_are_reported(
    mariadb: MariaDb, platform_db: PlatformDb, settings: Settings
) -> None:
    mariadb.execute(
        "CREATE TABLE chattings (chatting_pk INT PRIMARY KEY, input_text TEXT, created_at DATETIME)"
        " CHARACTER SET utf8mb3",
        "INSERT INTO chattings VALUES"
        " (1, '전학', '2026-11-19 08:00:00'), (2, 'x', 0), (3, 'y', NULL)",
    )
    source = SourceDatabase(mariadb.url, SEOUL)
    extraction = extract_day(DAY, source=source, db=platform_db, settings=settings)
    assert (extraction.landed_rows, extraction.undated_rows) == (1, 2)
    assert "utf8mb3" in extraction.warnings[0]
    assert recorded(platform_db)[0][5] == list(extraction.warnings)


def test_a_large_day_lands_in_flat_memory_and_little_more_than_the_time_of_reading(
    mariadb: MariaDb, platform_db: PlatformDb
) -> None:
    # The benchmark lands a million; these would take 300 MB if they were held at once.
    rows = 300_000
    fill_large_day(mariadb, rows)
    took = land_in_a_process(mariadb, platform_db)
    assert took.landed_rows == rows
    assert took.blank_rows == rows // BLANK_EVERY
    assert took.peak_mb < 512
    assert took.growth_mb < 100
    assert took.landing_seconds < 3 * took.reading_seconds, took
    ((landed, texts, emoji),) = platform_db.fetch_all(
        "SELECT count(*), count(DISTINCT input_text),"
        " count(*) FILTER (WHERE input_text ~ '[🙏😀👧]')"
        " FROM chats.raw_chats WHERE chat_date = '2026-11-19'"
    )
    assert (landed, texts > 50_000, emoji > rows / 3) == (rows, True, True)
