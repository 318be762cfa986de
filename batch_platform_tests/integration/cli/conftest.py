"""The real command line, as a subprocess with a home, a settings file and services of its own."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster_postgres import DagsterPostgresStorage

from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.sample_chats import write_sqlite
from batch_platform.sandbox.smtp_sink import RunningSmtpSink, running_smtp_sink
from batch_platform_tests.recording_model import RecordingModel, recording_model
from batch_platform_tests.warm_commands import run_warm

DAY = date(2025, 6, 12)
"""A Thursday of the sample, with about 100 chats; the Wednesday before has as many."""

COMMAND = str(Path(sys.executable).with_name("batch-platform"))
_LONGEST_SECONDS = 90


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """Lines that tell of an error."""
        return [line for line in self.err.splitlines() if line.startswith("오류")]

    def one_clear_line(self, code: int) -> str:
        """The one line by which it failed: no stack trace, no second one."""
        assert self.code == code, self
        assert "Traceback" not in self.out + self.err, self.err
        (line,) = self.error_lines
        return line


@dataclass(eq=False)
class Installation:
    """A platform as somebody set it up: what its `.env` holds, and what that points at."""

    folder: Path
    variables: dict[str, str]
    source: Path
    model: RecordingModel
    mails: RunningSmtpSink

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def reports(self) -> Path:
        return self.home / "reports" / "chats"

    @property
    def db(self) -> PlatformDb:
        return PlatformDb(self.variables["PLATFORM_DATABASE_URL"])

    def environment(self, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Write the settings file; return the environment of a command that reads it alone."""
        given = {**self.variables, **(changes or {})}
        file = self.folder / "settings.env"
        file.write_text("".join(f"{n}='{v}'\n" for n, v in given.items() if v is not None))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, ENV_FILE_VARIABLE: str(file), PROFILE_VARIABLE: "live", "LANG": "C.UTF-8"}

    def start(
        self, *arguments: str, changes: Mapping[str, str | None] | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, changes: Mapping[str, str | None] | None = None) -> Ended:
        environment = self.environment(changes)
        return Ended(*run_warm(arguments, environment, self.folder, _LONGEST_SECONDS))

    def forget(self) -> None:
        """Leave the platform as if it had never run; the source keeps its chats."""
        with self.db.connect("test") as connection:
            connection.execute(
                "TRUNCATE chats.raw_chats, chats.extractions, chats.questions,"
                " chats.classifications, llm.calls, llm.quarantine, operations.sent_mails"
            )

    def counts(self, day: date = DAY) -> tuple[int, int, int]:
        """Rows of the day's chats, questions and classifications."""
        rows = self.db.fetch_all(
            "SELECT (SELECT count(*) FROM chats.raw_chats WHERE chat_date = %(day)s),"
            " (SELECT count(*) FROM chats.questions WHERE chat_date = %(day)s),"
            " (SELECT count(*) FROM chats.classifications WHERE chat_date = %(day)s)",
            {"day": day},
        )
        return rows[0]  # type: ignore[return-value]

    def runs(self) -> Sequence[dg.DagsterRun]:
        """What the webserver's history holds, the newest first."""
        url = f"{self.db.url}_dagster".replace("postgresql://", "postgresql+psycopg2://", 1)
        return DagsterPostgresStorage(postgres_url=url).run_storage.get_runs()

    def in_source(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.source)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command."""
    try:
        out, err = process.communicate(timeout=_LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ended(process.returncode, out, err)


@pytest.fixture(scope="module")
def installation(
    postgres_server: str, _migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One installation a module: a command costs seconds, so tests build on what is there.

    Tests that count calls or mails compare with what was before; each leaves the source as it was.
    """
    folder = tmp_path_factory.mktemp("installation")
    source = folder / "chats.sqlite"
    write_sqlite(source, DAY, days=2)
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute(
            "DELETE FROM chattings WHERE length(input_text) BETWEEN 1 AND 40 AND chatting_pk % 4"
        )
    name = f"cli_{uuid4().hex}"
    with (
        psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection_,
        recording_model(passes_for_real=True, api_key="right-key") as model,
        running_smtp_sink() as mails,
    ):
        connection_.execute(f"CREATE DATABASE {name} TEMPLATE {_migrated_template}")
        variables = {
            "PLATFORM_DATABASE_URL": f"{postgres_server}{name}",
            "BATCH_PLATFORM_HOME": str(folder / "home"),
            "ENGINE_FOR_SQLALCHEMY": f"sqlite:///{source}",
            "LLM_PROVIDER": "compatible",
            "LLM_BASE_URL": model.server.url,
            "LLM_MODEL": "sandbox-1",
            "LLM_API_KEY": "right-key",
            "SMTP_SERVER": mails.host,
            "SMTP_PORT": str(mails.port),
            "SMTP_SECURITY": "none",
            "SENDER_EMAIL": "batch@example.com",
            "RECIPIENT_EMAILS": "manager@example.com",
        }
        yield Installation(folder, variables, source, model, mails)
        for database in (f"{name}_dagster", name):
            connection_.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    shutil.rmtree(folder)
