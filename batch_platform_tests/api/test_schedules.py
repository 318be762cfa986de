"""What an administrator and the old Django service do with schedules through the API."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from batch_platform.gateways.tokens import Scope
from batch_platform_tests.running_api import RunningApi

ALL = "/api/batch/schedule/"
OLD = {"name": "아침", "frequency": "daily", "hour": 9, "minute": 0, "is_active": True}
"""What the old service sends."""

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def admin(api: RunningApi) -> Iterator[httpx.Client]:
    api.know_jobs()
    with api.client(Scope.ADMIN) as client:
        yield client


def added(client: httpx.Client, **changes: object) -> httpx.Response:
    answer = client.post(ALL, json={**OLD, **changes})
    assert answer.status_code == 201, answer.text
    return answer


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def test_the_old_service_lists_creates_updates_and_deletes(admin: httpx.Client) -> None:
    assert admin.get(ALL).json() == []
    made = added(admin).json()
    assert made.items() >= OLD.items()
    assert made["job"] == "interventions_job"
    assert made["timezone"] == "Asia/Seoul"

    updated = admin.put(ALL, json={**OLD, "hour": 7})
    assert updated.status_code == 200
    assert updated.json()["hour"] == 7
    renamed = admin.put(ALL, json={**OLD, "name": "저녁", "id": made["id"]})
    assert renamed.json()["name"] == "저녁"
    assert [each["name"] for each in admin.get(ALL).json()] == ["저녁"]

    assert admin.delete(ALL, params={"name": "저녁"}).status_code == 204
    assert admin.get(ALL).json() == []
    problem(admin.delete(ALL, params={"id": made["id"]}), 404)
    problem(admin.delete(ALL), 422)


def test_a_last_slash_more_or_less_changes_nothing(admin: httpx.Client) -> None:
    answer = admin.post("/api/batch/schedule", json=OLD)
    assert answer.status_code == 201
    assert admin.get(answer.headers["location"].rstrip("/")).json() == answer.json()


def test_each_has_an_address_and_a_version(admin: httpx.Client) -> None:
    answer = added(admin)
    address, etag = answer.headers["location"], answer.headers["etag"]
    assert admin.get(address).headers["etag"] == etag

    problem(admin.patch(address, json={"hour": 8}), 428)
    changed = admin.patch(address, json={"hour": 8}, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert changed.json() == {
        **answer.json(),
        "hour": 8,
        "version": 2,
        "next_at": changed.json()["next_at"],
        "updated_at": changed.json()["updated_at"],
    }
    stale = {"If-Match": etag}
    for late in (
        admin.patch(address, json={"minute": 5}, headers=stale),
        admin.put(address, json=OLD, headers=stale),
        admin.delete(address, headers=stale),
        admin.put(ALL, json=OLD, headers=stale),
        admin.patch(address, json={"minute": 5}, headers={"If-Match": f"W/{etag}"}),
    ):
        problem(late, 412)
    # What was read may be sent back whole.
    read = admin.get(address)
    sent_back = admin.put(address, json=read.json(), headers={"If-Match": read.headers["etag"]})
    assert sent_back.status_code == 200
    assert admin.delete(address, headers={"If-Match": "*"}).status_code == 204
    problem(admin.get(address), 404)


def test_a_mistake_is_told_with_its_place(admin: httpx.Client) -> None:
    mistakes: list[tuple[dict[str, object], str]] = [
        ({"hour": 24}, "body/hour"),
        ({"hour": "9"}, "body/hour"),
        ({"hour": True}, "body/hour"),
        ({"is_active": 1}, "body/is_active"),
        ({"hours": 9}, "body/hours"),
        ({"name": ""}, "body/name"),
        ({"name": "a\nb"}, "body/name"),
        ({"name": None}, "body/name"),
        ({"frequency": "hourly"}, "body/frequency"),
        ({"run_config": {"a": ["\0"]}}, "body/run_config"),
        ({"run_config": {"\ud800": 1}}, "body/run_config"),
        ({"run_config": {"a": float("nan")}}, "body/run_config"),
        ({"\ud800": 1}, "body"),
    ]
    for changes, where in mistakes:
        # Written by Python's own encoder: an HTTP client refuses half of these.
        body = json.dumps({**OLD, **changes}).encode()
        told = problem(admin.post(ALL, content=body, headers=JSON), 422)
        assert all(each["where"].startswith(where) for each in told["errors"]), told


def test_what_makes_no_sense_is_refused_with_a_way_out(admin: httpx.Client) -> None:
    mistakes: list[tuple[dict[str, object], str]] = [
        ({"frequency": "cron"}, "cron string"),
        ({"frequency": "cron", "cron": "0 0 31 2 *"}, "ever due"),
        ({"timezone": "Mars/Base"}, "time zone"),
        ({"timezone": "America"}, "time zone"),
        ({"job": "no_such_job"}, "interventions_job"),
    ]
    for changes, word in mistakes:
        assert word in problem(admin.post(ALL, json={**OLD, **changes}), 422)["detail"]


def test_a_body_that_is_no_json_is_refused(admin: httpx.Client) -> None:
    problem(admin.post(ALL, content=b"{", headers=JSON), 422)
    problem(admin.post(ALL, content=b"\xff", headers=JSON), 400)
    problem(admin.post(ALL, content=b"[" * 60_000, headers=JSON), 400)
    problem(admin.post(ALL, content=b"[" * 70_000, headers=JSON), 413)
    problem(admin.post(ALL, content=iter([b"a" * 35_000] * 2), headers=JSON), 413)
    problem(admin.post(ALL, data={"name": "a"}), 415)


def test_a_taken_name_is_a_conflict(admin: httpx.Client) -> None:
    added(admin)
    other = added(admin, name="저녁")
    problem(admin.post(ALL, json=OLD), 409)
    renamed = admin.patch(
        other.headers["location"], json={"name": "아침"}, headers={"If-Match": "*"}
    )
    problem(renamed, 409)


def test_a_patch_changes_what_it_names_alone(admin: httpx.Client) -> None:
    made = added(admin, run_config={"ops": {}}, missed="all")
    address = made.headers["location"]
    any_version = {"If-Match": "*"}
    paused = admin.patch(address, json={"is_active": False}, headers=any_version).json()
    assert (paused["missed"], paused["run_config"]) == ("all", {"ops": {}})
    assert paused["next_at"] is None
    assert admin.get(address + "preview/").json() == {"times": []}
    problem(admin.patch(address, json={}, headers=any_version), 422)
    problem(admin.patch(address, json={"hour": None}, headers=any_version), 422)


def test_the_preview_tells_ten_times_in_the_schedules_zone(admin: httpx.Client) -> None:
    made = added(admin, timezone="Europe/Berlin", frequency="weekly", hour=6, minute=30)
    times = admin.get(made.headers["location"] + "preview/").json()["times"]
    moments = [datetime.fromisoformat(each) for each in times]
    assert len(moments) == 10
    assert moments == sorted(set(moments))
    berlin = ZoneInfo("Europe/Berlin")
    for moment in moments:
        assert (moment.isoweekday(), moment.hour, moment.minute) == (7, 6, 30)
        assert moment.utcoffset() == moment.astimezone(berlin).utcoffset()


def test_history_is_there_even_of_a_deleted_one(admin: httpx.Client) -> None:
    address = added(admin).headers["location"]
    assert admin.get(address + "runs/").json() == []
    admin.delete(address, headers={"If-Match": "*"})
    assert admin.get(address + "runs/").json() == []
    problem(admin.get(ALL + "999/runs/"), 404)


def test_every_change_is_in_the_audit(api: RunningApi, admin: httpx.Client) -> None:
    address = added(admin).headers["location"]
    admin.post(ALL + "?secret=1", json={"name": "홍길동 010-1234-5678"})
    admin.patch(address, json={"hour": 99}, headers={"If-Match": "*"})
    admin.delete(address, headers={"If-Match": "*"})
    with api.client(Scope.VIEWER) as viewer:
        viewer.get(ALL)
        viewer.delete(address)
    rows = api.db.fetch_all(
        "SELECT token_name, method, path, outcome, ended_at IS NOT NULL FROM api.audit ORDER BY 1"
        ", audit_id"
    )
    assert rows == [
        ("admin-0", "POST", ALL, 201, True),
        ("admin-0", "POST", ALL, 201, True),
        ("admin-0", "PATCH", address, 422, True),
        ("admin-0", "DELETE", address, 204, True),
        ("viewer-1", "DELETE", address, 403, True),
    ]
    ((changed_by,),) = api.db.fetch_all(
        "SELECT DISTINCT changed_by FROM operations.schedule_changes"
    )
    assert changed_by == "admin-0"
