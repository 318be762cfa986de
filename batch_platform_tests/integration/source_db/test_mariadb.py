"""What only MariaDB can do to a day: zero dates, narrow character sets, no transactions."""

import gc
import threading
import time
from datetime import UTC, date, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from batch_platform.core.errors import ConfigurationError, PlatformError, RetryableError
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform_tests.mariadb import MariaDb

DAY = date(2026, 11, 19)
SEOUL = ZoneInfo("Asia/Seoul")
COLUMNS = {"chat": "chatting_pk", "text": "input_text", "at": "created_at"}


def source_of(url: str) -> SourceDatabase:
    return SourceDatabase(url, SEOUL)


def read_day(mariadb: MariaDb, day: date = DAY) -> list[dict[str, object]]:
    with source_of(mariadb.url).open_day("chattings", COLUMNS, "created_at", day) as rows:
        return [row for batch in rows.batches() for row in batch.to_pylist()]


def test_zero_dates_land_in_no_day_and_are_counted(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE chattings (chatting_pk INT, input_text TEXT, created_at DATETIME NOT NULL)",
        "INSERT INTO chattings VALUES (1, 'zero', '0000-00-00 00:00:00'),"
        " (2, 'no day', '2026-11-00 00:00:00'), (3, 'no month', '2026-00-10 00:00:00'),"
        " (4, 'whole', '2026-10-31 08:00:00')",
    )
    assert [row["text"] for row in read_day(mariadb, date(2026, 10, 31))] == ["whole"]
    assert read_day(mariadb, date(2025, 12, 31)) == []
    assert source_of(mariadb.url).undated_count("chattings", "created_at") == 3


@pytest.mark.parametrize("charset", ["utf8mb3", "euckr"])
def test_a_column_that_cannot_hold_emoji_is_reported_and_read(
    mariadb: MariaDb, charset: str
) -> None:
    mariadb.execute(
        f"CREATE TABLE chattings (chatting_pk INT, input_text TEXT CHARACTER SET {charset},"
        " created_at DATETIME)",
        "INSERT INTO chattings VALUES (1, '전학 절차 😀', '2026-11-19 08:00:00')",
    )
    (warning,) = source_of(mariadb.url).column_warnings("chattings", ["input_text", "created_at"])
    assert f"input_text of chattings is stored as {charset}" in warning
    assert str(read_day(mariadb)[0]["text"]).startswith("전학 절차 ?")


def test_a_column_in_utf8mb4_gives_no_warning(mariadb: MariaDb) -> None:
    mariadb.execute("CREATE TABLE chattings (input_text TEXT CHARACTER SET utf8mb4)")
    assert source_of(mariadb.url).column_warnings("chattings", ["input_text"]) == ()


def test_a_url_without_a_character_set_still_brings_emoji(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE chattings (chatting_pk INT, input_text TEXT, created_at DATETIME)",
        "INSERT INTO chattings VALUES (1, '😀', '2026-11-19 08:00:00')",
    )
    bare = mariadb.url.partition("?")[0].replace("mysql+pymysql", "mysql")
    rows = source_of(bare).read_all("chattings", {"text": "input_text"})
    assert rows == [{"text": "😀"}]


def test_binary_keys_and_timestamps_come_as_text_and_time(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE chattings"
        " (chatting_pk BINARY(4), input_text BLOB, created_at TIMESTAMP(3) NULL)",
        "INSERT INTO chattings VALUES (X'00FF10AB', X'00FF', '2026-11-19 08:00:00.125')",
    )
    assert read_day(mariadb) == [
        {"chat": "00ff10ab", "text": "00ff", "at": datetime(2026, 11, 18, 23, 0, 0, 125_000, UTC)}
    ]


def test_a_table_without_transactions_is_read_but_never_written(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE keywords (created_at DATETIME) ENGINE=MyISAM",
        "INSERT INTO keywords VALUES ('2026-11-19 08:00:00')",
    )
    source = source_of(mariadb.url)
    with pytest.raises(ConfigurationError, match=r"MyISAM.*ENGINE=InnoDB"):
        source.replace_day("keywords", "created_at", DAY, [])
    assert source.count_day("keywords", "created_at", DAY) == 1


def test_the_last_fraction_of_a_day_stays_in_the_day(mariadb: MariaDb) -> None:
    mariadb.execute("CREATE TABLE keywords (created_at DATETIME)")
    source = source_of(mariadb.url)
    row = {"created_at": datetime(2026, 11, 19, 14, 59, 59, 999_999, UTC)}
    source.replace_day("keywords", "created_at", DAY, [row])
    assert source.count_day("keywords", "created_at", DAY) == 1


def test_emoji_are_refused_where_they_would_be_lost(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE keywords (word TEXT CHARACTER SET utf8mb3, created_at DATETIME)",
        "INSERT INTO keywords VALUES ('old', '2026-11-19 08:00:00')",
    )
    source = source_of(mariadb.url)
    row = {"word": "😀", "created_at": datetime(2026, 11, 19, tzinfo=SEOUL)}
    with pytest.raises(ConfigurationError, match="utf8mb4"):
        source.replace_day("keywords", "created_at", DAY, [row])
    assert source.read_all("keywords", {"word": "word"}) == [{"word": "old"}]


def test_a_column_that_is_no_time_is_refused(mariadb: MariaDb) -> None:
    mariadb.execute("CREATE TABLE chattings (created_at BIGINT)")
    with pytest.raises(ConfigurationError, match="bigint, not a date or time"):
        source_of(mariadb.url).count_day("chattings", "created_at", DAY)


# PyMySQL's finaliser complains that the connection it wants to drain is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_connection_that_is_cut_while_reading_is_worth_another_try(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE chattings (chatting_pk INT, input_text TEXT, created_at DATETIME)",
        "INSERT INTO chattings SELECT seq, REPEAT('가', 300), '2026-11-19 08:00:00'"
        " FROM seq_1_to_100000",
    )
    cut = (
        "BEGIN NOT ATOMIC FOR one IN (SELECT id FROM information_schema.processlist"
        f" WHERE db = '{mariadb.database}' AND id <> CONNECTION_ID()) DO KILL one.id; END FOR; END"
    )

    def read() -> None:
        with source_of(mariadb.url).open_day("chattings", COLUMNS, "created_at", DAY) as rows:
            for _ in rows.batches():
                mariadb.execute(cut)

    with pytest.raises(RetryableError, match="broke or was ended"):
        read()
    gc.collect()


def test_rows_written_while_a_day_is_read_are_not_seen(mariadb: MariaDb) -> None:
    mariadb.execute(
        "CREATE TABLE chattings (chatting_pk INT, input_text TEXT, created_at DATETIME)",
        "INSERT INTO chattings VALUES (1, 'x', '2026-11-19 08:00:00')",
    )
    with source_of(mariadb.url).open_day("chattings", COLUMNS, "created_at", DAY) as rows:
        late = "INSERT INTO chattings VALUES (2, 'late', '2026-11-19 08:00:00')"
        writer = threading.Thread(target=mariadb.execute, args=(late,))
        writer.start()
        writer.join()
        assert sum(batch.num_rows for batch in rows.batches()) == rows.source_rows == 1


def wrong_password(mariadb: MariaDb) -> str:
    return mariadb.url.replace(quote(mariadb.password, safe=""), "wrong%40secret")


WRONG = [
    (wrong_password, ConfigurationError, "refused the user or the password. Check CHAT_URL"),
    (lambda m: m.url_of("nowhere"), ConfigurationError, "no such database. Check CHAT_URL"),
    (
        lambda m: m.url.replace("127.0.0.1", "no-such-host.invalid"),
        ConfigurationError,
        "host of the database at no-such-host.invalid",
    ),
    (lambda m: m.url.replace(str(m.port), "1"), RetryableError, "127.0.0.1:1/chat"),
]


@pytest.mark.parametrize(("url", "kind", "words"), WRONG)
def test_a_wrong_address_says_what_is_wrong_without_the_password(
    mariadb_server: MariaDb, url, kind: type[PlatformError], words: str
) -> None:
    source = SourceDatabase(url(mariadb_server), SEOUL, url_variable="CHAT_URL")
    started = time.monotonic()
    with pytest.raises(kind) as refused:
        source.check_reachable()
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)
    assert mariadb_server.password not in str(refused.value)
    assert time.monotonic() - started < 10
