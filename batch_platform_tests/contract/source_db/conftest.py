"""An organisation's empty database of each kind that the platform can read."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from batch_platform.gateways.source_db import SourceDatabase


@dataclass(frozen=True)
class Organisation:
    """A database as its owner sees it: `execute` is the owner's own way in."""

    kind: str
    url: str
    execute: Callable[..., None]

    @property
    def source(self) -> SourceDatabase:
        """The same database as the platform sees it."""
        return SourceDatabase(
            self.url, ZoneInfo("Asia/Seoul"), name_variables={"chatings": "DB_TABLE_CHATTINGS"}
        )

    @property
    def local_time(self) -> str:
        """The type in which this kind of database keeps a local time to the microsecond."""
        return {"mariadb": "DATETIME(6)", "postgresql": "TIMESTAMP", "sqlite": "DATETIME"}[
            self.kind
        ]

    def quoted(self, name: str) -> str:
        """A name as the owner writes it in SQL."""
        mark = "`" if self.kind == "mariadb" else '"'
        return f"{mark}{name}{mark}"


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def organisation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Organisation]:
    if request.param == "mariadb":
        server = request.getfixturevalue("mariadb")
        yield Organisation("mariadb", server.url, server.execute)
    elif request.param == "sqlite":
        file = tmp_path / "chat #1 100%.db"

        def execute(*statements: str) -> None:
            with closing(sqlite3.connect(file)) as connection, connection:
                for statement in statements:
                    connection.execute(statement)

        execute()
        yield Organisation("sqlite", f"sqlite:///{file}", execute)
    else:
        yield from _postgresql(request.getfixturevalue("postgres_server"))


def _postgresql(server: str) -> Iterator[Organisation]:
    name = f"organisation_{uuid4().hex}"
    with psycopg.connect(f"{server}postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")

        def execute(*statements: str) -> None:
            with psycopg.connect(f"{server}{name}") as connection:
                for statement in statements:
                    connection.execute(statement.encode())

        yield Organisation("postgresql", f"{server}{name}", execute)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
