"""What only PostgreSQL brings: times with a zone, infinite times, schemas."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from batch_platform.core.errors import ConfigurationError, RetryableError
from batch_platform.gateways.source_db import SourceDatabase

DAY = date(2026, 11, 19)
COLUMNS = {"chat": "chatting_pk", "at": "created_at"}


@pytest.fixture
def url(postgres_server: str) -> Iterator[str]:
    name = f"organisation_{uuid4().hex}"
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        yield f"{postgres_server}{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def source_of(url: str) -> SourceDatabase:
    return SourceDatabase(url, ZoneInfo("Asia/Seoul"))


def test_times_with_a_zone_are_instants_whatever_zone_they_are_shown_in(url: str) -> None:
    execute(
        url,
        "CREATE TABLE chattings (chatting_pk uuid, created_at timestamptz)",
        "INSERT INTO chattings VALUES"
        " ('00000000-0000-0000-0000-000000000001', '2026-11-18 14:59:59.999999+00'),"
        " ('00000000-0000-0000-0000-000000000002', '2026-11-19 00:00:00+09'),"
        " ('00000000-0000-0000-0000-000000000003', '2026-11-19 14:59:59.999999Z'),"
        " ('00000000-0000-0000-0000-000000000004', '2026-11-19 15:00:00Z')",
        "ALTER DATABASE " + url.rpartition("/")[2] + " SET timezone TO 'America/New_York'",
        "ALTER DATABASE " + url.rpartition("/")[2] + " SET datestyle TO 'German'",
    )
    with source_of(url).open_day("chattings", COLUMNS, "created_at", DAY) as rows:
        found = [row for batch in rows.batches() for row in batch.to_pylist()]
    assert [(str(row["chat"])[-1], row["at"]) for row in found] == [
        ("2", datetime(2026, 11, 18, 15, 0, tzinfo=UTC)),
        ("3", datetime(2026, 11, 19, 14, 59, 59, 999_999, UTC)),
    ]


def test_a_day_with_times_with_a_zone_is_replaced(url: str) -> None:
    execute(url, "CREATE TABLE keywords (created_at timestamptz(0))")
    row = {"created_at": datetime(2026, 11, 19, 23, 59, 59, 900_000)}  # noqa: DTZ001
    for _ in range(2):
        source_of(url).replace_day("keywords", "created_at", DAY, [row])
    assert source_of(url).count_day("keywords", "created_at", DAY) == 1


def test_an_infinite_time_belongs_to_no_day(url: str) -> None:
    execute(
        url,
        "CREATE TABLE chattings (created_at timestamp)",
        "INSERT INTO chattings VALUES ('infinity'), ('-infinity'), (NULL)",
    )
    assert source_of(url).undated_count("chattings", "created_at") == 3


def test_a_table_may_be_in_a_schema_of_its_own(url: str) -> None:
    execute(
        url,
        "CREATE SCHEMA app",
        'CREATE TABLE app."Chattings" (created_at date)',
        "INSERT INTO app.\"Chattings\" VALUES ('2026-11-19')",
    )
    assert source_of(url).count_day("app.Chattings", "created_at", DAY) == 1


def test_a_wrong_address_says_what_is_wrong_without_the_password(postgres_server: str) -> None:
    user, _, rest = postgres_server.removeprefix("postgresql://").partition(":")
    host = rest.partition("@")[2]
    wrong = {
        f"postgresql://{user}:secret@{host}postgres": (ConfigurationError, "password"),
        f"{postgres_server}nowhere": (ConfigurationError, "no such database"),
        "postgresql+psycopg2://u:secret@no-such-host.invalid/x": (ConfigurationError, "host of"),
        "postgres://u:secret@127.0.0.1:1/x": (RetryableError, "127.0.0.1:1/x does not answer"),
    }
    for url, (kind, words) in wrong.items():
        with pytest.raises(kind, match=words) as refused:
            source_of(url).check_reachable()
        assert "secret" not in str(refused.value)
