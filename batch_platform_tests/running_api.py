"""The API served by the real server on a loopback port, in a thread of the test's process."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from batch_platform.api.application import create_app
from batch_platform.api.server import server_of
from batch_platform.core.days import Clock, utc_now
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope, TokenBook
from batch_platform_tests.given_settings import settings_of


@dataclass(frozen=True)
class RunningApi:
    """A served API and its tokens."""

    app: FastAPI
    url: str
    db: PlatformDb
    tokens: TokenBook

    def client(self, scope: Scope | None = None, token: str | None = None) -> httpx.Client:
        """A client with a new token of a scope, with the one given, or with none."""
        if scope is not None:
            names = {each.name for each in self.tokens.tokens()}
            token = self.tokens.create(f"{scope}-{len(names)}", scope)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def know_jobs(self) -> None:
        """Let the platform know some jobs, as if its dispatcher had looked."""
        jobs = [
            ("backups_job", "none", ""),
            ("chats_archive_job", "monthly", "Asia/Seoul"),
            ("chats_night_job", "daily", "Asia/Seoul"),
            ("emotions_job", "other", ""),
            ("interventions_job", "daily", "Asia/Seoul"),
        ]
        with self.db.connect("test") as connection:
            for job, partitions, zone in jobs:
                connection.execute(
                    "INSERT INTO operations.jobs (job, description, partitions, timezone)"
                    " VALUES (%s, 'A job', %s, %s)",
                    [job, partitions, zone],
                )


@contextmanager
def running_api(
    db: PlatformDb,
    *,
    names: Sequence[str] = (),
    clock: Clock = utc_now,
    open_db: Callable[[], PlatformDb] | None = None,
    dagster_db: PlatformDb | None = None,
    variables: Mapping[str, object] | None = None,
) -> Iterator[RunningApi]:
    """Serve the API on a database, or what `open_db` gives, while the block runs.

    Args:
        db: The platform's database.
        names: By which clients may call.
        clock: The current time.
        open_db: Reaches the database instead.
        dagster_db: Dagster's storage; by default a database in which Dagster made nothing yet.
        variables: More settings.
    """
    settings = settings_of(BATCH_PLATFORM_API_NAMES=",".join(names), **(variables or {}))
    app = create_app(
        settings,
        open_db=open_db or (lambda: db),
        open_dagster_db=lambda: dagster_db or db,
        clock=clock,
    )
    server = server_of(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            # The socket listens already: a request waits until the server takes it.
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield RunningApi(app, url, db, TokenBook(db))
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the server did not end"
