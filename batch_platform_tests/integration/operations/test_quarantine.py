"""The quarantine: one item or all asked about again, or given up with a reason; by command too."""

import pytest
from typer.testing import CliRunner

from batch_platform.cli.main import app
from batch_platform.core.errors import NotFoundError, PermanentError
from batch_platform.operations.quarantine import ItemKey, QuarantineBook
from batch_platform.operations.schedules import OccurrenceBook
from batch_platform_tests.integration.operations.conftest import NOW, REASON, Calls

DAY = "2026-11-20"
ONE = ItemKey("chats.classify", DAY, "a81f3c")
OTHER = ItemKey("chats.classify", DAY, "77d10b")
THIRD = ItemKey("interventions.all", DAY, "17")
RUNS = "SELECT job, partition, requested_by FROM operations.occurrences ORDER BY job"


@pytest.fixture
def keys(calls: Calls) -> dict[ItemKey, bytes]:
    return {
        each: calls.set_aside(each.task, each.partition, each.item_id)
        for each in (ONE, OTHER, THIRD)
    }


@pytest.fixture
def book(calls: Calls) -> QuarantineBook:
    return QuarantineBook(calls.db, lambda: NOW)


@pytest.fixture
def occurrences(calls: Calls) -> OccurrenceBook:
    return OccurrenceBook(calls.db, lambda: NOW)


def asked_again(calls: Calls) -> set[bytes]:
    return {row[0] for row in calls.db.fetch_all("SELECT key FROM llm.calls WHERE is_asked_again")}


def test_an_item_tells_why_it_is_there_and_what_it_cost(
    book: QuarantineBook, keys: dict[ItemKey, bytes]
) -> None:
    assert {each.key for each in book.items()} == keys.keys()
    assert [each.key for each in book.items(domain="interventions")] == [THIRD]
    item = book.get(ONE)
    assert (item.reason, item.attempts, item.cost_krw) == (REASON, 3, 1.5)
    assert item.model == "gpt-4.1-mini"
    with pytest.raises(NotFoundError):
        book.get(ItemKey("chats.classify", DAY, "nothing"))


def test_one_is_asked_about_again_and_the_others_stay(
    book: QuarantineBook,
    occurrences: OccurrenceBook,
    calls: Calls,
    keys: dict[ItemKey, bytes],
) -> None:
    done = book.ask_again([ONE], occurrences, requested_by="kim")
    assert (done.items, done.runs) == (1, [("chats_night_job", DAY)])
    assert asked_again(calls) == {keys[ONE]}
    # Pressed twice.
    book.ask_again([ONE], occurrences, requested_by="kim")
    assert calls.db.fetch_all(RUNS) == [("chats_night_job", DAY, "kim")]


def test_all_are_one_run_a_day_and_domain(
    book: QuarantineBook,
    occurrences: OccurrenceBook,
    calls: Calls,
    keys: dict[ItemKey, bytes],
) -> None:
    gone = ItemKey("chats.classify", DAY, "answered meanwhile")
    done = book.ask_again([*keys, gone], occurrences, requested_by="kim")
    # Rules have written what the model could not: the job would let that stand and ask nothing.
    assert (done.items, done.answered, done.answered_partitions) == (2, 1, [DAY])
    assert calls.db.fetch_all(RUNS) == [("chats_night_job", DAY, "kim")]
    assert asked_again(calls) == set(keys.values())


def test_without_a_job_it_says_what_to_do(
    book: QuarantineBook, occurrences: OccurrenceBook, calls: Calls
) -> None:
    calls.set_aside("unknown.task", DAY, "1")
    with pytest.raises(PermanentError, match="No job is known"):
        book.ask_again([ItemKey("unknown.task", DAY, "1")], occurrences, requested_by="kim")


def test_discarding_needs_a_reason_keeps_the_record_and_can_be_undone(
    book: QuarantineBook,
    occurrences: OccurrenceBook,
    keys: dict[ItemKey, bytes],
) -> None:
    with pytest.raises(PermanentError, match="reason"):
        book.discard([ONE], "  ", discarded_by="kim")
    assert book.discard([ONE, OTHER], " 욕설 \n뿐 ", discarded_by="kim") == 2
    assert book.discard([ONE], "again", discarded_by="lee") == 0
    assert [each.key for each in book.items()] == [THIRD]
    (first, *_) = [each for each in book.items(with_discarded=True) if each.key == ONE]
    assert (first.discarded_because, first.discarded_by) == ("욕설 뿐", "kim")
    book.ask_again([ONE], occurrences, requested_by="kim")
    assert ONE in {each.key for each in book.items()}


def test_the_commands(
    calls: Calls, keys: dict[ItemKey, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", calls.db.url)

    def say(*arguments: str) -> str:
        ended = CliRunner().invoke(app, ["quarantine", *arguments])
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    listed = say("list", "--domain", "chats")
    assert "보류된 항목 2건" in listed
    assert "a81f3c" in listed
    shown = say("show", *("chats.classify", DAY, "a81f3c"))
    assert "gpt-4.1-mini" in shown
    assert "1.50원" in shown
    assert "1건을 다시 묻습니다" in say("retry", "chats.classify", DAY, "a81f3c")
    assert asked_again(calls) == {keys[ONE]}
    rules = say("retry", "--all", "--domain", "interventions")
    assert f"batch-platform interventions run --date {DAY} --force" in rules
    assert "시작합니다" not in rules
    assert "1건을 버렸습니다" in say(
        "discard", "--all", "--domain", "interventions", "--reason", "끝"
    )
    assert "끝" in say("list", "--discarded")
    neither = CliRunner().invoke(app, ["quarantine", "retry"])
    assert isinstance(neither.exception, PermanentError)
