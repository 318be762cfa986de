"""What an administrator does about messages and deadlines through the API."""

from collections.abc import Iterator
from datetime import UTC, datetime, time

import httpx
import pytest

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.deadline_book import note_deadlines
from batch_platform.operations.incidents.models import IncidentKind, Trouble
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.sandbox.smtp_sink import running_smtp_sink
from batch_platform_tests.running_api import RunningApi, running_api

ROUTES = "/api/alerts/routes/"
MUTES = "/api/alerts/mutes/"
DEADLINES = "/api/deadlines/"
TO_THE_DBA = {"domain": "backups", "channel": "mail", "recipients": ["dba@example.org"]}
FAILED = Trouble(
    kind=IncidentKind.FAILED,
    domain="chats",
    asset="chats/classifications",
    partition="2026-11-19",
    job="chats_night_job",
    causes=["The key is refused"],
    advice=[],
    run_id="run-1",
    is_made_up=False,
)


@pytest.fixture
def admin(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client(Scope.ADMIN) as client:
        yield client


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["detail"]


def test_a_route_is_added_changed_and_deleted_and_no_change_is_lost(
    api: RunningApi, admin: httpx.Client
) -> None:
    made = admin.post(ROUTES, json={**TO_THE_DBA, "from_time": "09:00", "to_time": "18:00"})
    assert made.status_code == 201, made.text
    address, etag = made.headers["location"], made.headers["etag"]
    assert admin.get(ROUTES).json() == [made.json()]
    assert made.json().items() >= {**TO_THE_DBA, "from_time": "09:00", "version": 1}.items()

    problem(admin.patch(address, json={"least_severity": "error"}), 428)
    changed = admin.patch(
        address,
        json={"least_severity": "error", "from_time": None, "to_time": None},
        headers={"If-Match": etag},
    )
    assert changed.status_code == 200, changed.text
    assert changed.json() == made.json() | {
        "least_severity": "error", "from_time": None, "to_time": None, "version": 2,
    }  # fmt: skip
    stale = {"If-Match": etag}
    problem(admin.put(address, json=TO_THE_DBA, headers=stale), 412)
    problem(admin.delete(address, headers=stale), 412)

    whole = admin.put(address, json={"channel": "slack"}, headers={"If-Match": "*"})
    assert (whole.json()["domain"], whole.json()["recipients"]) == ("", [])
    ((who, what),) = api.db.fetch_all("SELECT changed_by, channel FROM operations.alert_routes")
    assert (who, what) == ("admin-0", "slack")
    assert admin.delete(address, headers={"If-Match": "*"}).status_code == 204
    problem(admin.get(address), 404)


def test_a_route_that_nothing_could_go_is_refused_with_a_way_out(
    api: RunningApi, admin: httpx.Client
) -> None:
    for changes, word in (
        ({"domain": "chat"}, "chats, fortunes"),
        ({"channel": "slack"}, "mail only"),
        ({"from_time": "09:00"}, "09:00-18:00"),
        ({"from_time": "9:00", "to_time": "18:00"}, "body/from_time"),
        ({"recipients": ["nobody"]}, "body/recipients/0"),
        ({"recipent": []}, "body/recipent"),
    ):
        assert word in problem(admin.post(ROUTES, json={**TO_THE_DBA, **changes}), 422)
    with api.client(Scope.OPERATOR) as operator:
        problem(operator.post(ROUTES, json=TO_THE_DBA), 403)
        problem(operator.post(MUTES, json={"incident_id": 1}), 403)
        assert operator.get(ROUTES).json() == []


def test_an_incident_is_seen_muted_and_told_again(api: RunningApi, admin: httpx.Client) -> None:
    IncidentBook(api.db).report(FAILED, datetime.now(UTC))
    (incident,) = admin.get("/api/alerts/incidents/").json()
    assert incident["causes"] == ["The key is refused"]
    number = incident["id"]

    assert admin.get(MUTES).json() == []
    muted = admin.post(MUTES, json={"incident_id": number, "hours": 2})
    assert muted.status_code == 201, muted.text
    assert muted.headers["location"] == f"{MUTES}{number}/"
    (seen,) = admin.get(MUTES).json()
    assert (seen["incident_id"], seen["muted_by"]) == (number, "admin-0")
    assert admin.delete(f"{MUTES}{number}/").status_code == 204
    assert admin.get(MUTES).json() == []
    problem(admin.post(MUTES, json={"incident_id": number + 1}), 404)


def test_a_test_message_says_where_it_went_and_why_not(api: RunningApi) -> None:
    with running_smtp_sink() as sink:
        variables = {
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": sink.port,
            "SMTP_SECURITY": "none",
            "SENDER_EMAIL": "batch@example.org",
        }
        with (
            running_api(api.db, variables=variables) as mailing,
            mailing.client(Scope.ADMIN) as admin,
        ):
            (unset,) = admin.post("/api/alerts/test/", json={}).json()
            assert not unset["is_sent"]
            assert "MAILTO" in unset["said"]
            admin.post(ROUTES, json=TO_THE_DBA)
            assert admin.post("/api/alerts/test/", json={"domain": "chats"}).json() == []
            (sent,) = admin.post("/api/alerts/test/", json={"domain": "backups"}).json()
        assert sent == {"channel": "mail", "is_sent": True, "said": "dba@example.org"}
        assert [mail.recipients for mail in sink.mails()] == [["dba@example.org"]]


def test_deadlines_are_moved_taken_away_and_put_back(api: RunningApi, admin: httpx.Client) -> None:
    note_deadlines(
        api.db, [Deadline("chats/report", time(7)), Deadline("stocks/daily_prices", time(10))]
    )
    moved = admin.put(DEADLINES + "chats/report/", json={"at": "06:30", "days_after": 2})
    assert moved.status_code == 200, moved.text
    gone = admin.put(DEADLINES + "stocks/daily_prices/", json={"at": None})
    assert gone.json()["days_after"] is None
    assert admin.get(DEADLINES).json() == [
        {"asset": "chats/report", "at": "06:30", "days_after": 2, "is_changed": True},
        {"asset": "stocks/daily_prices", "at": None, "days_after": None, "is_changed": True},
    ]
    assert admin.delete(DEADLINES + "chats/report/").status_code == 204
    assert admin.get(DEADLINES).json()[0]["at"] == "07:00"
    assert "no deadline" in problem(admin.put(DEADLINES + "a/b/", json={"at": "06:30"}), 404)
    problem(admin.put(DEADLINES + "chats/report/", json={"at": "24:00"}), 422)
    ((who,),) = api.db.fetch_all("SELECT changed_by FROM operations.deadline_changes")
    assert who == "admin-0"
