"""What the model server answers: by rule, the same every time, of the item alone."""

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from batch_platform.sandbox.made_up_answers import Answerer, Item, schema_said_in, text_digest
from batch_platform.sandbox.sample_chats import CATEGORIES

Category = Literal[
    "학교폭력",
    "교권보호 (교육활동 보호)",
    "학생 생활",
    "평가(성적) 관련",
    "전학, 편입",
    "입학 관련",
    "검정고시",
    "교원 임용고시 관련",
    "제 증명 관련",
    "정보공개",
    "기타",
]


class Keyword(BaseModel):
    keyword: str = Field(min_length=1, max_length=20)
    categories: list[Category] = Field(min_length=1, max_length=2)


class Classified(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    head: str
    keywords: list[Keyword] = Field(min_length=1, max_length=3)


class Element(StrEnum):
    WOOD = "목"
    FIRE = "화"


class Everything(BaseModel):
    """A bit of each thing that the domains' schemas hold."""

    model_config = ConfigDict(extra="forbid")
    summary: str = Field(min_length=30, max_length=40)
    score: int = Field(ge=1, le=5)
    even: int = Field(ge=10, le=20, multiple_of=2)
    pleasure: float = Field(ge=-1, le=1)
    share: Annotated[float, Field(gt=0, lt=1)]
    element: Element
    maybe: str | None
    is_good: bool
    fixed: Literal["v1"]
    tags: list[Annotated[str, Field(max_length=5)]] = Field(min_length=2, max_length=2)
    nested: dict[str, int]
    others: list[Keyword]


class Envelope(BaseModel):
    answers: list[Classified]


def item(text: str, **fields: Any) -> Item:
    return Item(text, {"id": "1", "text": text, **fields}, text_digest(text))


@given(st.text(max_size=200))
@settings(max_examples=60)
def test_an_answer_fits_its_schema_whatever_the_text(text):
    Everything.model_validate(Answerer(Everything.model_json_schema()).one(item(text)))
    answerer = Answerer(Envelope.model_json_schema())
    schema = answerer.answers_schema()
    assert schema is not None
    Classified.model_validate(answerer.one(item(text, head="x"), schema))


@given(st.text(max_size=100))
@settings(max_examples=30)
def test_the_same_text_always_gets_the_same_answer(text):
    made = [Answerer(Everything.model_json_schema()).one(item(text)) for _ in range(2)]
    assert made[0] == made[1]


def test_a_field_of_the_line_that_the_answer_has_too_is_copied():
    answerer = Answerer(Envelope.model_json_schema())
    answer = answerer.one(item("전학 문의", head="전학"), answerer.answers_schema())
    assert (answer["id"], answer["head"]) == ("1", "전학")


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("친구들이 단톡방에서 왕따를 시켜요", "학교폭력"),
        ("전학을 가려면 무슨 서류가 필요한가요?", "전학, 편입"),
        ("검정고시는 몇 월에 보나요", "검정고시"),
        ("졸업증명서를 인터넷으로 뗄 수 있나요", "제 증명 관련"),
        ("임용 1차 시험 언제인가요", "교원 임용고시 관련"),
        ("두발 규정이 어떻게 되나요", "학생 생활"),
        ("점심에 뭐 먹지", "기타"),
    ],
)
def test_a_question_gets_a_plausible_category_and_keywords_out_of_its_text(text, category):
    answerer = Answerer(Envelope.model_json_schema())
    answer = answerer.one(item(text, head=""), answerer.answers_schema())
    assert answer["keywords"][0]["categories"][0] == category
    assert all(each["keyword"] in text for each in answer["keywords"])


@pytest.mark.parametrize(
    ("schema", "guidance"),
    [
        ({"type": "integer", "enum": list(range(1, 12))}, "categories"),
        (
            {
                "oneOf": [
                    {"const": number, "description": name}
                    for number, name in enumerate(CATEGORIES, start=1)
                ]
            },
            "",
        ),
    ],
)
def test_a_category_can_be_an_id_that_is_explained_beside_it_or_in_the_prompt(schema, guidance):
    if guidance:
        guidance = "\n".join(f"{n}: {name}" for n, name in enumerate(CATEGORIES, start=1))
    assert Answerer(schema, guidance).one(item("고졸 검정고시 과목")) == 7


def test_a_schema_that_refers_to_itself_ends():
    schema = {
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
        "$ref": "#/$defs/Node",
    }
    assert "next" in Answerer(schema).one(item("글"))


def test_a_schema_is_found_among_the_words_of_a_prompt():
    schema = Envelope.model_json_schema()
    prompt = f'Braces {{ and {{"a": 1}} first.\nSchema: {json.dumps(schema)} and more {{}}'
    assert schema_said_in(prompt) == schema
    assert schema_said_in("no {schema} here") is None


def test_free_text_says_that_it_is_made_up():
    schema = {"type": "object", "properties": {"advice": {"type": "string"}}}
    assert "지어낸" in Answerer(schema).one(item("글"))["advice"]
