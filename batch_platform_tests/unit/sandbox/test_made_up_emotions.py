"""A made-up analysis passes every rule of a real one, and says that it is made up."""

import json

from hypothesis import given
from hypothesis import strategies as st

from batch_platform.domains.emotions.models import EmotionAnswer
from batch_platform.gateways.llm.structured import strict_schema
from batch_platform.sandbox.made_up_answers import MARK, Answerer, Item, text_digest
from batch_platform.sandbox.made_up_emotions import settled

_ANSWERER = Answerer(strict_schema(EmotionAnswer))


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_gets_a_valid_analysis_and_the_same_one_again(text: str) -> None:
    item = Item(text, {}, text_digest(text))
    answer = settled(_ANSWERER.one(item))
    assert answer == settled(_ANSWERER.one(item))
    valid = EmotionAnswer.model_validate_json(json.dumps(answer))
    scores = valid.plutchik_emotions.by_name()
    assert scores[valid.dominant_emotion] == max(scores.values())
    assert all(MARK in reason for reason in answer["rationale"].values())


def test_what_is_no_analysis_stays_as_it_is() -> None:
    for value in (None, 3, "x", [1], {"a": {"b": 1}}, {"plutchik_emotions": {}}):
        assert settled(value) == value
