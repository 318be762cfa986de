"""Which database a process gets: yours when it is set, the embedded one otherwise, and when not."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from batch_platform.core.errors import ConfigurationError, PlatformError
from batch_platform.gateways import platform_services
from batch_platform.gateways.embedded_postgres import server_folder
from batch_platform.gateways.leased_process import Lease, stop
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import (
    current_revision,
    migrate,
    newest_revision,
)
from batch_platform.gateways.platform_services import (
    dagster_database_url,
    open_platform_db,
    platform_database_url,
)
from batch_platform_tests.given_settings import settings_of


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """URL of an empty database on a server of the organisation's."""
    name = f"yours_{uuid4().hex[:8]}"
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_server}{name}"
        for each in (name, f"{name}_dagster"):
            connection.execute(f"DROP DATABASE IF EXISTS {each} WITH (FORCE)")


def test_yours_is_not_migrated_unasked(database: str) -> None:
    settings = settings_of(PLATFORM_DATABASE_URL=database)
    with pytest.raises(ConfigurationError, match="batch-platform db migrate"):
        open_platform_db(settings)
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog',"
            " 'information_schema')"
        ).fetchone()
    assert tables == (0,)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_any_sqlalchemy_spelling_of_postgresql_is_taken(database: str, scheme: str) -> None:
    url = database.replace("postgresql", scheme, 1)
    assert platform_database_url(settings_of(PLATFORM_DATABASE_URL=url)) == database


def test_dagsters_database_is_beside_it_and_in_utc(database: str) -> None:
    settings = settings_of(PLATFORM_DATABASE_URL=database)
    url = dagster_database_url(settings)
    assert url == f"{database}_dagster"
    assert dagster_database_url(settings) == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "not a URL"),
        ("mysql://user:canary@127.0.0.1/x", "names mysql"),
        ("postgresql://user:canary@127.0.0.1:1", "names no database"),
        ("postgresql://user:canary@127.0.0.1:1/x", "127.0.0.1:1"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(url: str, words: str) -> None:
    settings = settings_of(PLATFORM_DATABASE_URL=url)
    for use in (open_platform_db, dagster_database_url):
        with pytest.raises(PlatformError) as raised:
            use(settings)
        assert words in str(raised.value)
        assert "canary" not in str(raised.value)
        assert "PLATFORM_DATABASE_URL" in str(raised.value)


def test_a_database_of_newer_code_is_left_alone(database: str) -> None:
    settings = settings_of(PLATFORM_DATABASE_URL=database)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE platform_migrations (version_num text)")
        connection.execute("INSERT INTO platform_migrations VALUES ('9999')")
    with pytest.raises(ConfigurationError, match="newer than this version"):
        open_platform_db(settings)


def test_tables_that_somebody_changed_are_told_in_a_sentence_and_left_alone(database: str) -> None:
    db = PlatformDb(database)
    migrate(db)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE platform_migrations SET version_num = '0015'")
        connection.execute("DROP TABLE operations.alert_routes")

    with pytest.raises(ConfigurationError, match=r"not as revision 0015 left them .*alert_routes"):
        migrate(db)

    assert current_revision(db) == "0015"


def test_without_an_address_an_embedded_one_is_there_and_ready(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process keeps its leases until it ends; this one goes on after the test.
    leases: list[Lease] = []
    monkeypatch.setattr(platform_services, "_kept", leases)
    home: Path = tmp_path_factory.mktemp("embedded")
    settings = settings_of(BATCH_PLATFORM_HOME=home)
    try:
        db = open_platform_db(settings)
        assert db.fetch_all("SELECT version_num FROM platform_migrations") == [(newest_revision(),)]
        # Asked again in the same process, it is the same server.
        assert open_platform_db(settings).url == db.url
    finally:
        for lease in leases:
            lease.release()
        stop(server_folder(home))
