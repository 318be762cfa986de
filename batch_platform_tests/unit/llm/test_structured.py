"""Whose answer it is, what is mended and what is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from batch_platform.gateways.llm import Item, Task
from batch_platform.gateways.llm.ledger import Keys, Provenance, prepared
from batch_platform.gateways.llm.structured import AnswerForm, Question, Way


class Score(BaseModel):
    word: str = Field(min_length=1, title="the word")
    score: int = Field(ge=0, le=999)
    note: str | None = None


def task(**changes: Any) -> Task[Score]:
    given: dict[str, Any] = {
        "name": "a.b",
        "instructions": "Do.",
        "prompt_version": "1",
        "answer": Score,
        "typical_output_tokens": 5,
    }
    return Task(**given | changes)


FORM = AnswerForm(task(), Way.JSON_SCHEMA)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def right(questions: list[Question]) -> list[dict[str, Any]]:
    return [
        {"id": each.id, "head": each.head, "word": f"w{each.id}", "score": 700 + int(each.id)}
        for each in questions
    ]


@given(st.lists(texts, min_size=1, max_size=8))
def test_the_message_is_one_line_an_item_and_cannot_be_closed_by_a_text(asked: list[str]) -> None:
    questions = FORM.questions(asked)
    message = FORM.message(questions)
    opening, *lines, closing = message.split("\n")
    assert (opening, closing) == ("<items>", "</items>")
    assert message.count("<") == message.count(">") == 2
    assert [json.loads(line)["text"] for line in lines] == asked


@given(st.lists(texts, min_size=2, max_size=6, unique=True), st.randoms())
def test_answers_in_any_order_find_their_items_and_swapped_ones_are_refused(
    asked: list[str], chance: Any
) -> None:
    questions = FORM.questions(asked)
    answers = right(questions)
    chance.shuffle(answers)
    accepted, problems = FORM.read(json.dumps({"answers": answers}), questions)
    assert problems == {}
    assert {each: accepted[each].answer.word for each in accepted} == {
        each.id: f"w{each.id}" for each in questions
    }
    ids = [answer["id"] for answer in answers]
    for answer, other in zip(answers, [*ids[1:], ids[0]], strict=True):
        answer["id"] = other
    heads = [each.head for each in questions]
    if len(set(heads)) == len(heads):
        assert FORM.read(json.dumps({"answers": answers}), questions)[0] == {}


@given(st.integers(1, 400))
def test_a_cut_answer_never_yields_a_stump(length: int) -> None:
    questions = FORM.questions(["가나다", "라마바", "사아자"])
    whole = json.dumps({"answers": right(questions)})
    for tail in ("", "}]]}", "]}", "}]}}", "}"):
        accepted, _ = FORM.read(whole[: min(length, len(whole) - 1)] + tail, questions)
        for each in accepted:
            assert accepted[each].answer.score == 700 + int(each)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"```json\n{text}\n```",
        lambda text: f"물론입니다. 답: {text} 도움이 되었길 바랍니다.",
        lambda text: text[:-1] + ",}",
        lambda text: text.replace('"', "'"),
        lambda text: json.dumps(json.loads(text)["answers"]),
    ],
    ids=["fence", "prose", "comma", "quotes", "bare list"],
)
def test_what_is_nearly_right_is_mended(change: Any) -> None:
    questions = FORM.questions(["가나다", "라마바"])
    accepted, problems = FORM.read(change(json.dumps({"answers": right(questions)})), questions)
    assert problems == {}
    assert [accepted[each].answer.score for each in ("1", "2")] == [701, 702]


@pytest.mark.parametrize(
    ("content", "is_garbled"),
    [
        ("", True),
        ("모르겠습니다", True),
        ("[]", True),
        ('{"answers": []}', True),
        ('{"answers": [{"id": "9", "word": "x", "score": 1}]}', True),
        ('{"answers": [{"id": "1", "head": "다른 글#abc", "word": "x", "score": 1}]}', True),
        ('{"answers": [{"id": "1", "head": HEAD, "word": "x", "score": 1000}]}', False),
        ('{"answers": [{"id": "1", "head": HEAD, "word": ""}]}', False),
        ("[[[[", True),
        ("null", True),
    ],
)
def test_what_is_no_answer_is_refused(content: str, is_garbled: bool) -> None:
    questions = FORM.questions(["가나다"])
    content = content.replace("HEAD", json.dumps(questions[0].head))
    accepted, problems = FORM.read(content, questions)
    assert accepted == {}
    assert problems["1"].is_garbled == is_garbled
    assert problems["1"].reason


def test_two_answers_with_one_id_are_both_refused() -> None:
    questions = FORM.questions(["가나다"])
    accepted, _ = FORM.read(json.dumps({"answers": right(questions) * 2}), questions)
    assert accepted == {}


def test_a_rule_of_the_domain_is_applied() -> None:
    def no_w1(item: Item, answer: Score) -> None:
        if answer.word == "w1":
            raise ValueError(f"not about {len(item.text)} characters")

    form = AnswerForm(task(check=no_w1), Way.JSON_SCHEMA)
    questions = form.questions(["가나다", "라마바"])
    accepted, problems = form.read(json.dumps({"answers": right(questions)}), questions)
    assert accepted.keys() == {"2"}
    assert problems["1"].reason == "not about 3 characters"


def test_the_schema_is_strict() -> None:
    answer = FORM.schema["properties"]["answers"]["items"]
    assert (
        answer["required"] == list(answer["properties"]) == ["id", "head", "word", "score", "note"]
    )
    assert answer["additionalProperties"] is False
    assert "minLength" not in json.dumps(FORM.schema)


def test_characters_that_postgresql_refuses_are_not_kept() -> None:
    questions = FORM.questions(["가나다"])
    answers = right(questions)
    answers[0]["word"] = "a\x00b\ud800"
    accepted, _ = FORM.read(json.dumps({"answers": answers}), questions)
    assert accepted["1"].answer.word == "ab\ufffd"


@pytest.mark.parametrize("name", ["nodot", ".b", "a."])
def test_a_task_names_its_domain(name: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        task(name=name)


def keys(**changes: Any) -> Keys:
    given: dict[str, Any] = {
        "task": "a.b",
        "prompt_version": "1",
        "digest": FORM.digest,
        "provider": "openai",
        "model": "m",
        "parameters": {"temperature": 0.1, "seed": 1},
        "is_made_up": False,
        "partition": "p",
    }
    return Keys(Provenance(**given | changes))


def test_a_key_is_the_same_for_ever() -> None:
    """A change of this figure asks every question of every user again."""
    key = keys(digest="d").key("학교폭력")
    assert key.hex() == "eae2f2bd198ecea4b34f67a34884190d3bdaca24c91337df223a43f84529a6c1"
    assert key == keys(digest="d", partition="q", provider="x").key("학교폭력")
    assert key == keys(digest="d", parameters={"seed": 1, "temperature": 0.1}).key("학교폭력")


@pytest.mark.parametrize(
    "change",
    [
        {"task": "a.c"},
        {"prompt_version": "2"},
        {"digest": "x"},
        {"model": "n"},
        {"parameters": {}},
        {"is_made_up": True},
    ],
)
def test_a_key_depends_on_each_of_its_parts(change: dict[str, Any]) -> None:
    assert keys(**change).key("t") != keys().key("t")


def test_texts_that_mean_the_same_have_one_form() -> None:
    assert prepared(" 학교\n").text == prepared("학교").text == "학교"
    assert prepared("\ud800").text == "?"
