"""Who may use the API: tokens in force, of a scope that suffices, and nobody else."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from batch_platform.api.access import CACHE_SECONDS
from batch_platform.core.errors import PermanentError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope, TokenBook
from batch_platform_tests.running_api import RunningApi
from batch_platform_tests.running_platform import wait_until

WHO = "/api/token/"
OPEN = {"/healthz", "/readyz"}


def test_a_token_tells_who_it_is(api: RunningApi) -> None:
    token = api.tokens.create("django-service", Scope.OPERATOR)
    with api.client(token=token) as client:
        assert client.get(WHO).json() == {"name": "django-service", "scope": "operator"}


NO_TOKENS = (
    None,
    "",
    "Bearer",
    "Basic dXNlcjpwYXNz",
    "Bearer bpt_0123456789ab_" + "x" * 43,
    "Bearer bpt_' OR 1=1 --",
    "Bearer \u00e9\u00e9",
    "Bearer " + "x" * 8000,
)


def test_anything_else_is_401(api: RunningApi) -> None:
    with api.client() as client:
        for header in NO_TOKENS:
            headers = {} if header is None else {"Authorization": header.encode("latin-1")}
            answer = client.get(WHO, headers=headers)  # type: ignore[arg-type]
            assert answer.status_code == 401, header
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_right_id_with_a_wrong_secret_is_401(api: RunningApi) -> None:
    token = api.tokens.create("a", Scope.ADMIN)
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    with api.client(token=wrong) as client:
        assert client.get(WHO).status_code == 401


def test_a_revoked_token_ends_within_two_seconds(api: RunningApi) -> None:
    token = api.tokens.create("leaver", Scope.VIEWER)
    with api.client(token=token) as client:
        assert client.get(WHO).status_code == 200
        api.tokens.revoke("leaver")
        wait_until(lambda: client.get(WHO).status_code == 401, CACHE_SECONDS + 8, "its end")


def test_an_expired_token_ends(api: RunningApi) -> None:
    token = api.tokens.create("short", Scope.VIEWER, timedelta(days=1))
    with api.client(token=token) as client:
        assert client.get(WHO).status_code == 200
        with api.db.connect("test") as connection:
            connection.execute("UPDATE api.tokens SET expires_at = now()")
        wait_until(lambda: client.get(WHO).status_code == 401, CACHE_SECONDS + 8, "its end")


def test_only_a_hash_is_stored(platform_db: PlatformDb) -> None:
    token = TokenBook(platform_db).create("a", Scope.VIEWER)
    ((row,),) = platform_db.fetch_all("SELECT to_jsonb(tokens)::text FROM api.tokens")
    assert token not in row
    assert token.rpartition("_")[2] not in row
    assert hashlib.sha256(token.encode()).hexdigest() in row


def test_a_name_is_there_once_and_again_after_its_end(platform_db: PlatformDb) -> None:
    tokens = TokenBook(platform_db)
    tokens.create("a", Scope.VIEWER)
    with pytest.raises(PermanentError, match="already"):
        tokens.create("a", Scope.ADMIN)
    tokens.revoke("a")
    tokens.create("a", Scope.ADMIN)
    assert [each.scope for each in tokens.tokens()] == [Scope.ADMIN, Scope.VIEWER]
    with pytest.raises(PermanentError, match="no name"):
        tokens.create("a b", Scope.VIEWER)
    with pytest.raises(PermanentError, match="No token named b"):
        tokens.revoke("b")


def test_use_is_noted(api: RunningApi) -> None:
    with api.client(Scope.VIEWER) as client:
        assert api.tokens.tokens()[0].last_used_at is None
        client.get(WHO)
    assert api.tokens.tokens()[0].last_used_at is not None


def test_many_requests_at_once_ask_about_a_token_once(api: RunningApi) -> None:
    token = api.tokens.create("many", Scope.VIEWER)
    headers = {"Authorization": f"Bearer {token}"}
    with ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(
                lambda _: httpx.get(f"{api.url}{WHO}", headers=headers, trust_env=False), range(32)
            )
        )
    assert {each.status_code for each in answers} == {200}


def test_scopes_include_the_ones_before() -> None:
    order = [Scope.VIEWER, Scope.OPERATOR, Scope.ADMIN]
    for index, scope in enumerate(order):
        assert [scope.includes(other) for other in order] == [each <= index for each in range(3)]


def test_every_path_and_method_needs_a_token_of_its_scope(api: RunningApi) -> None:
    """Walks the OpenAPI document, so no route can be forgotten."""
    smaller = {"operator": Scope.VIEWER, "admin": Scope.OPERATOR}
    with (
        api.client() as nobody,
        api.client(Scope.VIEWER) as viewer,
        api.client(Scope.OPERATOR) as operator,
    ):
        clients = {Scope.VIEWER: viewer, Scope.OPERATOR: operator}
        document = nobody.get("/openapi.json").json()
        walked = 0
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if path in OPEN:
                    assert "security" not in operation
                    continue
                walked += 1
                url = path.replace("{", "").replace("}", "")
                assert operation["security"] == [{"token": []}], path
                for sent in ({}, {"content": b"{no json", "headers": {"Content-Type": "a/b"}}):
                    answer = nobody.request(method, url, **sent)  # type: ignore[arg-type]
                    assert answer.status_code == 401, (method, path)
                    scope = operation["description"].rpartition("**")[0].rpartition("**")[2]
                    if scope in smaller:
                        answer = clients[smaller[scope]].request(method, url, **sent)  # type: ignore[arg-type]
                        assert answer.status_code == 403, (method, path)
                        assert answer.json()["type"].endswith(":scope-too-small")
    assert walked > 0
