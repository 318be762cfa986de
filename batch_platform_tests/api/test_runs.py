"""Runs that are asked for through the API: accepted once, launched by the dispatcher."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.running_api import RunningApi, running_api

RUN = "/api/batch/run/"
STATUS = "/api/batch/status/"
JOB = "interventions_job"
NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
"""01:00 of the 21st in Seoul."""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(platform_db: PlatformDb, clock: Clock) -> Any:
    with running_api(platform_db, clock=clock) as running:
        running.know_jobs()
        yield running


@pytest.fixture
def operator(api: RunningApi) -> Any:
    with api.client(Scope.OPERATOR) as client:
        yield client


def due(api: RunningApi) -> list[tuple[str, str]]:
    return api.db.fetch_all(  # type: ignore[return-value]
        "SELECT job, partition FROM operations.occurrences ORDER BY occurrence_id"
    )


def test_run_now_is_yesterday_of_the_interventions(api: RunningApi, operator: httpx.Client) -> None:
    answer = operator.post(RUN, json={})
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert (accepted["job"], accepted["partitions"]) == (JOB, ["2026-11-20"])
    assert answer.headers["location"] == accepted["address"]
    assert due(api) == [(JOB, "2026-11-20")]

    state = operator.get(accepted["address"]).json()
    assert state["status"] == "waiting"
    assert state["runs"][0]["status"] == "due"
    assert state["requested_by"] == accepted["requested_by"] == "operator-0"


def test_a_range_is_a_run_a_day(api: RunningApi, operator: httpx.Client) -> None:
    body = {"job": "chats_night_job", "start": "2026-02-27", "end": "2026-03-02"}
    accepted = operator.post(RUN, json=body).json()
    assert accepted["partitions"] == ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]
    assert len(due(api)) == 4
    monthly = {"job": "chats_archive_job", "start": "2026-02-27", "end": "2026-03-02"}
    assert operator.post(RUN, json=monthly).json()["partitions"] == ["2026-02-01", "2026-03-01"]
    assert operator.post(RUN, json={"job": "backups_job"}).json()["partitions"] == [""]


def test_what_cannot_run_is_refused(api: RunningApi, operator: httpx.Client) -> None:
    mistakes: list[tuple[dict[str, object], str]] = [
        ({"date": "2026-11-20", "start": "2026-11-20", "end": "2026-11-20"}, "not both"),
        ({"start": "2026-11-20"}, "start and end"),
        ({"start": "2026-11-20", "end": "2026-11-19"}, "ends before"),
        ({"start": "2020-01-01", "end": "2026-01-01"}, "366"),
        ({"date": "2026-11-23"}, "tomorrow"),
        ({"date": "20261120"}, "2026-11-20"),
        ({"date": "2026-02-30"}, "body/date"),
        ({"date": 20}, "body/date"),
        ({"job": "no_such_job"}, "chats_night_job"),
        ({"job": "backups_job", "date": "2026-11-20"}, "no days"),
        ({"job": "emotions_job", "date": "2026-11-20"}, "by the day"),
        ({"day": "2026-11-20"}, "body/day"),
    ]
    for body, word in mistakes:
        answer = operator.post(RUN, json=body)
        assert answer.status_code == 422
        assert word in answer.json()["detail"]
    assert due(api) == []


def test_the_same_key_and_body_is_one_request(
    api: RunningApi, operator: httpx.Client, clock: Clock
) -> None:
    key = {"Idempotency-Key": "8e03978e"}
    first = operator.post(RUN, json={}, headers=key)
    # Asked again a day later, it still means the day that it meant.
    clock.now += timedelta(days=1)
    again = operator.post(RUN, json={}, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(due(api)) == 1

    other = operator.post(RUN, json={"date": "2026-11-01"}, headers=key)
    assert other.status_code == 422
    assert other.json()["type"].endswith(":idempotency-key-reused")
    assert operator.post(RUN, json={}, headers={"Idempotency-Key": "another"}).status_code == 202
    with api.client(Scope.OPERATOR) as somebody_else:
        assert somebody_else.post(RUN, json={}, headers=key).json()["id"] != first.json()["id"]
    assert len(due(api)) == 3


def test_two_with_one_key_at_the_same_moment_are_one(
    api: RunningApi, operator: httpx.Client
) -> None:
    body = {"job": "chats_night_job", "start": "2026-11-01", "end": "2026-11-05"}
    for attempt in range(5):
        with ThreadPoolExecutor(4) as threads:
            answers = list(
                threads.map(
                    lambda _, key=str(attempt): operator.post(
                        RUN, json=body, headers={"Idempotency-Key": key}
                    ),
                    range(4),
                )
            )
        assert {each.status_code for each in answers} == {202}
        assert len({each.text for each in answers}) == 1
    assert len(due(api)) == 5 * 5


def test_status_counts_and_lists(api: RunningApi, operator: httpx.Client) -> None:
    empty = operator.get(STATUS).json()
    assert empty["runs"] == []
    assert (empty["waiting"], empty["running"], empty["dispatcher_seen_at"]) == (0, 0, None)

    accepted = operator.post(RUN, json={"start": "2026-11-01", "end": "2026-11-03"}).json()
    with api.db.connect("test") as connection:
        for day, status, run_id, reason in (
            ("01", "succeeded", "r-1", ""),
            ("02", "launched", "r-2", ""),
            ("03", "failed", "r-3", "It failed"),
        ):
            connection.execute(
                "UPDATE operations.occurrences SET status = %s, run_id = %s, reason = %s"
                " WHERE partition = %s",
                [status, run_id, reason, f"2026-11-{day}"],
            )
    operator.post(RUN, json={"job": "chats_night_job"})
    status = operator.get(STATUS).json()
    assert (status["waiting"], status["running"]) == (1, 1)
    assert len(status["runs"]) == 4
    failed = operator.get(STATUS, params={"status": "failed", "job": JOB}).json()["runs"]
    assert [(each["reason"], each["run_url"]) for each in failed] == [
        ("It failed", "http://127.0.0.1:3000/runs/r-3")
    ]
    assert operator.get(accepted["address"]).json()["status"] == "running"


def test_sync_tells_whether_the_dispatcher_is_there(
    api: RunningApi, operator: httpx.Client
) -> None:
    assert operator.post("/api/batch/sync/").json()["status"] == "dispatcher away"
    with api.db.connect("test") as connection:
        connection.execute("INSERT INTO operations.dispatcher (caught_up_at) VALUES (%s)", [NOW])
    assert operator.post("/api/batch/sync/", json={}).json()["status"] == "in line"


def test_before_the_platform_ever_ran_it_says_when_to_come_back(platform_db: PlatformDb) -> None:
    with running_api(platform_db) as api, api.client(Scope.OPERATOR) as operator:
        answer = operator.post(RUN, json={})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "15"
    assert "batch-platform up" in answer.json()["detail"]


def test_an_unknown_request_is_not_there(operator: httpx.Client) -> None:
    assert operator.get(f"{RUN}6f0b8b5e-6f3b-5a55-9d52-0f4f3c1a7c11/").status_code == 404
    assert operator.get(f"{RUN}nothing/").status_code == 422
