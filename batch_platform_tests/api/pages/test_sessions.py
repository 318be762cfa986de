"""Signing in to the pages: what opens them, what does not, and what a form must carry."""

import hashlib
from datetime import timedelta

import httpx

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.morning_world import MorningWorld, let_chats_fail
from batch_platform_tests.running_api import running_api
from batch_platform_tests.signed_in import HTML, hidden, signed_in


def test_nothing_is_shown_before_signing_in(world: MorningWorld) -> None:
    token = world.api.tokens.create("kim", Scope.VIEWER)
    with httpx.Client(base_url=world.api.url, headers=HTML, trust_env=False) as client:
        asked = client.get("/reports/chats/report/2026-11-19")
        assert (asked.status_code, asked.headers["location"]) == (
            303,
            "/login?next=/reports/chats/report/2026-11-19",
        )
        assert client.get("/").headers["location"] == "/login"
        # A token in the header is for programs; a page wants a person.
        with_header = client.get("/", headers={"Authorization": f"Bearer {token}"})
        assert with_header.status_code == 303

        wrong = client.post("/login", data={"token": token[:-1] + "!"})
        assert wrong.status_code == 401
        assert "쓸 수 없습니다" in wrong.text
        assert "set-cookie" not in wrong.headers

        right = client.post("/login", data={"token": f" {token}\n", "next": "/costs"})
        assert right.headers["location"] == "/costs"
        page = client.get("/")
    assert page.status_code == 200
    assert "지난 밤" in page.text


def test_the_cookie_is_for_the_browser_alone_and_only_its_hash_is_stored(
    world: MorningWorld,
) -> None:
    with signed_in(world.api, Scope.VIEWER) as client:
        cookie = client.cookies["batch_platform_session"]
        set_again = client.post("/login", data={"token": "x"}).headers.get("set-cookie")
    assert set_again is None
    ((stored,),) = world.api.db.fetch_all("SELECT session_hash FROM api.sessions")
    assert stored == hashlib.sha256(cookie.encode()).digest()
    token = world.api.tokens.create("lee", Scope.VIEWER)
    answer = httpx.post(f"{world.api.url}/login", data={"token": token}, trust_env=False)
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=2592000"} <= flags
    assert "secure" not in flags


def test_behind_https_the_cookie_is_sent_over_tls_only(platform_db: PlatformDb) -> None:
    variables = {"BATCH_PLATFORM_API_URL": "https://batch.example.com"}
    with running_api(platform_db, variables=variables) as api:
        token = api.tokens.create("kim", Scope.VIEWER)
        answer = httpx.post(f"{api.url}/login", data={"token": token}, trust_env=False)
    assert "; secure" in answer.headers["set-cookie"].lower()


def test_signing_in_leads_nowhere_else(world: MorningWorld) -> None:
    token = world.api.tokens.create("kim", Scope.VIEWER)
    elsewhere = [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:x",
        "/\t/e",
    ]
    for wanted in elsewhere:
        answer = httpx.post(
            f"{world.api.url}/login", data={"token": token, "next": wanted}, trust_env=False
        )
        assert (wanted, answer.headers["location"]) == (wanted, "/")


def test_a_session_ends_with_its_token_with_its_time_and_by_signing_out(
    world: MorningWorld,
) -> None:
    with signed_in(world.api, Scope.VIEWER, "kim") as client:
        assert client.get("/").status_code == 200
        world.api.tokens.revoke("kim")
        assert client.get("/").status_code == 303

    with signed_in(world.api, Scope.VIEWER, "lee") as client:
        with world.api.db.connect("test") as connection:
            connection.execute("UPDATE api.sessions SET expires_at = now()")
        assert client.get("/").status_code == 303

    with signed_in(world.api, Scope.VIEWER, "park") as client:
        cookie = client.cookies["batch_platform_session"]
        csrf = hidden(client.get("/").text, "csrf")
        assert client.post("/logout", data={"csrf": "wrong"}).status_code == 403
        assert client.get("/").status_code == 200
        assert client.post("/logout", data={"csrf": csrf}).headers["location"] == "/login"
        assert client.get("/").status_code == 303
        # Not only forgotten by the browser.
        again = client.get("/", headers={"Cookie": f"batch_platform_session={cookie}"})
        assert again.status_code == 303


def test_another_sites_form_changes_nothing(world: MorningWorld) -> None:
    let_chats_fail(world)
    with signed_in(world.api, Scope.OPERATOR) as client:
        page = client.get("/").text
        form = {name: hidden(page, name) for name in ("csrf", "incident", "key")}
        refused = [
            client.post("/retry", data={**form, "csrf": ""}),
            client.post("/retry", data=form, headers={"Sec-Fetch-Site": "cross-site"}),
            client.post("/retry", data=form, headers={"Origin": "https://evil.example"}),
            client.post("/retry", data=form, headers={"Origin": "null"}),
        ]
        assert [each.status_code for each in refused] == [403] * 4
        assert client.post("/retry", json=form).status_code == 415
        assert client.get("/retry").status_code == 405
    assert world.api.db.fetch_all("SELECT FROM operations.occurrences") == []


def test_what_a_page_changes_is_in_the_audit(world: MorningWorld) -> None:
    let_chats_fail(world)
    with signed_in(world.api, Scope.VIEWER, "kim") as viewer:
        page = viewer.get("/").text
        assert "operator 토큰" in page
        csrf = hidden(page, "csrf")
        refused = viewer.post("/retry", data={"csrf": csrf, "incident": "1", "key": "x"})
        assert refused.status_code == 403
    assert world.api.db.fetch_all("SELECT token_name, method, path, outcome FROM api.audit") == [
        ("kim", "POST", "/retry", 403)
    ]


def test_errors_are_pages_for_people_and_problems_for_programs(world: MorningWorld) -> None:
    with signed_in(world.api, Scope.VIEWER) as client:
        page = client.get("/nowhere")
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "여기에는 아무것도 없습니다" in page.text
        problem = client.get("/nowhere", headers={"Accept": "application/json"})
        assert problem.headers["content-type"] == "application/problem+json"
        english = client.get("/nowhere", headers={"Accept-Language": "en-GB,ko;q=0.5"})
        assert "Nothing is here" in english.text


def test_without_a_database_a_page_says_so(platform_db: PlatformDb) -> None:
    def away() -> PlatformDb:
        raise RetryableError("postgresql://user:secret-9d1@127.0.0.1:1/none does not answer")

    cookie = {"Cookie": "batch_platform_session=x"}
    with running_api(platform_db, open_db=away) as api:
        answer = httpx.get(f"{api.url}/", headers=HTML | cookie, trust_env=False)
    assert answer.status_code == 503
    assert "데이터베이스가 대답하지 않습니다" in answer.text
    assert "secret" not in answer.text


def test_an_unexpected_error_is_a_page_that_tells_nothing(world: MorningWorld) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("secret-9d1")

    world.api.app.add_api_route("/broken", broken)
    answer = httpx.get(f"{world.api.url}/broken", headers=HTML, trust_env=False)
    assert answer.status_code == 500
    assert "urn:uuid:" in answer.text
    assert "secret" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_every_address_answers_head(world: MorningWorld) -> None:
    with signed_in(world.api, Scope.VIEWER) as client:
        for path in ("/", "/healthz", "/readyz", "/openapi.json"):
            answer = client.head(path)
            assert (path, answer.status_code, answer.content) == (path, 200, b"")
        assert client.head("/api/batch/run/").status_code in {401, 405}


def test_style_and_script_may_be_kept_and_pages_may_not(world: MorningWorld) -> None:
    with signed_in(world.api, Scope.VIEWER) as client:
        page = client.get("/")
        style = page.text.split('rel="stylesheet" href="')[1].partition('"')[0]
        assert page.headers["cache-control"] == "no-store"
        assert "immutable" in client.get(style).headers["cache-control"]
        assert client.get("/static/x/../../secrets").status_code == 404
        assert client.get("/static/x/words.py").status_code == 404


def test_sessions_that_are_over_are_swept_away(world: MorningWorld) -> None:
    with signed_in(world.api, Scope.VIEWER, "kim"):
        pass
    with world.api.db.connect("test") as connection:
        connection.execute("UPDATE api.sessions SET expires_at = now() - %s", [timedelta(days=1)])
    with signed_in(world.api, Scope.VIEWER, "lee"):
        assert len(world.api.db.fetch_all("SELECT FROM api.sessions")) == 1
