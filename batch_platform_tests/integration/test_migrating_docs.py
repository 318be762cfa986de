"""The comparisons of docs/migrating.md: each statement runs and counts what it says.

The tables are made up, of the columns that the old systems' have.
"""

import re
from typing import Any

import psycopg

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.mariadb import MariaDb

_BLOCK = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)


def statements(about: str) -> list[str]:
    """The statements of the one block that names something."""
    text = (PROJECT_ROOT / "docs" / "migrating.md").read_text()
    (block,) = [block for block in _BLOCK.findall(text) if about in block]
    bare = re.sub(r"--.*", "", block)
    return [each.strip() for each in bare.split(";") if each.strip()]


def test_chats_are_compared_in_the_organisations_own_database(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE admin_chat_keywords (query_text TEXT, keyword VARCHAR(255), category_id INT,"
        " query_count INT, created_at DATETIME(6))",
        *statements("CREATE TABLE admin_chat_keywords_new"),
        "INSERT INTO admin_chat_keywords VALUES"
        " ('전학은?', '전학', 1, 2, '2026-11-16 10:00:00'),"
        " ('전학은?', '절차', 2, 2, '2026-11-16 10:00:00'),"
        " ('급식은?', '급식', 3, 1, '2026-11-16 11:00:00'),"
        " ('방학은?', '방학', 4, 1, '2026-11-16 11:00:00'),"
        " ('방학은?', '방학', 4, 1, '2026-11-01 11:00:00')",
        "INSERT INTO admin_chat_keywords_new VALUES"
        " ('전학은?', '전학', 2, 2, '2026-11-16 10:00:00'),"
        " ('급식은?', '급식', 9, 1, '2026-11-16 11:00:00')",
    )
    (compare,) = statements("LEFT JOIN admin_chat_keywords_new")
    assert [row[1:] for row in mariadb.rows(compare)] == [(3, 2, 1)]


def test_fortunes_are_compared_in_the_apps_database(platform_db: PlatformDb) -> None:
    (compare,) = statements("core_fortuneresult_new")
    made = (
        "CREATE TABLE core_fortuneresult (id bigserial, user_id bigint, for_date date,"
        " gapja_code int, status text, UNIQUE (user_id, for_date))",
        "CREATE TABLE core_fortuneresult_new (LIKE core_fortuneresult INCLUDING ALL)",
        "INSERT INTO core_fortuneresult (user_id, for_date, gapja_code, status) VALUES"
        " (1, '2026-11-16', 5, 'completed'), (2, '2026-11-16', 5, 'completed'),"
        " (3, '2026-11-16', 5, 'completed'), (1, '2026-11-01', 5, 'completed')",
        "INSERT INTO core_fortuneresult_new (user_id, for_date, gapja_code, status) VALUES"
        " (1, '2026-11-16', 5, 'completed'), (2, '2026-11-16', 6, 'failed')",
    )
    assert compared(platform_db, made, compare) == [(3, 2, 1, 1)]


def test_prices_are_compared_in_the_platforms_database(platform_db: PlatformDb) -> None:
    staged, compare = statements("stocks.daily_prices")
    made = (
        staged,
        "INSERT INTO old VALUES ('005930', 70000, 10), ('000660', 100, 20), ('035720', 9, 9)",
        "INSERT INTO stocks.daily_prices (date, ticker, market, close, change_amount, change_rate,"
        " volume, trading_value, shares_outstanding, market_cap, is_suspended, source, is_made_up)"
        " SELECT '2026-11-20', ticker, 'KOSPI', close, 0, 0, volume, 0, 1, 1, false, 'KRX', true"
        " FROM (VALUES ('005930', 70000, 11), ('000660', 101, 20)) AS here (ticker, close, volume)",
    )
    assert compared(platform_db, made, compare, day_first=False) == [(2, 1, 1)]


def compared(
    db: PlatformDb, made: tuple[str, ...], compare: str, *, day_first: bool = True
) -> list[tuple[Any, ...]]:
    """Run what prepares, then the comparison; its figures without the day."""
    with psycopg.connect(db.url, autocommit=True) as connection:
        for statement in made:
            connection.execute(statement.encode())
        rows = connection.execute(compare.encode()).fetchall()
    return [row[1:] if day_first else row for row in rows]
