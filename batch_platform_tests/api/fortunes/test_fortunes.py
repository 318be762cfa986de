"""What the app gets when it asks for a user's fortune."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.running_api import RunningApi, running_api

# 08:30 on 22 November in Seoul, still the 21st in New York, 12:30 on the 22nd in Auckland.
NOW = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
DAY = date(2026, 11, 22)


def store(
    db: PlatformDb,
    user_id: str,
    for_date: date = DAY,
    *,
    zone: str = "Asia/Seoul",
    is_failed: bool = False,
) -> None:
    with db.connect("test") as connection:
        connection.execute(
            """
            INSERT INTO fortunes.daily_fortunes (
                for_date, user_id, status, gapja_code, gapja_name, gapja_element, fortune_data,
                fortune_score, time_zone, reason, attempts, next_retry_at, model, is_made_up,
                generated_at
            ) VALUES (
                %(day)s, %(user)s, %(status)s, 36, '경자', '금', %(data)s, '{"entropy_score": 90}',
                %(zone)s, %(reason)s, 0, %(retry)s, 'm', true, %(now)s
            )
            """,
            {
                "day": for_date,
                "user": user_id,
                "status": "failed" if is_failed else "completed",
                "data": None if is_failed else f'{{"today_fortune_summary": "{for_date} 😀"}}',
                "zone": zone,
                "reason": "No answer could be used: summary is too long" if is_failed else None,
                "retry": datetime(2026, 11, 21, 23, 40, tzinfo=UTC) if is_failed else None,
                "now": datetime(2026, 11, 21, 13, 2, tzinfo=UTC),
            },
        )


@pytest.fixture
def api(platform_db: PlatformDb) -> Iterator[RunningApi]:
    with running_api(platform_db, clock=lambda: NOW) as running:
        yield running


@pytest.fixture
def app(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client(Scope.VIEWER) as client:
        yield client


def today(app: httpx.Client, user_id: str, **headers: str) -> httpx.Response:
    return app.get("/fortune/today", params={"user_id": user_id}, headers=headers)


def test_today_is_the_day_where_the_user_lives(api: RunningApi, app: httpx.Client) -> None:
    for day in (21, 22, 23):
        store(api.db, "seoul", date(2026, 11, day))
        store(api.db, "new-york", date(2026, 11, day), zone="America/New_York")
    said = today(app, "seoul")
    assert said.status_code == 200
    assert said.headers["content-type"] == "application/json"
    assert said.json() == {
        "user_id": "seoul",
        "for_date": "2026-11-22",
        "status": "completed",
        "time_zone": "Asia/Seoul",
        "gapja_code": 36,
        "gapja_name": "경자",
        "gapja_element": "금",
        "fortune_data": {"today_fortune_summary": "2026-11-22 😀"},
        "fortune_score": {"entropy_score": 90},
        "is_made_up": True,
        "generated_at": "2026-11-21T13:02:00+00:00",
    }
    assert today(app, "new-york").json()["for_date"] == "2026-11-21"


def test_a_given_day_is_that_day(api: RunningApi, app: httpx.Client) -> None:
    store(api.db, "42", date(2026, 1, 2))
    assert app.get("/fortunes/42/2026-01-02").json()["for_date"] == "2026-01-02"
    assert app.get("/fortunes/42/2026-01-03").status_code == 404
    for wrong in ("2026-02-30", "0", "1764000000", "yesterday"):
        assert app.get(f"/fortunes/42/{wrong}").status_code == 422


def test_without_a_fortune_the_reason_is_told(api: RunningApi, app: httpx.Client) -> None:
    store(api.db, "failed", is_failed=True)
    nobody, failed = today(app, "nobody"), today(app, "failed")
    assert (nobody.status_code, failed.status_code) == (404, 404)
    assert nobody.headers["content-type"] == "application/problem+json"
    assert nobody.json()["type"].endswith(":no-fortune")
    assert "the evening before" in nobody.json()["detail"]
    assert failed.json()["type"].endswith(":fortune-failed")
    assert "2026-11-21T23:40:00Z" in failed.json()["detail"]
    assert "summary" not in failed.text, "the inside is not the app's business"


@pytest.mark.parametrize("user_id", ["42", "kim@example.com", "한글 😀", "a+b&c=d", "x" * 64])
def test_any_key_of_a_user_is_found(api: RunningApi, app: httpx.Client, user_id: str) -> None:
    store(api.db, user_id)
    assert today(app, user_id).json()["user_id"] == user_id


@pytest.mark.parametrize("user_id", ["", "x" * 65, "a\0b"])
def test_what_is_no_key_is_refused(app: httpx.Client, user_id: str) -> None:
    assert today(app, user_id).status_code == 422


def test_a_token_is_needed(api: RunningApi) -> None:
    store(api.db, "42")
    for token in (None, "bp_wrong_token"):
        with api.client(token=token) as client:
            for path in ("/fortune/today?user_id=42", "/fortunes/42/2026-11-22"):
                assert client.get(path).status_code == 401


def test_an_answer_says_how_long_it_holds_and_is_not_sent_twice(
    api: RunningApi, app: httpx.Client
) -> None:
    store(api.db, "42")
    said = today(app, "42")
    assert said.headers["cache-control"] == "private, max-age=60"
    again = today(app, "42", **{"If-None-Match": said.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == said.headers["etag"]
    assert today(app, "42", **{"If-None-Match": '"other"'}).content == said.content


def test_near_midnight_an_answer_holds_no_longer_than_the_day(platform_db: PlatformDb) -> None:
    store(platform_db, "42")
    just_before = datetime(2026, 11, 22, 14, 59, 50, tzinfo=UTC)
    with (
        running_api(platform_db, clock=lambda: just_before) as api,
        api.client(Scope.VIEWER) as app,
    ):
        assert today(app, "42").headers["cache-control"] == "private, max-age=10"


def test_many_at_once_each_get_their_own(api: RunningApi, app: httpx.Client) -> None:
    users = [str(number) for number in range(100)]
    for user_id in users[::2]:
        store(api.db, user_id)

    def ask(user_id: str) -> tuple[int, Any]:
        said = today(app, user_id)
        return said.status_code, said.json().get("user_id")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, users))
    assert answers == [
        (404, None) if number % 2 else (200, user_id) for number, user_id in enumerate(users)
    ]


def test_the_shortcut_says_what_the_route_says(api: RunningApi, app: httpx.Client) -> None:
    store(api.db, "42")
    # A second parameter is not plain: FastAPI's route answers.
    plain, whole = today(app, "42"), app.get("/fortune/today?user_id=42&plain=no")
    assert plain.content == whole.content
    names = ("etag", "cache-control", "content-type", "x-content-type-options")
    assert {name: plain.headers[name] for name in names} == {
        name: whole.headers[name] for name in names
    }
