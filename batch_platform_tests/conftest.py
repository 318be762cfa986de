"""Fixtures that several kinds of tests share: one embedded PostgreSQL a test process, a migrated
database a test. Fixtures of one domain or gateway belong in the conftest of its own folder."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest

from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE, variable_names
from batch_platform.gateways.embedded_postgres import lease_embedded_server, server_folder
from batch_platform.gateways.leased_process import stop
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.migrations import migrate
from batch_platform_tests.mariadb import mariadb, mariadb_server  # noqa: F401


def _forget_the_developers_settings() -> None:
    """Keep a developer's `.env`, demo and environment out of every test.

    Done while this file is imported: partitions read their first day and zone at import too.
    """
    for name in (*variable_names(), "DAGSTER_HOME"):
        os.environ.pop(name, None)
    os.environ[PROFILE_VARIABLE] = "live"
    os.environ[ENV_FILE_VARIABLE] = os.devnull


_forget_the_developers_settings()

# How long an example takes says how busy the machine is, not what a test is about.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True, scope="session")
def _programs_hear_ctrl_c() -> None:
    """Undo the ignored Ctrl-C that a test run inherits when a script starts it with `&`.

    Programs under test would inherit it as well, and `dagster dev` then ignores SIGTERM too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["BATCH_PLATFORM_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL, without a database, of a PostgreSQL that ends with the test process."""
    home = Path(tempfile.mkdtemp(prefix="batch-platform-tests-"))
    home.chmod(0o755)
    lease, url = lease_embedded_server(home)
    with psycopg.connect(f"{url}postgres", autocommit=True) as connection:
        # What is in it need not outlive the machine, and each test makes and drops a database.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    lease.release()
    stop(server_folder(home))
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def _migrated_template(postgres_server: str) -> str:
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated TEMPLATE template0")
    migrate(PlatformDb(f"{postgres_server}migrated"))
    return "migrated"


@pytest.fixture
def platform_db(postgres_server: str, _migrated_template: str) -> Iterator[PlatformDb]:
    """A migrated, empty platform database of the test's own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_migrated_template}")
        yield PlatformDb(f"{postgres_server}{name}")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _dagster_template(postgres_server: str) -> str:
    from dagster_postgres import DagsterPostgresStorage

    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE dagster_template TEMPLATE template0")
        connection.execute("ALTER DATABASE dagster_template SET timezone TO 'UTC'")
    url = f"{postgres_server}dagster_template"
    DagsterPostgresStorage(url.replace("postgresql://", "postgresql+psycopg2://", 1))
    return "dagster_template"


@pytest.fixture
def dagster_db(postgres_server: str, _dagster_template: str) -> Iterator[PlatformDb]:
    """Dagster's storage of the test's own: its tables, no runs."""
    name = f"test_{uuid4().hex}_dagster"
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_dagster_template}")
        connection.execute(f"ALTER DATABASE {name} SET timezone TO 'UTC'")
        yield PlatformDb(f"{postgres_server}{name}")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
