"""What the reverse proxy lets through and what it refuses, a rule at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psycopg
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.deploy.proxy.proxied import (
    LAUNCH,
    Proxied,
    in_address,
    in_body,
    proxied_platform,
    require_nginx,
    told,
)
from batch_platform_tests.signed_in import HTML

# One start of the processes for all of them.
pytestmark = pytest.mark.xdist_group("proxy")

JSON = {"Content-Type": "application/json"}
QUESTION = "{ __typename }"


@pytest.fixture(scope="module")
def proxied(postgres_server: str, _migrated_template: str) -> Iterator[Proxied]:
    require_nginx()
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE proxied TEMPLATE {_migrated_template}")
        with proxied_platform(PlatformDb(f"{postgres_server}proxied")) as running:
            yield running
        connection.execute("DROP DATABASE proxied WITH (FORCE)")


@pytest.fixture(scope="module")
def operator(proxied: Proxied) -> str:
    return proxied.api.tokens.create("operator", Scope.OPERATOR)


@pytest.fixture(scope="module")
def viewer(proxied: Proxied) -> str:
    return proxied.api.tokens.create("viewer", Scope.VIEWER)


@dataclass
class Expected:
    """How many runs a test means to start; whatever else it sends must start none."""

    runs: int = 0


@pytest.fixture
def expected() -> Expected:
    return Expected()


@pytest.fixture(autouse=True)
def _nothing_else_was_launched(proxied: Proxied, expected: Expected) -> Iterator[None]:
    before = proxied.runs()
    yield
    assert proxied.runs() - before == expected.runs


def test_an_operator_signs_in_once_for_pages_and_dagster(
    expected: Expected, proxied: Proxied, operator: str
) -> None:
    expected.runs = 1
    with proxied.client() as browser:
        browser.headers.update(HTML)
        asked = browser.get("/dagster/runs/1?tab=logs")
        assert asked.status_code == 303
        assert asked.headers["location"] == "/login?next=/dagster/runs/1"
        form = {"token": operator, "next": "/dagster/runs/1"}
        entered = browser.post("/login", data=form, headers={"Origin": proxied.url})
        assert (entered.status_code, entered.headers["location"]) == (303, "/dagster/runs/1")
        page = browser.get("/dagster/runs/1")
        assert page.status_code == 200
        assert "/dagster/_next" in page.text
        launched = browser.post(
            "/dagster/graphql", json={"query": LAUNCH}, headers={"Origin": proxied.url}
        )
        assert told(launched)["launchRun"]["__typename"] == "LaunchRunSuccess"
        assert browser.get("/").status_code == 200


def test_a_program_uses_its_token(expected: Expected, proxied: Proxied, operator: str) -> None:
    expected.runs = 1
    with proxied.client(operator) as program:
        assert program.get("/api/token/").json()["scope"] == "operator"
        assert told(program.post("/dagster/graphql", json={"query": LAUNCH}))["launchRun"]


@pytest.mark.parametrize("half", ["dagster", "view"])
def test_without_a_login_nothing_is_answered(proxied: Proxied, half: str) -> None:
    reached = len(proxied.operators) + len(proxied.viewers)
    with proxied.client() as nobody:
        question = nobody.post(f"/{half}/graphql", json={"query": QUESTION})
        assert question.status_code == 401
        assert question.headers["content-type"] == "application/problem+json"
        assert question.headers["www-authenticate"].startswith("Bearer")
        for path in ("", "runs", "logs/x/compute_logs/y.err", "download_debug/x", "server_info"):
            page = nobody.get(f"/{half}/{path}")
            assert (page.status_code, page.headers["location"]) == (
                303,
                f"/login?next=/{half}/{path}",
            )
        assert nobody.get("/api/token/").status_code == 401
        nobody.headers["Authorization"] = "Bearer bpt_000000000000_" + "x" * 43
        assert nobody.post(f"/{half}/graphql", json={"query": QUESTION}).status_code == 401
    with pytest.raises(InvalidStatus) as refused:
        _open(proxied, half, "")
    assert refused.value.response.status_code == 401
    assert len(proxied.operators) + len(proxied.viewers) == reached


def test_a_viewer_looks_and_launches_nothing(proxied: Proxied, viewer: str) -> None:
    with proxied.client(viewer) as program:
        assert told(program.post("/view/graphql", json={"query": QUESTION}))["__typename"]
        assert program.get("/view/runs").status_code == 200
        refused = program.post("/dagster/graphql", json={"query": LAUNCH})
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (
            403,
            "scope-too-small",
        )
        sent_on = program.get("/dagster/runs/1?tab=logs")
        assert (sent_on.status_code, sent_on.headers["location"]) == (303, "/view/runs/1")
        answered = told(program.post("/view/graphql", json={"query": LAUNCH}))
        assert answered["launchRun"]["__typename"] == "UnauthorizedError"
        batch = program.post("/view/graphql", json=[{"query": LAUNCH}, {"query": LAUNCH}])
        assert batch.status_code >= 400


@pytest.mark.parametrize(
    "path",
    [
        "/dagster/graphql",
        "/dagster/graphql/",
        "/dagster//graphql",
        "/dagster/./graphql",
        "/dagster/runs/../graphql",
        "/dagster/runs/..%2fgraphql",
        "/dagster/%67raphql",
        "/dagster/graph%71l",
        "/dagster%2fgraphql",
        "/%64agster/graphql",
        "/dagster/GraphQL",
        "/DAGSTER/graphql",
        "/dagster/graphql%2f",
        "/dagster/graphql;x",
        "/dagster/graphql%20",
        "/dagster/graphql%3f",
        "/dagster/graphql#x",
        "/graphql",
        "http://127.0.0.1/dagster/graphql",
    ],
)
def test_a_mutation_in_an_address_is_refused(proxied: Proxied, operator: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {operator}", "Accept": "application/json"}
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = proxied.raw(method, f"{path}?{in_address(LAUNCH)}", headers)
        # What no rule of the proxy's refuses is a page of the webserver's, or refused by the API.
        is_page = method == "HEAD" or b"<!DOCTYPE html>" in answer.body
        assert answer.status >= 400 or is_page, (method, answer)
        if path == "/dagster/graphql":
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_the_webserver_itself_would_have_executed_it(expected: Expected, proxied: Proxied) -> None:
    expected.runs = 2
    bare = f"{proxied.webserver_url}/dagster/graphql?{in_address(LAUNCH)}"
    httpx.get(bare, trust_env=False)
    httpx.post(bare, data={"a": "b"}, trust_env=False)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/graphql", 415),
        ("application/jsonx", 415),
        ("", 415),
        # Asked by the body, which is none.
        ("application/json", 400),
        ("Application/JSON; charset=utf-8", 400),
    ],
)
def test_a_post_is_asked_by_its_json_alone(
    proxied: Proxied, operator: str, kind: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {operator}", "Content-Type": kind}
    body = b"{}" if status == 400 else in_body(LAUNCH)
    answer = proxied.raw("POST", f"/dagster/graphql?{in_address(LAUNCH)}", headers, body)
    assert answer.status == status, answer


def test_a_body_that_is_too_large_is_refused(proxied: Proxied, operator: str) -> None:
    large = json.dumps({"query": QUESTION, "variables": {"x": "y" * 1_100_000}}).encode()
    fits = json.dumps({"query": QUESTION, "variables": {"x": "y" * 1_000_000}}).encode()
    with proxied.client(operator, **JSON) as program:
        for half in ("dagster", "view"):
            assert told(program.post(f"/{half}/graphql", content=fits))
            refused = program.post(f"/{half}/graphql", content=large)
            assert (refused.status_code, refused.json()["status"]) == (413, 413)
            # Of unknown size: it is counted while it comes.
            assert program.post(f"/{half}/graphql", content=iter([large])).status_code == 413
        for content in (b"x" * 70_000, iter([b"x" * 70_000])):
            assert program.post("/api/batch/run/", content=content).status_code == 413


@pytest.mark.parametrize(("half", "scope"), [("dagster", "operator"), ("view", "viewer")])
def test_subscriptions_come_through_and_mutations_do_not(
    request: pytest.FixtureRequest, expected: Expected, proxied: Proxied, half: str, scope: str
) -> None:
    token: str = request.getfixturevalue(scope)
    run_id = _any_run(expected, proxied, request.getfixturevalue("operator"))
    events = f"""subscription {{ pipelineRunLogs(runId: "{run_id}") {{
      ... on PipelineRunLogsSubscriptionSuccess {{ run {{ runId }} }} }} }}"""
    with _open(proxied, half, token) as socket:
        answered = _subscribe(socket, "1", events)
        assert answered["type"] == "data"
        assert answered["payload"]["data"]["pipelineRunLogs"]["run"]["runId"] == run_id
        assert _subscribe(socket, "2", LAUNCH)["type"] == "error"


def test_a_page_of_another_site_can_ask_nothing(proxied: Proxied, operator: str) -> None:
    origins = ["https://evil.example", f"http://evil.example:{proxied.port}", "null"]
    origins += [f"{proxied.url}.evil.example", "http://127.0.0.1", proxied.url.replace("0", "1")]
    with proxied.client(operator) as program:
        for origin in origins:
            answer = program.post(
                "/dagster/graphql", json={"query": LAUNCH}, headers={"Origin": origin}
            )
            assert answer.status_code == 403, origin
    with pytest.raises(InvalidStatus) as refused:
        _open(proxied, "dagster", operator, origin="https://evil.example")
    assert refused.value.response.status_code == 403


def test_an_upgrade_to_anything_else_stays_here(proxied: Proxied, operator: str) -> None:
    reached = len(proxied.operators)
    for path in ("/dagster/runs", "/dagster/graphql"):
        answer = proxied.raw(
            "GET" if path.endswith("runs") else "POST",
            path,
            {
                "Authorization": f"Bearer {operator}",
                "Connection": "Upgrade, HTTP2-Settings",
                "Upgrade": "h2c",
                "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA",
                **JSON,
            },
            in_body(QUESTION) if path.endswith("graphql") else None,
        )
        assert answer.status == 200
    for headers in proxied.operators[reached:]:
        assert "upgrade" not in headers
        assert headers.get("connection", "") != "upgrade"
    # A page is no place for a websocket.
    answer = proxied.raw(
        "GET",
        "/dagster/runs",
        {"Authorization": f"Bearer {operator}", "Connection": "Upgrade", "Upgrade": "websocket"},
    )
    assert answer.status == 200
    assert "upgrade" not in proxied.operators[-1]


def test_the_webservers_learn_no_secret(proxied: Proxied, operator: str) -> None:
    with proxied.client(operator, Cookie="batch_platform_session=secret", **JSON) as program:
        assert told(program.post("/dagster/graphql", content=in_body(QUESTION)))
        assert program.get("/dagster/runs", headers={"X-Forwarded-For": "1.2.3.4"}).is_success
        assert told(program.post("/view/graphql", content=in_body(QUESTION)))
    for headers in (*proxied.operators[-2:], proxied.viewers[-1]):
        assert "cookie" not in headers
        assert "authorization" not in headers
        assert headers["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        "/dagster/report_asset_materialization/chats/report",
        "/dagster/report_asset_check/chats/report",
        "/dagster/report_asset_observation/chats/report",
        "/dagster/Report_Asset_Materialization/x",
        "/dagster/notebook",
        "/dagster/dagit/notebook",
        "/view/report_asset_materialization/chats/report",
        "/access/operator",
        "/access/viewer",
        "/access/",
    ],
)
def test_doors_that_nobody_needs_are_shut(proxied: Proxied, operator: str, path: str) -> None:
    with proxied.client(operator) as program:
        assert program.post(path, json={}).status_code == 404
        assert program.get(path).status_code == 404


def test_a_webserver_page_takes_no_post(proxied: Proxied, operator: str) -> None:
    with proxied.client(operator) as program:
        for path in ("/dagster/", "/dagster/runs", "/view/runs"):
            answer = program.post(path, json={"query": LAUNCH})
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_answers_carry_the_headers_that_protect_a_browser(proxied: Proxied, operator: str) -> None:
    with proxied.client(operator) as program:
        page = program.get("/dagster/runs")
        policies = page.headers.get_list("content-security-policy")
        assert any("script-src 'nonce-" in policy for policy in policies)
        assert any("frame-ancestors 'none'" in policy for policy in policies)
        answers = [
            page,
            program.get("/login"),
            program.get("/dagster/graphql"),
            program.get("/healthz"),
        ]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["server"] == "nginx"


def test_the_webserver_is_compressed_and_a_page_with_a_secret_is_not(
    proxied: Proxied, operator: str
) -> None:
    with proxied.client(operator) as program:
        style = program.get("/dagster/vendor/graphiql/graphiql.min.css")
        assert (style.status_code, style.headers["content-encoding"]) == (200, "gzip")
        assert "content-encoding" not in program.get("/login").headers


def test_a_name_that_is_not_known_is_not_served(proxied: Proxied, operator: str) -> None:
    with proxied.client(operator, Host="evil.example") as program:
        assert program.get("/healthz").status_code == 421
        answer = program.post("/dagster/graphql", json={"query": QUESTION})
    assert (answer.status_code, "host name" in answer.json()["detail"]) == (503, True)


def test_a_revoked_token_opens_nothing(proxied: Proxied) -> None:
    token = proxied.api.tokens.create("leaver", Scope.OPERATOR)
    proxied.api.tokens.revoke("leaver")
    with proxied.client(token) as program:
        assert program.post("/dagster/graphql", json={"query": QUESTION}).status_code == 401


def test_an_address_cannot_write_headers(proxied: Proxied, viewer: str) -> None:
    for token in ("", viewer):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = proxied.raw("GET", "/dagster/x%0d%0aSet-Cookie:%20a=b", headers)
        assert answer.status == 303
        assert "Set-Cookie" not in answer.headers
        assert "%0d%0a" in answer.headers["Location"]


def test_the_log_holds_no_query_and_no_secret(proxied: Proxied, operator: str) -> None:
    with proxied.client(operator) as program:
        program.get("/fortune/today", params={"user_id": "u-4711-canary"})
        program.get("/dagster/graphql", params={"query": "q-4711-canary"})
    lines = [json.loads(line) for line in proxied.output.read_text().splitlines()]
    assert {"/fortune/today", "/dagster/graphql"} <= {line["path"] for line in lines}
    text = proxied.output.read_text()
    assert "4711-canary" not in text
    assert operator not in text


def _open(proxied: Proxied, half: str, token: str, origin: str | None = None) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return connect(
        f"{proxied.url.replace('http', 'ws', 1)}/{half}/graphql",
        additional_headers=headers,
        origin=origin,  # pyright: ignore[reportArgumentType]
        subprotocols=["graphql-ws"],  # pyright: ignore[reportArgumentType]
        proxy=None,
    )


def _subscribe(socket: ClientConnection, number: str, query: str) -> dict[str, object]:
    socket.send(json.dumps({"type": "start", "id": number, "payload": {"query": query}}))
    while True:
        message = json.loads(socket.recv(timeout=20))
        if message.get("id") == number:
            return message


def _any_run(expected: Expected, proxied: Proxied, operator: str) -> str:
    if not proxied.runs():
        expected.runs = 1
        with proxied.client(operator) as program:
            told(program.post("/dagster/graphql", json={"query": LAUNCH}))
    return proxied.instance.get_runs(limit=1)[0].run_id
