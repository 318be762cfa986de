"""What holds for every answer of the API: problems, hosts, slashes, headers, health."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.running_api import RunningApi, running_api
from batch_platform_tests.running_platform import wait_until


def test_it_lives_and_is_ready(api: RunningApi) -> None:
    with api.client() as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/readyz/").json() == {"status": "ready"}


def test_without_a_database_it_lives_and_is_not_ready() -> None:
    def away() -> PlatformDb:
        raise RetryableError("postgresql://user:secret-9d1@127.0.0.1:1/none does not answer")

    nothing = PlatformDb("postgresql://127.0.0.1:1/none")
    with running_api(nothing, open_db=away) as running, running.client() as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_what_is_not_there_is_a_problem(api: RunningApi) -> None:
    with api.client() as client:
        nowhere = client.get("/nowhere")
        wrong = client.delete("/healthz")
    assert nowhere.status_code == 404
    assert nowhere.json()["type"] == "urn:batch-platform:problem:not-found"
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, HEAD"
    for answer in (nowhere, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_only_addresses_and_known_names_are_answered() -> None:
    hosts = [
        ("127.0.0.1:3001", 200),
        ("localhost", 200),
        ("[::1]:3001", 200),
        ("192.0.2.7", 200),
        ("batch.example.com:3001", 200),
        ("evil.example.net", 421),
        ("evil.example.net:3001", 421),
        ("127.0.0.1.evil.example.net", 421),
        ("", 421),
        ("localhost@evil.example.net", 421),
    ]
    nothing = PlatformDb("postgresql://127.0.0.1:1/none")
    with (
        running_api(nothing, names=["batch.example.com"]) as running,
        running.client() as client,
    ):
        for host, status in hosts:
            answer = client.get("/healthz", headers={"Host": host})
            assert answer.status_code == status, host
            if status == 421:
                assert "BATCH_PLATFORM_API_NAMES" in answer.json()["detail"]


def test_an_error_nobody_expected_tells_nothing(
    api: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("secret-9d1")

    api.app.add_api_route("/broken", broken)
    with api.client() as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["instance"] in caplog.text


def test_no_answer_and_no_log_says_what_serves(
    api: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = "bpt_0123456789ab_" + "s" * 43
    with api.client(token=token) as client:
        answer = client.get("/healthz?token=secret-9d1")
        client.get("/api/batch/schedule/")
    assert "server" not in answer.headers
    assert token not in caplog.text
    # The client's own log is not the server's.
    lines = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]
    assert "secret-9d1" not in "\n".join(lines)


def test_the_document_is_there_for_everybody(api: RunningApi) -> None:
    with api.client() as client:
        document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in json.dumps(document)


def test_a_broken_request_does_not_end_the_server(api: RunningApi) -> None:
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as raw:
        raw.sendall(b"GET /\x00 HTTP/9\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    with api.client() as client:
        assert client.get("/healthz").status_code == 200


def test_lost_connections_are_replaced(api: RunningApi) -> None:
    with api.client() as client:
        assert client.get("/readyz").status_code == 200
        api.db.fetch_all(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'api'"
        )
        answers = [client.get("/readyz").status_code for _ in range(3)]
        assert set(answers) <= {200, 503}
        wait_until(lambda: client.get("/readyz").status_code == 200, 10, "ready again")
        assert {client.get("/readyz").status_code for _ in range(5)} == {200}
