"""Whatever goes wrong: nothing lost, nothing under the wrong item, and a sum that adds up."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from batch_platform.core.days import utc_now
from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.gateways.llm import Answered, BulkLlm, Item, Quarantined
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.quarantine import ItemKey, QuarantineBook
from batch_platform.operations.schedules import OccurrenceBook
from batch_platform.sandbox.model_server import RunningModelServer, running_model_server
from batch_platform_tests.integration.llm.asking import Classified, classify, questions
from batch_platform_tests.integration.llm.conftest import MakeLlm, short_sleep

FAST = {"sleep": short_sleep}
POISON = "독이 든 질문입니다 hong@example.com"
POISON_AS_ASKED = "독이 든 질문입니다 [이메일_1]"
PASSING = [
    "429-retry-after-ms",
    "429-retry-after",
    "429-retry-after-date",
    "429-ratelimit-reset",
    "429-retry-info",
    "429-no-delay",
    "hcx-42901",
    "hcx-42902",
    "500",
    "502-html",
    "503",
    "hang",
    "reset",
    "truncated-body",
]
BAD_ANSWERS = [
    "wrong-shape",
    "missing-id",
    "swapped-ids",
    "repeated-id",
    "foreign-content",
    "invalid-json",
    "cut-off",
    "empty-answer",
    "refusal",
    "400-context",
    "hcx-40003",
]
MENDED = ["invented-id", "trailing-comma", "single-quotes", "fenced", "prose", "unwrapped"]


def asked(
    llm: BulkLlm, items: list[Item], items_per_call: int = 4, workers: int = 6
) -> tuple[dict[str, Any], dict[str, str], Any]:
    """Answers and quarantine reasons by item id, and the summary, which must add up."""
    ask = llm.ask(classify(items_per_call), items, workers=workers, partition="p")
    answers: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for outcome in ask:
        assert outcome.item.id not in answers.keys() | reasons.keys()
        if isinstance(outcome, Answered):
            answers[outcome.item.id] = outcome.answer
        else:
            reasons[outcome.item.id] = outcome.reason
    summary = ask.summary
    assert len(answers) + len(reasons) == len(items) == summary.items
    assert summary.items == summary.from_ledger + summary.asked + summary.quarantined
    return answers, reasons, summary


@pytest.fixture(scope="module")
def right_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Classified]:
    """What the sandbox says about each question when nothing goes wrong."""
    import json
    import urllib.request

    from batch_platform.gateways.llm.structured import AnswerForm, Way

    form = AnswerForm(classify(), Way.JSON_SCHEMA)
    right: dict[str, Classified] = {}
    with running_model_server() as server:
        for item in [*questions(60), Item("poison", POISON_AS_ASKED)]:
            asked_about = form.questions([item.text])
            body = {
                "model": "sandbox-1",
                "messages": [{"role": "user", "content": form.message(asked_about)}],
                **form.request_fields(),
            }
            request = urllib.request.Request(
                f"{server.url}/chat/completions",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as response:
                content = json.load(response)["choices"][0]["message"]["content"]
            accepted, _ = form.read(content, asked_about)
            right[item.id] = accepted["1"].answer
    return right


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_asked_again(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    right_answers: dict[str, Classified],
    fault: str,
) -> None:
    model_server.configure(script=["none", fault], hang_seconds=5, retry_after_seconds=0.05)
    llm = make_llm(LLM_TIMEOUT_SECONDS=0.3, options=FAST)
    answers, reasons, summary = asked(llm, questions(24))
    assert reasons == {}
    assert answers == {item.id: right_answers[item.id] for item in questions(24)}
    assert summary.retries == 1
    is_refusal = fault.startswith(("429", "hcx"))
    assert summary.refusals == is_refusal


@pytest.mark.parametrize("fault", BAD_ANSWERS)
def test_a_bad_answer_is_asked_again_and_never_kept(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    right_answers: dict[str, Classified],
    fault: str,
) -> None:
    # One call after the other: four items, each of them alone, and the next four.
    model_server.configure(script=[fault, *["none"] * 4, fault])
    answers, reasons, summary = asked(make_llm(options=FAST), questions(24), workers=1)
    assert reasons == {}
    assert answers == {item.id: right_answers[item.id] for item in questions(24)}
    assert summary.calls > 6


@pytest.mark.parametrize("fault", MENDED)
def test_a_nearly_right_answer_is_mended(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    right_answers: dict[str, Classified],
    fault: str,
) -> None:
    model_server.configure(script=[fault] * 6)
    answers, reasons, summary = asked(make_llm(options=FAST), questions(24))
    assert reasons == {}
    assert answers == {item.id: right_answers[item.id] for item in questions(24)}
    assert summary.calls == 6


POISONS = [
    "wrong-shape",
    "swapped-ids",
    "foreign-content",
    "cut-off",
    "refusal",
    "400-context",
    "500",
]


@pytest.mark.parametrize("fault", POISONS)
def test_a_poisonous_item_is_set_aside_and_the_rest_goes_on(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    platform_db: PlatformDb,
    right_answers: dict[str, Classified],
    fault: str,
) -> None:
    model_server.configure(poison={"독이 든": fault}, delay=0.01)
    items = [*questions(12), Item("poison", POISON), *questions(12, 12)]
    answers, reasons, _ = asked(make_llm(options=FAST), items)
    # In a call with others its answer can come through whole, and then it is the right one.
    assert answers.keys() | {"poison"} == {item.id for item in items}
    assert answers == {item_id: right_answers[item_id] for item_id in answers}
    with platform_db.connect("test") as connection:
        rows = connection.execute("SELECT task, partition, item_id, reason FROM llm.quarantine")
        assert rows.fetchall() == [
            ("chats.classify", "p", item_id, reason) for item_id, reason in reasons.items()
        ]
    assert "example" not in str(reasons)


def test_faults_of_every_kind_at_once(
    make_llm: MakeLlm, model_server: RunningModelServer, right_answers: dict[str, Classified]
) -> None:
    # A provider that calls a text wrong is believed, so those two do not come by chance.
    faults = [*PASSING, *(fault for fault in BAD_ANSWERS if "400" not in fault), *MENDED]
    model_server.configure(
        faults=dict.fromkeys(faults, 0.3 / len(faults)),
        hang_seconds=5,
        retry_after_seconds=0.05,
        delay=0.005,
    )
    llm = make_llm(LLM_TIMEOUT_SECONDS=0.3, options=FAST)
    answers, reasons, summary = asked(llm, questions(60), items_per_call=2)
    assert reasons == {}
    assert answers == {item.id: right_answers[item.id] for item in questions(60)}
    assert summary.calls < 120


def test_a_broken_rule_of_the_domain_is_told_to_the_model_once(
    make_llm: MakeLlm, model_server: RunningModelServer, platform_db: PlatformDb
) -> None:
    def refuses_odd(item: Item, answer: Classified) -> None:
        if "3번" in item.text:
            raise ValueError("a keyword has to stand in the question")

    ask = make_llm().ask(classify(check=refuses_odd), questions(5), workers=1, partition="p")
    outcomes = {outcome.item.id: outcome for outcome in ask}
    set_aside = outcomes.pop("q3")
    assert isinstance(set_aside, Quarantined)
    assert "a keyword has to stand in the question" in set_aside.reason
    assert all(isinstance(outcome, Answered) for outcome in outcomes.values())
    assert ask.summary.calls == 6
    # What was paid for in vain is not paid for again by a rerun, unless somebody asks for that.
    rerun = make_llm().ask(classify(), questions(5), workers=1, partition="p")
    assert [outcome.item.id for outcome in rerun if isinstance(outcome, Quarantined)] == ["q3"]
    assert rerun.summary.calls == 0
    with platform_db.connect("test") as connection:
        assert connection.execute("SELECT count(*) FROM llm.quarantine").fetchone() == (1,)
    # Another partition has not paid for it: one bad night does not spoil the nights after it.
    other_day = make_llm().ask(
        classify(check=refuses_odd), questions(5), workers=1, partition="another day"
    )
    assert len(list(other_day)) == 5
    assert other_day.summary.calls == 2
    again = make_llm().ask(
        classify(), questions(5), workers=1, partition="p", asks_quarantined_again=True
    )
    assert all(isinstance(outcome, Answered) for outcome in again)
    assert again.summary.calls == 1
    with platform_db.connect("test") as connection:
        rows = connection.execute("SELECT partition FROM llm.quarantine").fetchall()
        assert rows == [("another day",)]
        assert connection.execute("SELECT max(attempts) FROM llm.calls").fetchone() == (5,)


def test_a_person_has_one_item_of_the_quarantine_asked_about_again(
    make_llm: MakeLlm, platform_db: PlatformDb
) -> None:
    def refuses_two(item: Item, answer: Classified) -> None:
        if item.text.startswith(("1번", "3번")):
            raise ValueError("no")

    def refuses_one(item: Item, answer: Classified) -> None:
        if item.text.startswith("1번"):
            raise ValueError("no")

    list(make_llm().ask(classify(check=refuses_two), questions(5), workers=1, partition="p"))
    book = QuarantineBook(platform_db, utc_now)
    with platform_db.connect("test") as connection:
        connection.execute("INSERT INTO operations.jobs VALUES ('chats_job', '', 'other', '')")
    book.ask_again(
        [ItemKey("chats.classify", "p", "q3")],
        OccurrenceBook(platform_db, utc_now),
        requested_by="kim",
    )
    rerun = make_llm().ask(classify(), questions(5), workers=1, partition="p")
    assert [each.item.id for each in rerun if isinstance(each, Quarantined)] == ["q1"]
    assert rerun.summary.calls == 1
    assert [each.key.item_id for each in book.items()] == ["q1"]
    # Asked for once, tried once: what fails again waits for the next word.
    book.ask_again(
        [ItemKey("chats.classify", "p", "q1")],
        OccurrenceBook(platform_db, utc_now),
        requested_by="kim",
    )
    calls = []
    for _ in range(2):
        ask = make_llm().ask(classify(check=refuses_one), questions(5), workers=1, partition="p")
        list(ask)
        calls.append(ask.summary.calls)
    assert calls == [2, 0]


@pytest.mark.parametrize(
    ("fault", "error", "remedy"),
    [
        ("401", ConfigurationError, "LLM_API_KEY"),
        ("429-per-day", PermanentError, "tomorrow"),
        ("429-insufficient-quota", PermanentError, "Top it up"),
    ],
)
def test_what_no_retry_can_mend_ends_the_run_at_once(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    fault: str,
    error: type[PlatformError],
    remedy: str,
) -> None:
    model_server.configure(script=["none", *[fault] * 50], delay=0.02)
    ask = make_llm().ask(classify(), questions(100), workers=1, partition="p")
    answered: list[Any] = []
    with pytest.raises(error) as raised:
        answered.extend(ask)
    assert remedy in str(raised.value)
    assert "after 1 of 100 items" in str(raised.value)
    assert (len(answered), ask.summary.calls) == (1, 2)


def test_a_delay_nobody_would_wait_for_ends_the_run(
    make_llm: MakeLlm, model_server: RunningModelServer
) -> None:
    model_server.configure(faults={"429-retry-after": 1.0}, retry_after_seconds=3600)
    with pytest.raises(RetryableError, match="3600") as raised:
        list(make_llm().ask(classify(), questions(5), workers=1, partition="p"))
    assert raised.value.retry_after_seconds == 3600


def test_an_outage_ends_the_run_and_says_how_far_it_came(
    make_llm: MakeLlm, model_server: RunningModelServer
) -> None:
    model_server.configure(script=["none"] * 3, faults={"503": 1.0})
    llm = make_llm(options={"sleep": short_sleep, "breaker_patience_seconds": 0.5})
    ask = llm.ask(classify(), questions(40), workers=4, partition="p")
    with pytest.raises(RetryableError, match=r"in a row failed.*after 3 of 40"):
        list(ask)
    assert ask.summary.quarantined == 0
    model_server.configure(faults={}, script=[])
    again = llm.ask(classify(), questions(40), workers=4, partition="p")
    assert len(list(again)) == 40
    assert again.summary.calls == 37


@pytest.mark.parametrize(
    ("address", "what_is_said"),
    [
        ("http://127.0.0.1:9/v1", r"127\.0\.0\.1:9 refuses connections"),
        ("https://127.0.0.1:9/v1", r"127\.0\.0\.1:9 refuses connections"),
    ],
)
def test_a_provider_that_was_never_reached_is_told_soon_and_by_its_address(
    make_llm: MakeLlm, address: str, what_is_said: str
) -> None:
    patience = 2.0
    llm = make_llm(LLM_BASE_URL=address, options={"breaker_patience_seconds": patience})
    ask = llm.ask(classify(), questions(40), workers=4, partition="p")
    with pytest.raises(RetryableError, match=what_is_said) as raised:
        list(ask)
    assert "Check its address" in str(raised.value)
    assert ask.summary.quarantined == 0
    assert ask.summary.seconds < patience, "no outage in the middle of a run, which may pass"


def test_a_model_that_takes_no_such_call_ends_the_run(
    make_llm: MakeLlm, model_server: RunningModelServer
) -> None:
    model_server.configure(faults={"400-context": 1.0})
    ask = make_llm().ask(classify(), questions(500), workers=2, partition="p")
    with pytest.raises(ConfigurationError, match=r"chats\.classify"):
        list(ask)
    assert ask.summary.calls < 20


@pytest.mark.parametrize("session", ["llm ledger", "llm recording", "llm control", "llm %"])
def test_a_connection_that_is_cut_loses_nothing_and_pays_nothing_twice(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    platform_db: PlatformDb,
    session: str,
) -> None:
    model_server.configure(delay=0.05)
    ask = make_llm().ask(classify(), questions(200), workers=8, partition="p")
    answered: list[str] = []
    unowned: list[int] = []
    for outcome in ask:
        assert isinstance(outcome, Answered)
        answered.append(outcome.item.id)
        if len(answered) in (40, 80, 120):
            platform_db.fetch_all(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name LIKE %s AND datname = current_database()",
                [session],
            )
            unowned.append(unowned_claims(platform_db))
    assert sorted(answered) == sorted(item.id for item in questions(200))
    assert model_server.stats()["received"] == 200
    if session != "llm %":
        # Nobody else may take over what is being asked about: another session still says who lives.
        assert unowned == [0, 0, 0]


def test_what_another_process_took_over_is_not_asked_again(
    make_llm: MakeLlm, model_server: RunningModelServer, platform_db: PlatformDb
) -> None:
    """All connections of an ask are cut, while another one waits for what it was asking about."""
    model_server.configure(delay=0.6)
    items, workers = 48, 4
    with ThreadPoolExecutor() as threads:

        def ask() -> int:
            return len(
                list(make_llm().ask(classify(), questions(items), workers=workers, partition="p"))
            )

        first = threads.submit(ask)
        wait_for_calls(model_server, workers)
        pids = [pid for (pid,) in platform_db.fetch_all(_SESSIONS)]
        second = threads.submit(ask)
        time.sleep(0.5)
        platform_db.fetch_all("SELECT pg_terminate_backend(unnest(%s::int[]), 5000)", [pids])
        assert (first.result(120), second.result(120)) == (items, items)
    # What was on the wire when the connections were cut may be paid for once more, nothing else.
    assert model_server.stats()["received"] <= items + workers


_SESSIONS = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name IN ('llm ledger', 'llm recording') AND datname = current_database()
"""


def test_an_ask_that_cannot_begin_leaves_no_connection(
    make_llm: MakeLlm, platform_db: PlatformDb
) -> None:
    with psycopg.connect(platform_db.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE llm.partitions RENAME TO elsewhere")
    for _ in range(3):
        with pytest.raises(psycopg.Error):
            list(make_llm().ask(classify(), questions(3), workers=2, partition="p"))
        assert platform_db.fetch_all(_SESSIONS) == []


def wait_for_calls(model_server: RunningModelServer, count: int) -> None:
    deadline = time.monotonic() + 20
    while model_server.stats()["received"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def unowned_claims(platform_db: PlatformDb) -> int:
    ((count,),) = platform_db.fetch_all(
        "SELECT count(*) FROM llm.claims WHERE owner NOT IN (SELECT owner FROM llm.live_owners)"
    )
    return count
