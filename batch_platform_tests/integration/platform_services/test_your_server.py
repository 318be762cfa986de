"""An organisation's server with an awkward password, a poor user, a limit: a sentence each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from batch_platform.core.errors import ConfigurationError, RetryableError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import current_revision, migrate
from batch_platform.gateways.platform_services import dagster_database_url, platform_database_url
from batch_platform_tests.given_settings import settings_of

AWKWARD_PASSWORD = "p@ss:w/o?r#d %+ 한&=x"
MakeUser = Callable[[str, str], str]


@pytest.fixture
def make_user(postgres_server: str) -> Iterator[MakeUser]:
    """Make a user with these options and a database; return the URL, percent-encoded."""
    with (
        psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection,
        ExitStack() as leftovers,
    ):

        def make(options: str, owner: str) -> str:
            name = f"us er@{uuid4().hex[:8]}"
            database = f"한 db%{uuid4().hex[:8]}"
            run = connection.execute
            user, db = sql.Identifier(name), sql.Identifier(database)
            run(
                sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                    user,
                    sql.SQL(options),  # pyright: ignore[reportArgumentType]
                    sql.Literal(AWKWARD_PASSWORD),
                )
            )
            leftovers.callback(run, sql.SQL("DROP ROLE {}").format(user))
            run(sql.SQL("CREATE DATABASE {}").format(db))
            beside = sql.Identifier(f"{database}_dagster")
            for each in (db, beside):
                dropping = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(each)
                leftovers.callback(run, dropping)
            if owner:
                run(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(db, user))
            host = make_url(postgres_server)
            return (
                f"postgresql://{quote(name, safe='')}:{quote(AWKWARD_PASSWORD, safe='')}"
                f"@{host.host}:{host.port}/{quote(database, safe='')}"
            )

        yield make


def test_any_password_user_and_database_can_be_written_percent_encoded(
    make_user: MakeUser,
) -> None:
    settings = settings_of(PLATFORM_DATABASE_URL=make_user("CREATEDB", "owner"))
    db = PlatformDb(platform_database_url(settings))
    migrate(db)
    assert current_revision(db)
    beside = PlatformDb(dagster_database_url(settings))
    ((name,),) = beside.fetch_all("SELECT current_database()")
    assert name.endswith("_dagster")


def test_a_url_that_libpq_cannot_read_is_not_quoted() -> None:
    url = "postgresql://user:secret@host/db?no_such_parameter=secret"
    with pytest.raises(ConfigurationError, match="PLATFORM_DATABASE_URL is not a URL") as raised:
        platform_database_url(settings_of(PLATFORM_DATABASE_URL=url))
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_user_who_may_make_nothing_is_told_what_is_lacking(make_user: MakeUser) -> None:
    settings = settings_of(PLATFORM_DATABASE_URL=make_user("", ""))
    with pytest.raises(ConfigurationError, match=r"lacks a right .*: permission denied for"):
        migrate(PlatformDb(platform_database_url(settings)))


def test_a_user_who_may_read_nothing_is_told_what_is_lacking(
    platform_db: PlatformDb, make_user: MakeUser
) -> None:
    poor = make_url(make_user("", "")).set(database=make_url(platform_db.url).database)
    url = platform_database_url(
        settings_of(PLATFORM_DATABASE_URL=poor.render_as_string(hide_password=False))
    )
    with pytest.raises(ConfigurationError, match="permission denied for schema chats"):
        PlatformDb(url).fetch_all("SELECT 1 FROM chats.raw_chats")


def test_a_server_without_a_free_connection_is_asked_again_later(make_user: MakeUser) -> None:
    settings = settings_of(PLATFORM_DATABASE_URL=make_user("CREATEDB CONNECTION LIMIT 1", "owner"))
    with (
        psycopg.connect(platform_database_url(settings)),
        pytest.raises(RetryableError, match="too many connections"),
    ):
        dagster_database_url(settings)


def test_a_database_of_newer_code_is_not_migrated(platform_db: PlatformDb) -> None:
    with platform_db.connect("newer") as connection:
        connection.execute("UPDATE platform_migrations SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="Update the platform's code"):
        migrate(platform_db)
