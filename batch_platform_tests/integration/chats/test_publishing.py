"""What giving classifications back to the source may never take from it."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batch_platform.core.errors import NoDataError
from batch_platform.core.settings import load_settings
from batch_platform.domains.chats.extraction import extract_day
from batch_platform.domains.chats.workflow import publish_day
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase

DAY = date(2026, 11, 19)
NOW = datetime(2026, 11, 19, 16, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A source with a chat of the day and what the old system had made of that day."""
    file = tmp_path / "source.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(
            """
            CREATE TABLE chattings (chatting_pk, input_text, created_at);
            INSERT INTO chattings VALUES (1, '급식이 뭐예요?', '2026-11-19 10:00:00');
            CREATE TABLE admin_chat_keywords (query_text, keyword, category_id, query_count,
                                              created_at, batch_created_at);
            INSERT INTO admin_chat_keywords VALUES
                ('급식이 뭐예요?', '급식', 3, 1, '2026-11-19 10:00:00', '2026-11-20 01:00:00');
            """
        )
    return file


def _publish(file: Path, db: PlatformDb) -> int:
    return publish_day(
        DAY, db=db, source=_source(file), settings=load_settings(), clock=lambda: NOW
    )


def _source(file: Path) -> SourceDatabase:
    return SourceDatabase(f"sqlite:///{file}", ZoneInfo("Asia/Seoul"))


def _published(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT keyword FROM admin_chat_keywords")]


def test_a_day_that_was_never_read_keeps_what_the_old_system_published(
    file: Path, platform_db: PlatformDb
) -> None:
    with pytest.raises(NoDataError, match="were not read yet"):
        _publish(file, platform_db)
    assert _published(file) == ["급식"]


def test_a_day_that_is_not_classified_keeps_what_the_old_system_published(
    file: Path, platform_db: PlatformDb
) -> None:
    extract_day(DAY, source=_source(file), db=platform_db, settings=load_settings())
    with pytest.raises(NoDataError, match="1 questions of 2026-11-19 are not classified yet"):
        _publish(file, platform_db)
    assert _published(file) == ["급식"]
