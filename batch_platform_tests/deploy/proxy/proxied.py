"""nginx with the real configuration, in front of the real API and two real webservers."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from dagster import DagsterInstance
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget, instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.types import ASGIApp, Receive, Scope, Send

from batch_platform.core.errors import ConfigurationError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.reverse_proxy import (
    VIEWER_PREFIX,
    WEBSERVER_PREFIX,
    ProxyAddresses,
    nginx_program,
    prepared_proxy,
)
from batch_platform_tests.running_api import RunningApi, running_api
from batch_platform_tests.running_platform import free_port, wait_until

_LOCATION = "one_job"
LAUNCH = """mutation { launchRun(executionParams: {mode: "default", selector: {
  repositoryLocationName: "one_job", repositoryName: "__repository__", jobName: "nightly_job"}})
  { __typename } }"""
"""Starts a run, for who may."""


class _Recorded:
    """A webserver, and the headers of every request that reached it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests: list[Mapping[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            self.requests.append(
                {name.decode(): value.decode() for name, value in scope["headers"]}
            )
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class Answer:
    """What a request that no client library had tidied up was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Proxied:
    """Everything behind one address.

    Attributes:
        url: The proxy's.
        webserver_url: The operators' webserver, past the proxy.
        api: With its tokens.
        instance: Whose runs tell what was let through.
        operators: What reached the operators' webserver.
        viewers: What reached the viewers'.
        output: The proxy's log.
    """

    url: str
    webserver_url: str
    api: RunningApi
    instance: DagsterInstance
    operators: Sequence[Mapping[str, str]]
    viewers: Sequence[Mapping[str, str]]
    output: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def runs(self) -> int:
        return self.instance.get_runs_count()

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        """A program: with a token, or without."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def raw(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Send a request just as it stands here."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()


def require_nginx() -> None:
    """Skip where nginx is not installed; in CI fail instead."""
    try:
        nginx_program()
    except ConfigurationError as error:
        reason = f"{error}: what the proxy refuses is not looked at"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def proxied_platform(db: PlatformDb) -> Iterator[Proxied]:
    """Serve the platform's faces behind the proxy while the block runs.

    Args:
        db: The platform's database, where the tokens are.
    """
    with ExitStack() as stack:
        api = stack.enter_context(running_api(db))
        instance = stack.enter_context(instance_for_test(synchronous_run_launcher=True))
        operators = stack.enter_context(_webserver(instance, WEBSERVER_PREFIX, read_only=False))
        viewers = stack.enter_context(_webserver(instance, VIEWER_PREFIX, read_only=True))
        listen = f"127.0.0.1:{free_port()}"
        addresses = ProxyAddresses(
            listen, api.url.removeprefix("http://"), operators.address, viewers.address
        )
        output = stack.enter_context(_nginx(addresses))
        yield Proxied(
            f"http://{listen}",
            f"http://{operators.address}",
            api,
            instance,
            operators.app.requests,
            viewers.app.requests,
            output,
        )


@dataclass(frozen=True)
class _Served:
    address: str
    app: _Recorded


@contextmanager
def _webserver(instance: DagsterInstance, prefix: str, *, read_only: bool) -> Iterator[_Served]:
    """Dagster's webserver with the options that the deployments give it, in a thread."""
    file = str(Path(__file__).parent / "one_job.py")
    target = InProcessTestWorkspaceLoadTarget(
        InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file=file), location_name=_LOCATION)
    )
    with WorkspaceProcessContext(instance, target, read_only=read_only) as workspace:
        app = _Recorded(create_app_from_workspace_process_context(workspace, prefix))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                yield _Served(f"127.0.0.1:{listener.getsockname()[1]}", app)
            finally:
                server.should_exit = True
                thread.join(20)
                assert not thread.is_alive(), "the webserver did not end"


@contextmanager
def _nginx(addresses: ProxyAddresses) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="batch-platform-proxy-"))
    output = folder / "output.txt"
    try:
        with output.open("wb") as file:
            process = subprocess.Popen(
                prepared_proxy(folder, addresses), stdout=file, stderr=subprocess.STDOUT
            )
        try:
            wait_until(lambda: _answers(addresses.listen, process, output), 20, "nginx listens")
            yield output
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(folder)


def _answers(address: str, process: subprocess.Popen[bytes], output: Path) -> bool:
    assert process.poll() is None, output.read_text()
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def in_address(query: str) -> str:
    """A question as the query of an address."""
    return f"query={quote(query)}"


def in_body(query: str) -> bytes:
    """A question as a POST's body."""
    return json.dumps({"query": query}).encode()


def told(answer: httpx.Response) -> Any:
    """The data of a GraphQL answer."""
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]
