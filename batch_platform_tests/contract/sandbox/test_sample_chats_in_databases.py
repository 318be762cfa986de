"""The sample chats are the same in every kind of database that a source can be."""

from datetime import date

import sqlalchemy as sa

from batch_platform.sandbox.sample_chats import CHATTINGS, fill, sample_day

LAST_DAY = date(2026, 11, 19)


def assert_every_chat_comes_back(engine: sa.Engine) -> None:
    try:
        added = fill(engine, LAST_DAY, days=14)
        assert fill(engine, LAST_DAY, days=14) == 0
        with engine.connect() as connection:
            count = sa.select(sa.func.count()).select_from(CHATTINGS)
            assert connection.scalar(count) == added
            key = CHATTINGS.c.chatting_pk
            rows = connection.execute(sa.select(CHATTINGS).order_by(key.desc()).limit(50)).all()
        expected = sample_day(LAST_DAY)[-50:][::-1]
        assert [tuple(row) for row in rows] == [
            (chat.chatting_pk, chat.text, chat.created_at) for chat in expected
        ]
    finally:
        engine.dispose()


def test_the_sample_fits_into_mariadb(mariadb):
    # PyMySQL takes a password outside latin1 only as bytes.
    password = {"password": mariadb.password.encode()}
    assert_every_chat_comes_back(sa.create_engine(mariadb.url, connect_args=password))


def test_the_sample_fits_into_postgresql(platform_db):
    url = platform_db.url.replace("postgresql://", "postgresql+psycopg://")
    assert_every_chat_comes_back(sa.create_engine(url))
