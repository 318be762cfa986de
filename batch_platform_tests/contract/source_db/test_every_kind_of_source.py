"""What a domain relies on, from whichever kind of database an organisation has."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from batch_platform.core.errors import ConfigurationError, PermanentError
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform_tests.contract.source_db.conftest import Organisation

DAY = date(2026, 11, 19)
COLUMNS = {"chat": "chatting_pk", "text": "input_text", "at": "created_at"}


def create_chats(organisation: Organisation) -> None:
    organisation.execute(
        "CREATE TABLE chattings (chatting_pk INTEGER PRIMARY KEY, input_text TEXT,"
        f" created_at {organisation.local_time})"
    )


def read_day(
    source: SourceDatabase, table: str = "chattings", **changes: str
) -> list[dict[str, Any]]:
    columns = COLUMNS | changes
    with source.open_day(table, columns, columns["at"], DAY) as rows:
        found = [row for batch in rows.batches() for row in batch.to_pylist()]
        assert rows.source_rows == len(found)
    return found


def test_it_is_reachable_and_says_what_it_is(organisation: Organisation) -> None:
    said = organisation.source.check_reachable().lower()
    assert said.startswith(organisation.kind)
    assert "비" not in said
    assert "pa@ss" not in said


def test_a_day_begins_at_midnight_in_seoul_and_ends_before_the_next(
    organisation: Organisation,
) -> None:
    create_chats(organisation)
    organisation.execute(
        "INSERT INTO chattings VALUES (1, 'before', '2026-11-18 23:59:59.999999'),"
        " (2, 'first', '2026-11-19 00:00:00'), (3, 'last', '2026-11-19 23:59:59.999999'),"
        " (4, 'after', '2026-11-20 00:00:00')"
    )
    rows = sorted(read_day(organisation.source), key=lambda row: row["chat"])
    assert [(row["text"], row["at"]) for row in rows] == [
        ("first", datetime(2026, 11, 18, 15, 0, tzinfo=UTC)),
        ("last", datetime(2026, 11, 19, 14, 59, 59, 999999, tzinfo=UTC)),
    ]
    assert organisation.source.count_day("chattings", "created_at", DAY) == 2


def test_every_text_comes_as_it_was_written(organisation: Organisation) -> None:
    create_chats(organisation)
    texts = [
        "학교폭력 신고 👨‍👩‍👧 😀",
        "",
        "  ",
        "=1+1",
        '"quoted", and\\slashed',
        "two\nlines\tand %s :name",
    ]
    for key, text in enumerate(texts):
        value = text.replace("\\", "\\\\") if organisation.kind == "mariadb" else text
        organisation.execute(
            f"INSERT INTO chattings VALUES ({key}, '{value}', '2026-11-19 09:00:00')"
        )
    organisation.execute("INSERT INTO chattings VALUES (99, NULL, '2026-11-19 09:00:00')")
    rows = sorted(read_day(organisation.source), key=lambda row: int(row["chat"]))
    assert [row["text"] for row in rows] == [*texts, None]


def test_names_may_be_reserved_words_or_hold_signs(organisation: Organisation) -> None:
    table, key, time = (organisation.quoted(name) for name in ("order", "group", "when: 100%"))
    organisation.execute(
        f"CREATE TABLE {table} ({key} INTEGER, {organisation.quoted('select')} TEXT,"
        f" {time} {organisation.local_time})",
        f"INSERT INTO {table} VALUES (1, 'text', '2026-11-19 09:00:00')",
    )
    rows = read_day(organisation.source, "order", chat="group", text="select", at="when: 100%")
    assert [row["text"] for row in rows] == ["text"]


def test_a_day_without_rows_is_empty_and_no_error(organisation: Organisation) -> None:
    create_chats(organisation)
    assert read_day(organisation.source) == []
    assert organisation.source.undated_count("chattings", "created_at") == 0


def test_a_row_without_a_time_belongs_to_no_day_and_is_counted(organisation: Organisation) -> None:
    create_chats(organisation)
    organisation.execute("INSERT INTO chattings VALUES (1, 'when?', NULL)")
    assert read_day(organisation.source) == []
    assert organisation.source.undated_count("chattings", "created_at") == 1


def test_a_large_day_comes_in_batches_with_every_row_once(organisation: Organisation) -> None:
    create_chats(organisation)
    organisation.execute(
        "INSERT INTO chattings WITH RECURSIVE n(i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
        " SELECT a.i * 1000 + b.i, 'x', '2026-11-19 09:00:00' FROM n AS a, n AS b WHERE b.i <= 25"
    )
    with organisation.source.open_day("chattings", COLUMNS, "created_at", DAY) as rows:
        batches = list(rows.batches())
    assert rows.source_rows == 22_500
    assert len({key for batch in batches for key in batch.column("chat").to_pylist()}) == 22_500
    assert max(batch.num_rows for batch in batches) < 11_000


def test_an_unknown_table_names_its_setting_and_what_there_is(organisation: Organisation) -> None:
    create_chats(organisation)
    with pytest.raises(
        ConfigurationError, match=r"'chatings'.*there is chattings.*DB_TABLE_CHATTINGS"
    ):
        organisation.source.count_day("chatings", "created_at", DAY)


def test_an_unknown_column_names_what_there_is(organisation: Organisation) -> None:
    create_chats(organisation)
    with pytest.raises(ConfigurationError, match="'create_at' in chattings; there is created_at"):
        organisation.source.count_day("chattings", "create_at", DAY)


def test_a_small_table_is_read_whole_with_its_own_types(organisation: Organisation) -> None:
    organisation.execute(
        "CREATE TABLE categories (category_id INTEGER, category_name VARCHAR(50))",
        "INSERT INTO categories VALUES (1, '학교폭력'), (11, '기타')",
    )
    rows = organisation.source.read_all(
        "categories", {"id": "category_id", "name": "category_name"}
    )
    assert sorted(rows, key=lambda row: row["id"]) == [
        {"id": 1, "name": "학교폭력"},
        {"id": 11, "name": "기타"},
    ]


def keyword_rows(count: int, text: str = "질문 😀") -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "query_text": f"{text} {number}",
            "created_at": datetime(2026, 11, 18, 15, 0, 0, 250_000, tzinfo=UTC),
        }


def create_keywords(organisation: Organisation) -> None:
    organisation.execute(
        "CREATE TABLE admin_chat_keywords (query_text VARCHAR(50) NOT NULL,"
        f" created_at {organisation.local_time})",
        "INSERT INTO admin_chat_keywords VALUES ('day before', '2026-11-18 23:59:59.5'),"
        " ('old', '2026-11-19 12:00:00'), ('day after', '2026-11-20 00:00:00')",
    )


def stored_keywords(organisation: Organisation) -> list[str]:
    rows = organisation.source.read_all("admin_chat_keywords", {"text": "query_text"})
    return sorted(row["text"] for row in rows)


def test_replacing_a_day_touches_that_day_only_and_twice_is_once(
    organisation: Organisation,
) -> None:
    create_keywords(organisation)
    for _ in range(2):
        written = organisation.source.replace_day(
            "admin_chat_keywords", "created_at", DAY, keyword_rows(2)
        )
        assert written == 2
        assert stored_keywords(organisation) == [
            "day after",
            "day before",
            "질문 😀 0",
            "질문 😀 1",
        ]
    times = organisation.source.read_all("admin_chat_keywords", {"at": "created_at"})
    assert "2026-11-19 00:00:00.250000" in {str(row["at"]) for row in times}


def test_replacing_a_day_by_nothing_empties_it(organisation: Organisation) -> None:
    create_keywords(organisation)
    assert organisation.source.replace_day("admin_chat_keywords", "created_at", DAY, []) == 0
    assert stored_keywords(organisation) == ["day after", "day before"]


def test_rows_that_stop_half_way_leave_the_day_as_it_was(organisation: Organisation) -> None:
    create_keywords(organisation)

    def broken() -> Iterator[dict[str, Any]]:
        yield from keyword_rows(12_000)
        raise KeyError("no more")

    with pytest.raises(KeyError):
        organisation.source.replace_day("admin_chat_keywords", "created_at", DAY, broken())
    assert stored_keywords(organisation) == ["day after", "day before", "old"]


def test_a_row_of_another_day_is_refused_before_anything_changes(
    organisation: Organisation,
) -> None:
    create_keywords(organisation)
    stray = {"query_text": "x", "created_at": datetime(2026, 11, 19, 15, 0, tzinfo=UTC)}
    with pytest.raises(PermanentError, match="not of 2026-11-19"):
        organisation.source.replace_day(
            "admin_chat_keywords", "created_at", DAY, [*keyword_rows(1), stray]
        )
    assert stored_keywords(organisation) == ["day after", "day before", "old"]


def test_a_value_that_is_refused_is_not_quoted_and_nothing_is_written(
    organisation: Organisation,
) -> None:
    create_keywords(organisation)
    secret = {"query_text": None, "created_at": datetime(2026, 11, 19, 1, 0)}  # noqa: DTZ001
    with pytest.raises((ConfigurationError, PermanentError)) as refused:
        organisation.source.replace_day(
            "admin_chat_keywords", "created_at", DAY, [*keyword_rows(3, "010-1234-5678"), secret]
        )
    assert "010-1234" not in str(refused.value)
    assert refused.value.__suppress_context__
    assert stored_keywords(organisation) == ["day after", "day before", "old"]


def create_results(organisation: Organisation) -> None:
    number = {
        "mariadb": "BIGINT AUTO_INCREMENT PRIMARY KEY",
        "postgresql": "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    }[organisation.kind]
    json_type = "JSONB" if organisation.kind == "postgresql" else "JSON"
    organisation.execute(
        f"CREATE TABLE results (id {number}, user_id INTEGER NOT NULL, for_date DATE NOT NULL,"
        f" content {json_type} NOT NULL, made_at {organisation.local_time} NOT NULL,"
        " UNIQUE (user_id, for_date))",
        "INSERT INTO results (user_id, for_date, content, made_at) VALUES"
        " (7, '2026-11-19', '{}', '2026-11-19 01:00:00'),"
        " (8, '2026-11-19', '{\"by\": \"others\"}', '2026-11-19 01:00:00'),"
        " (7, '2026-11-18', '{\"day\": \"before\"}', '2026-11-18 01:00:00')",
    )


def stored_results(organisation: Organisation) -> list[tuple[int, int, str, str, str]]:
    rows = organisation.source.read_all(
        "results", {name: name for name in ("id", "user_id", "for_date", "content", "made_at")}
    )
    return sorted(
        (
            row["id"],
            row["user_id"],
            str(row["for_date"]),
            str(row["content"]).replace("'", '"'),
            str(row["made_at"])[:19],
        )
        for row in rows
    )


def test_rows_that_are_there_change_in_place_and_others_are_added(
    organisation: Organisation,
) -> None:
    create_results(organisation)
    for number in (1, 2):
        written = organisation.source.upsert(
            "results",
            of={"for_date": DAY},
            key="user_id",
            rows=[{"user_id": str(user), "content": f'{{"n": {number}}}'} for user in (7, 9)],
            when_new={"made_at": datetime(2026, 11, 19, 15, number, tzinfo=UTC)},
        )
        assert written == 2
        assert stored_results(organisation) == [
            (1, 7, "2026-11-19", f'{{"n": {number}}}', "2026-11-19 01:00:00"),
            (2, 8, "2026-11-19", '{"by": "others"}', "2026-11-19 01:00:00"),
            (3, 7, "2026-11-18", '{"day": "before"}', "2026-11-18 01:00:00"),
            (4, 9, "2026-11-19", f'{{"n": {number}}}', "2026-11-20 00:01:00"),
        ]
    assert organisation.source.upsert("results", of={"for_date": DAY}, key="user_id", rows=[]) == 0
    assert "made_at" in organisation.source.existing_columns("results")


def test_a_row_that_does_not_fit_leaves_all_rows_as_they_were(organisation: Organisation) -> None:
    create_results(organisation)
    before = stored_results(organisation)
    with pytest.raises((ConfigurationError, PermanentError)) as refused:
        organisation.source.upsert(
            "results",
            of={"for_date": DAY},
            key="user_id",
            rows=[
                {"user_id": "7", "content": '{"n": 1}'},
                {"user_id": "9", "content": None},
            ],
            when_new={"made_at": datetime(2026, 11, 19, tzinfo=UTC)},
        )
    assert stored_results(organisation) == before
    assert 'n": 1' not in str(refused.value)


def test_rows_that_are_there_can_be_left_as_they_are(organisation: Organisation) -> None:
    create_results(organisation)
    written = organisation.source.upsert(
        "results",
        of={"for_date": DAY},
        key="user_id",
        rows=[{"user_id": str(user), "content": "{}"} for user in (8, 9)],
        when_new={"made_at": datetime(2026, 11, 19, 15, tzinfo=UTC)},
        is_replacing=False,
    )
    assert written == 1
    assert [row[1:4] for row in stored_results(organisation)][1:] == [
        (8, "2026-11-19", '{"by": "others"}'),
        (7, "2026-11-18", '{"day": "before"}'),
        (9, "2026-11-19", "{}"),
    ]


def test_a_whole_table_comes_as_text_from_every_kind(organisation: Organisation) -> None:
    flag = {"mariadb": "TINYINT(1)", "postgresql": "BOOLEAN", "sqlite": "BOOL"}[organisation.kind]
    organisation.execute(
        f"CREATE TABLE people (id BIGINT, born DATE, at TIME, active {flag})",
        "INSERT INTO people VALUES (1, '1990-02-04', '23:30:00', TRUE), (2, NULL, NULL, FALSE)",
    )
    columns = {name: name for name in ("id", "born", "at", "active")}
    with organisation.source.open_table("people", columns) as rows:
        found = [row for batch in rows.batches() for row in batch.to_pylist()]
    assert rows.source_rows == 2
    first, second = sorted(found, key=lambda row: row["id"])
    assert (first["id"], first["born"], first["at"][:8]) == ("1", "1990-02-04", "23:30:00")
    assert first["active"] in {"1", "true"}
    assert (second["born"], second["at"]) == (None, None)
    assert second["active"] in {"0", "false"}
