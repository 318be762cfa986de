"""The quarantine's inbox and the costs, as pages and for programs."""

from datetime import date
from html import unescape

import pytest

from batch_platform.gateways.tokens import Scope
from batch_platform_tests.integration.operations.conftest import REASON, Calls
from batch_platform_tests.morning_world import MorningWorld
from batch_platform_tests.signed_in import hidden, signed_in

DAY = "2026-11-20"
LIST = "/api/quarantine/"
RUNS = "SELECT job, partition, requested_by FROM operations.occurrences ORDER BY job"


@pytest.fixture
def calls(world: MorningWorld) -> Calls:
    made = Calls(world.api.db)
    made.set_aside("chats.classify", DAY, "a81f3c")
    made.set_aside("chats.classify", DAY, "질문 <b>77</b>")
    made.set_aside("interventions.all", DAY, "17")
    return made


def waiting(calls: Calls) -> int:
    ((count,),) = calls.db.fetch_all(
        "SELECT count(*) FROM llm.quarantine WHERE NOT EXISTS (SELECT FROM llm.discarded"
        " WHERE discarded.item_id = quarantine.item_id)"
    )
    return count


def test_one_is_asked_again_and_one_given_up(world: MorningWorld, calls: Calls) -> None:
    with signed_in(world.api, Scope.OPERATOR, "kim") as client:
        page = client.get("/quarantine").text
        assert page.count(">다시 묻기</button>") == 3
        assert REASON in page
        assert "<b>77" not in page
        csrf = hidden(page, "csrf")
        names = [unescape(part.partition('"')[0]) for part in page.split('name="item" value="')[1:]]
        one = next(name for name in names if "77" in name)
        again = client.post("/quarantine/retry", data={"csrf": csrf, "item": one})
        assert again.headers["location"] == "/quarantine?again=1"
        assert world.api.db.fetch_all(RUNS) == [("chats_night_job", DAY, "kim")]

        form = {"csrf": csrf, "item": one}
        assert client.post("/quarantine/discard", data={**form, "reason": " "}).status_code == 422
        gone = client.post("/quarantine/discard", data={**form, "reason": "욕설"})
        assert gone.headers["location"] == "/quarantine?gone=1"
        assert waiting(calls) == 2
        assert client.get("/quarantine?gone=1").text.count(">다시 묻기</button>") == 2


def test_all_are_asked_again(world: MorningWorld, calls: Calls) -> None:
    with signed_in(world.api, Scope.OPERATOR, "kim") as client:
        page = client.get("/quarantine").text
        answer = client.post(
            "/quarantine/retry", data={"csrf": hidden(page, "csrf"), "item": "all"}
        )
        assert answer.headers["location"] == "/quarantine?again=2&answered=1"
        # Rules have written what the model could not: a run would let that stand.
        assert "interventions run" in client.get(answer.headers["location"]).text
    assert world.api.db.fetch_all(RUNS) == [("chats_night_job", DAY, "kim")]


def test_a_form_that_names_no_item_and_a_viewer_change_nothing(
    world: MorningWorld, calls: Calls
) -> None:
    with signed_in(world.api, Scope.OPERATOR) as client:
        csrf = hidden(client.get("/quarantine").text, "csrf")
        for item in (
            "",
            "{",
            "[]",
            '["a", "b"]',
            '["a", "b", 3]',
            '["a", "\\u0000", "c"]',
            "1e999",
        ):
            answer = client.post("/quarantine/retry", data={"csrf": csrf, "item": item})
            assert (item, answer.status_code) == (item, 422)
    with signed_in(world.api, Scope.VIEWER) as client:
        page = client.get("/quarantine").text
        assert ">다시 묻기</button>" not in page
        form = {"csrf": hidden(page, "csrf"), "item": "all", "reason": "x"}
        assert client.post("/quarantine/discard", data=form).status_code == 403
    assert waiting(calls) == 3


def test_programs_do_the_same(world: MorningWorld, calls: Calls) -> None:
    with world.api.client(Scope.OPERATOR) as client:
        listed = client.get(LIST, params={"domain": "chats"}).json()
        assert len(listed) == 2
        assert {each["reason"] for each in listed} == {REASON}
        assert {(each["attempts"], each["cost_krw"]) for each in listed} == {(3, 1.5)}
        name = {"task": "chats.classify", "partition": DAY, "item_id": "a81f3c"}
        accepted = client.post(f"{LIST}retry/", json={"items": [name]})
        assert accepted.status_code == 202
        assert accepted.json() == {
            "items": 1,
            "runs": [{"job": "chats_night_job", "partition": DAY}],
            "answered": 0,
        }
        given_up = client.post(f"{LIST}discard/", json={"items": [name], "reason": "욕설"})
        assert given_up.json() == {"items": 1}
        everything = client.get(LIST, params={"with_discarded": True}).json()
        assert [
            each["discarded_because"] for each in everything if each["item_id"] == "a81f3c"
        ] == ["욕설"]
        assert client.post(f"{LIST}discard/", json={"items": [], "reason": "x"}).status_code == 422
    with world.api.client(Scope.VIEWER) as viewer:
        assert viewer.post(f"{LIST}retry/", json={"items": [name]}).status_code == 403


def test_costs_on_the_page_and_for_programs(world: MorningWorld, calls: Calls) -> None:
    with world.api.db.connect("test") as connection:
        for day, krw in ((date(2026, 11, 21), 2_700.0), (date(2026, 11, 19), 900.0)):
            connection.execute("INSERT INTO llm.spending VALUES ('chats', %s, %s)", [day, krw])
    with signed_in(world.api, Scope.VIEWER) as client:
        page = client.get("/costs").text
    assert "3,600원" in page
    assert "90%" in page
    assert "2,700원 / 3,000원" in page
    assert "gpt-4.1-mini" in page
    with world.api.client(Scope.VIEWER) as client:
        told = client.get("/api/costs/").json()
    assert told["month_krw"] == 3_600
    assert told["forecast_krw"] > 3_600
    assert told["budgets"] == [{"domain": "chats", "spent_krw": 2_700, "limit_krw": 3_000}]
    assert {each["model"] for each in told["models"]} == {"gpt-4.1-mini"}
    assert len(told["days"]) == 30


def test_nothing_set_aside_and_nothing_spent_say_so(world: MorningWorld) -> None:
    with signed_in(world.api, Scope.VIEWER) as client:
        assert "보류된 항목이 없습니다" in client.get("/quarantine").text
        assert "아직 모델 비용이 없습니다" in client.get("/costs").text
