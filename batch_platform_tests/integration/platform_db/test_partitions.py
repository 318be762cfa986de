"""What everything relies on: partitions whole or not at all, one run at a time, exact texts."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_platform.core.errors import (
    ConfigurationError,
    PartitionBusyError,
    PermanentError,
    RetryableError,
)
from batch_platform.gateways.platform_db import PlatformDb, RowChanges, Spool
from batch_platform.gateways.platform_db.migrations import (
    current_revision,
    migrate,
    newest_revision,
    require_current,
)

DAY = date(2026, 11, 19)
OTHER_DAY = date(2026, 11, 18)
SCHEMA = pa.schema(
    [
        ("chat_date", pa.date32()),
        ("chatting_pk", pa.string()),
        ("input_text", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
    ]
)


def batch(texts: list[str], day: date = DAY) -> pa.RecordBatch:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = [
        {"chat_date": day, "chatting_pk": str(i), "input_text": text, "created_at": at}
        for i, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, SCHEMA)


def write(db: PlatformDb, texts: list[str], day: date = DAY) -> int:
    with db.replacing("chats/raw_chats", day.isoformat()) as transaction:
        return transaction.overwrite("chats.raw_chats", {"chat_date": day}, [batch(texts, day)])


def texts_of(db: PlatformDb, day: date = DAY) -> list[str]:
    rows = db.fetch_all(
        "SELECT input_text FROM chats.raw_chats WHERE chat_date = %s ORDER BY chatting_pk::int",
        [day],
    )
    return [row[0] for row in rows]


def test_writing_twice_gives_the_same_rows(platform_db: PlatformDb) -> None:
    assert write(platform_db, ["a", "b", "c"]) == 3
    assert write(platform_db, ["a", "b", "c"]) == 3
    assert texts_of(platform_db) == ["a", "b", "c"]


def test_rows_that_vanished_are_gone_and_other_days_stay(platform_db: PlatformDb) -> None:
    write(platform_db, ["kept"], OTHER_DAY)
    write(platform_db, ["a", "b", "c"])
    write(platform_db, ["a"])
    assert texts_of(platform_db) == ["a"]
    assert texts_of(platform_db, OTHER_DAY) == ["kept"]


def test_an_error_in_the_middle_leaves_the_old_partition_whole(platform_db: PlatformDb) -> None:
    write(platform_db, ["old"])

    def broken() -> Iterator[pa.RecordBatch]:
        yield batch(["new"])
        raise ValueError("the source went away")

    with (
        pytest.raises(ValueError, match="went away"),
        platform_db.replacing("chats/raw_chats", DAY.isoformat()) as transaction,
    ):
        transaction.overwrite("chats.raw_chats", {"chat_date": DAY}, broken())
    assert texts_of(platform_db) == ["old"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=8)
)
def test_every_text_comes_back_exactly(platform_db: PlatformDb, texts: list[str]) -> None:
    write(platform_db, texts)
    assert texts_of(platform_db) == texts


def test_texts_that_look_like_csv_or_null_come_back_exactly(platform_db: PlatformDb) -> None:
    texts = [
        "",
        " ",
        "NULL",
        "\\N",
        "\\.",
        '"',
        '""',
        "a,b",
        "line\nbreak",
        "\r\n",
        "\ufeffx",
        "🙂",
    ]
    write(platform_db, texts)
    assert texts_of(platform_db) == texts


def test_a_value_that_does_not_fit_is_one_sentence_that_does_not_quote_it(
    platform_db: PlatformDb,
) -> None:
    row = pa.RecordBatch.from_pylist([{"chat_date": "010-1234-5678"}])
    with (
        pytest.raises(PermanentError, match="A value does not fit") as caught,
        platform_db.replacing("chats/raw_chats", "x") as transaction,
    ):
        transaction.append("chats.raw_chats", [row])
    assert "1234" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_reader_never_sees_half_of_a_partition(platform_db: PlatformDb) -> None:
    write(platform_db, ["old"] * 3)
    entered, leave = threading.Event(), threading.Event()

    def slow() -> Iterator[pa.RecordBatch]:
        yield batch(["new"])
        entered.set()
        leave.wait(10)

    def rewrite() -> None:
        with platform_db.replacing("chats/raw_chats", DAY.isoformat()) as transaction:
            transaction.overwrite("chats.raw_chats", {"chat_date": DAY}, slow())

    writer = threading.Thread(target=rewrite)
    writer.start()
    assert entered.wait(10)
    assert texts_of(platform_db) == ["old"] * 3
    leave.set()
    writer.join()
    assert texts_of(platform_db) == ["new"]


def test_two_writers_of_one_partition_take_turns(platform_db: PlatformDb) -> None:
    writers = [threading.Thread(target=write, args=(platform_db, [name] * 50)) for name in "abcdef"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    texts = texts_of(platform_db)
    assert len(texts) == 50
    assert len(set(texts)) == 1


def test_a_second_run_of_a_partition_ends_at_once_and_names_the_first(
    platform_db: PlatformDb,
) -> None:
    with (
        platform_db.hold("chats/raw_chats", "2026-11-19", holder="run first"),
        pytest.raises(PartitionBusyError, match="is being made by run first"),
        platform_db.hold("chats/raw_chats", "2026-11-19", holder="run second"),
    ):
        pass


def test_other_partitions_and_assets_are_not_held(platform_db: PlatformDb) -> None:
    with (
        platform_db.hold("chats/raw_chats", "2026-11-19", holder="a"),
        platform_db.hold("chats/raw_chats", "2026-11-18", holder="b"),
        platform_db.hold("chats/report", "2026-11-19", holder="c"),
    ):
        pass


def test_a_hold_is_free_after_its_block_and_after_an_error(platform_db: PlatformDb) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="boom"), platform_db.hold("a/b", "p", holder="x"):
            raise ValueError("boom")
    with platform_db.hold("a/b", "p", holder="x"):
        pass


def test_losing_the_hold_is_an_error_and_not_a_success(platform_db: PlatformDb) -> None:
    def hold_and_lose() -> None:
        with platform_db.hold("a/b", "p", holder="the run"):
            platform_db.fetch_all(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'the run'"
            )

    with pytest.raises(RetryableError):
        hold_and_lose()


def test_a_spool_keeps_rows_on_disk_and_gives_them_back_in_order() -> None:
    with Spool(SCHEMA) as spool:
        for row in batch([str(i) for i in range(12_000)]).to_pylist():
            spool.add(row)
        assert spool.rows == 12_000
        found = [text for part in spool.batches() for text in part.column("input_text").to_pylist()]
    assert found == [str(i) for i in range(12_000)]


def test_an_empty_spool_empties_a_partition(platform_db: PlatformDb) -> None:
    write(platform_db, ["old"])
    with Spool(SCHEMA) as spool, platform_db.replacing("chats/raw_chats", "x") as transaction:
        assert transaction.overwrite("chats.raw_chats", {"chat_date": DAY}, spool.batches()) == 0
    assert texts_of(platform_db) == []


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"password": "wrong"}, ConfigurationError, "password authentication failed"),
        ({"dbname": "nowhere"}, ConfigurationError, "does not exist"),
        ({"port": "1"}, RetryableError, "does not answer"),
        ({"host": "no.such.host.invalid"}, ConfigurationError, "refused us"),
    ],
)
def test_a_wrong_address_is_one_sentence_without_the_password(
    platform_db: PlatformDb, change: dict[str, str], error: type[Exception], words: str
) -> None:
    wrong = psycopg.conninfo.make_conninfo(platform_db.url, **change)
    with pytest.raises(error, match=words) as caught:
        PlatformDb(wrong).fetch_all("SELECT 1")
    password = psycopg.conninfo.conninfo_to_dict(platform_db.url)["password"]
    assert str(password) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_migrations_bring_an_empty_database_to_the_newest_revision_and_no_further(
    platform_db: PlatformDb,
) -> None:
    assert current_revision(platform_db) == newest_revision()
    migrate(platform_db)
    require_current(platform_db)


def test_an_older_database_is_refused_with_the_command_to_run(platform_db: PlatformDb) -> None:
    with platform_db.connect("test") as connection:
        connection.execute("UPDATE platform_migrations SET version_num = '0001'")
    with pytest.raises(ConfigurationError, match="batch-platform db migrate"):
        require_current(platform_db)


def test_a_newer_database_is_refused(platform_db: PlatformDb) -> None:
    with platform_db.connect("test") as connection:
        connection.execute("UPDATE platform_migrations SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer than this version"):
        require_current(platform_db)


def test_reconciling_touches_only_rows_that_differ(platform_db: PlatformDb) -> None:
    def rows() -> dict[str, tuple[str, str]]:
        found = platform_db.fetch_all(
            "SELECT chat_date || chatting_pk, input_text, xmin::text FROM chats.raw_chats"
        )
        return {key: (text, transaction) for key, text, transaction in found}

    def reconcile(texts: list[str]) -> RowChanges:
        with platform_db.replacing("chats/raw_chats", DAY.isoformat()) as transaction:
            return transaction.reconcile(
                "chats.raw_chats",
                ("chat_date", [DAY]),
                ("chat_date", "chatting_pk"),
                [batch(texts)],
            )

    write(platform_db, ["가", "나", "다"], OTHER_DAY)
    assert reconcile(["가", "나", "다"]) == RowChanges(inserted=3)
    before = rows()
    assert reconcile(["가", "나", "다"]) == RowChanges()
    assert rows() == before

    assert reconcile(["가", "새"]) == RowChanges(changed=1, removed=1)
    after = rows()
    assert after[f"{DAY}1"][0] == "새"
    assert {key: value for key, value in after.items() if key != f"{DAY}1"} == {
        key: value for key, value in before.items() if key not in {f"{DAY}1", f"{DAY}2"}
    }


def test_several_partitions_are_held_all_or_none(platform_db: PlatformDb) -> None:
    with platform_db.hold("chats/raw_chats", "2026-11-02", holder="run one"):
        with (
            pytest.raises(PartitionBusyError, match=r"2026-11-02 is being made by run one"),
            platform_db.hold_all("chats/raw_chats", ["2026-11-01", "2026-11-02"], holder="run two"),
        ):
            pass
        with platform_db.hold("chats/raw_chats", "2026-11-01", holder="run three"):
            pass


def test_a_stream_is_planned_for_all_of_its_rows(platform_db: PlatformDb) -> None:
    # With the default, a tenth, a join is made row by row for rows that all are wanted anyway.
    said = platform_db.stream("SELECT current_setting('cursor_tuple_fraction')")
    assert list(said) == [("1",)]
