"""Which calls of the model server go wrong, and what that looks like."""

import json
from datetime import UTC, datetime

import pytest

from batch_platform.sandbox.faults import (
    RATE_FAULTS,
    Fault,
    FaultPlan,
    error_response,
    spoiled_answers,
    spoiled_text,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ANSWERS = [{"id": "1", "head": "가"}, {"id": "2", "head": "나"}, {"id": "3", "head": "다"}]
STRANGER = {"id": "stranger", "head": "낯"}


def heads(answers):
    return [(answer["id"], answer.get("head")) for answer in answers]


def test_shares_hit_about_as_many_calls_as_they_say():
    plan = FaultPlan({Fault.SERVER_ERROR: 0.1, Fault.HANG: 0.3}, (), {}, seed=1)
    met = [plan.next(f"question {number}", ()) for number in range(4000)]
    assert 0.08 < met.count(Fault.SERVER_ERROR) / 4000 < 0.12
    assert 0.27 < met.count(Fault.HANG) / 4000 < 0.33


def test_which_calls_are_hit_depends_on_the_seed_and_not_on_their_order():
    def hit(seed, numbers):
        plan = FaultPlan({Fault.RESET: 0.5}, (), {}, seed)
        return {n for n in numbers if plan.next(f"question {n}", ()) is Fault.RESET}

    assert hit(1, range(100)) == hit(1, reversed(range(100)))
    assert hit(1, range(100)) != hit(2, range(100))


def test_a_question_that_was_hit_is_spared_sooner_or_later():
    plan = FaultPlan({Fault.RESET: 0.5}, (), {}, seed=1)
    assert {plan.next("same question", ()) for _ in range(50)} == {Fault.RESET, Fault.NONE}


def test_a_script_is_played_in_order_and_then_calls_go_well():
    plan = FaultPlan({}, (Fault.RESET, Fault.NONE, Fault.UNAVAILABLE), {}, 0)
    met = [plan.next("q", ()) for _ in range(5)]
    assert met == [Fault.RESET, Fault.NONE, Fault.UNAVAILABLE, Fault.NONE, Fault.NONE]


def test_poison_hits_every_call_that_holds_it():
    plan = FaultPlan({}, (), {"독": Fault.REFUSAL}, 0)
    assert [plan.next("q", ["물", text]) for text in ("독약", "약", "해독")] == [
        Fault.REFUSAL,
        Fault.NONE,
        Fault.REFUSAL,
    ]


@pytest.mark.parametrize("fault", sorted(RATE_FAULTS))
def test_every_way_to_refuse_a_call_is_status_429(fault):
    error = error_response(fault, 1.5, NOW)
    assert error is not None
    assert error.status == 429


def test_each_delay_is_said_the_way_its_provider_says_it():
    def error(fault):
        found = error_response(fault, 1.5, NOW)
        assert found is not None
        return found

    assert error(Fault.RETRY_AFTER_MS).headers == {"retry-after-ms": "1500"}
    assert error(Fault.RETRY_AFTER).headers == {"Retry-After": "2"}
    assert error(Fault.RETRY_AFTER_DATE).headers == {"Retry-After": "Fri, 20 Nov 2026 00:00:03 GMT"}
    assert error(Fault.RATELIMIT_RESET).headers == {"x-ratelimit-reset-requests": "1.500s"}
    assert error(Fault.NO_DELAY).headers == {}
    details = error(Fault.RETRY_INFO).body[0]["error"]["details"]
    assert details[1]["retryDelay"] == "1.500s"
    per_day = error(Fault.DAILY_QUOTA).body[0]["error"]["details"]
    assert "PerDay" in per_day[0]["violations"][0]["quotaId"]
    assert error(Fault.HCX_RATE).body["status"]["code"] == "42901"
    assert error(Fault.HCX_RATE).body["result"] is None
    assert error(Fault.HCX_OVERLOADED).body["error"]["code"] == "42902"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.NONE, [("1", "가"), ("2", "나"), ("3", "다")]),
        (Fault.MISSING_ID, [("1", "가"), ("2", "나")]),
        (Fault.SWAPPED_IDS, [("2", "가"), ("1", "나"), ("3", "다")]),
        (Fault.INVENTED_ID, [("1", "가"), ("2", "나"), ("3", "다"), ("9999", "낯")]),
        (Fault.REPEATED_ID, [("1", "가"), ("2", "나"), ("3", "다"), ("1", "낯")]),
        (Fault.FOREIGN_CONTENT, [("1", "낯"), ("2", "나"), ("3", "다")]),
        (Fault.WRONG_SHAPE, [("1", None), ("2", None), ("3", None)]),
    ],
)
def test_ids_and_contents_get_mixed_up_as_named(fault, expected):
    assert heads(spoiled_answers(fault, ANSWERS, STRANGER)) == expected


def test_a_lone_answer_is_swapped_with_a_strangers():
    assert heads(spoiled_answers(Fault.SWAPPED_IDS, ANSWERS[:1], STRANGER)) == [("1", "낯")]


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault.INVALID_JSON, Fault.CUT_OFF, Fault.TRAILING_COMMA, Fault.SINGLE_QUOTES),
        *(Fault.FENCED, Fault.PROSE, Fault.EMPTY_ANSWER),
    ],
)
def test_a_spoiled_text_is_no_json(fault):
    value = {"answers": ANSWERS}
    text = json.dumps(value)
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoiled_text(fault, value, text))


def test_the_envelope_can_be_missing():
    value = {"answers": ANSWERS}
    assert json.loads(spoiled_text(Fault.UNWRAPPED, value, json.dumps(value))) == ANSWERS
