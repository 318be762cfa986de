"""The source's category table is another team's: what is wrong in it is said, not guessed at."""

import sqlite3
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batch_platform.core.errors import ConfigurationError
from batch_platform.domains.chats.workflow import read_categories
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform_tests.given_settings import settings_of


@pytest.mark.parametrize("row", [(None, "급식"), ("a", "급식"), (1, None), (1, ""), (1, " ")])
def test_a_category_without_a_number_or_a_name_is_a_mistake_to_correct(
    row: tuple[object, object], tmp_path: Path
) -> None:
    file = tmp_path / "source.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE admin_categories (category_id, category_name)")
        connection.executemany("INSERT INTO admin_categories VALUES (?, ?)", [row, (11, "기타")])
    source = SourceDatabase(f"sqlite:///{file}", ZoneInfo("Asia/Seoul"))
    with pytest.raises(ConfigurationError, match="admin_categories has a category without"):
        read_categories(source, settings_of().chats)
