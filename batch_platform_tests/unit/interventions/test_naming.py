"""Foods and drugs are found however they are written, and what only looks like one is not."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_platform.domains.interventions.models import Allergy
from batch_platform.domains.interventions.naming import drugs_named, foods_named, plain
from batch_platform.sandbox import temptations

ALL = frozenset(Allergy)
DANGEROUS = [(Allergy(name), word) for name, words in temptations.FOODS.items() for word in words]

HARMLESS = """
스트레스를 받는 경우 유산소 운동과 복식 호흡이 도움이 됩니다.
하지만 두 번에 나누어, 두 부분으로 드시고 두 유형을 비교하세요.
하루 3회 30분씩 걷고, 최소라도 물 여덟 잔을 드세요.
밤을 새우지 말고 수면 시간을 지키세요. 밤새우는 일을 줄이세요.
필라테스나 요가를 하고, 야외에서는 선크림을 바르세요.
무리라면 쉬시고, 부담이라면 줄이세요. 운동 전 복부를 풀어 주세요.
완두콩을 곁들인 밥, 병아리콩, 강낭콩. 콩팥에 부담을 주지 않게 싱겁게 드세요.
수면 방해물을 치우고, 편안하게 장을 움직이세요. 전문가 의견과 같습니다.
조기 취침, 가능하면 요리할 때 감자 전분을 쓰고 맛 살리기에는 생강을 쓰세요.
배가 빵빵하면 걸으세요. 파이팅! 대하여, 어떤 면에서는, 얼굴과 굴곡진 길.
크게 살이 찌지 않게, 게임은 잠들기 전에 끄세요. 날이 추우니까 실내에서 걸으세요.
쌀밥, 흰죽, 감자, 고구마, 소고기뭇국, 닭가슴살, 돼지고기 수육, 시금치, 애호박, 당근, 바나나, 키위.
회식과 회사 점심, 기회가 되면 계단을 오르세요. 규칙적인 식사가 가장 중요합니다.
안정적인 걸음, 걱정하지 마요. 복부 스트레칭, 감기 기운이 있으면 쉬세요.
""".strip().splitlines()


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_advice_names_nothing(text: str) -> None:
    assert not foods_named(text, ALL)
    assert not drugs_named(text)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(DANGEROUS),
    st.sampled_from(temptations.DISGUISES),
    st.sampled_from(["{} 한 그릇을 드세요.", "오늘은 {} 어떠세요?", "{}", "try {} now."]),
    st.integers(0, 100),
)
def test_no_disguise_hides_a_food(food, disguise, sentence: str, seed: int) -> None:
    allergy, word = food
    text = sentence.format(disguise(word, random.Random(seed)))
    assert foods_named(text, {allergy}), (text, plain(text))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(temptations.DRUGS), st.sampled_from(temptations.DISGUISES))
def test_no_disguise_hides_a_drug(word: str, disguise) -> None:
    assert drugs_named(f"증상이 있으면 {disguise(word, random.Random(1))} 쓰세요")


@pytest.mark.parametrize(
    ("text", "allergy"),
    [
        ("딸기우 유를 드세요", "lactose"),
        ("왕 만 두", "gluten"),
        ("완두콩 말고 콩", "soy"),
        ("쌀국수와 밀국수", "gluten"),
        ("락토프리가 아닌 우유", "lactose"),
        ("간식은 🥛", "lactose"),
        ("게를 드세요", "seafood"),
        ("아이스크림", "lactose"),
    ],
)
def test_words_that_hide_in_others_are_found(text: str, allergy: str) -> None:
    assert foods_named(text, {Allergy(allergy)})


@pytest.mark.parametrize(
    ("text", "allergy"),
    [
        ("아몬드 우유", "lactose"),
        ("유당 제거 우유", "lactose"),
        ("락토프리 우유", "lactose"),
        ("땅콩버터", "lactose"),
        ("글루텐 프리 빵", "gluten"),
        ("쌀국수", "gluten"),
        ("땅콩", "soy"),
        ("코코넛", "nut"),
        ("숙주나물", "soy"),
    ],
)
def test_what_is_free_of_an_allergen_by_its_name_may_be_named(text: str, allergy: str) -> None:
    assert not foods_named(text, {Allergy(allergy)})


def test_what_is_free_of_one_allergen_is_not_free_of_another() -> None:
    assert foods_named("아몬드 우유", {Allergy.NUT})
    assert foods_named("땅콩버터", {Allergy.NUT})


def test_a_user_without_allergies_may_be_told_of_any_food() -> None:
    assert not foods_named("우유와 빵", frozenset())


def test_foods_of_the_sources_own_table_count_too() -> None:
    assert not foods_named("라온 3호를 드세요", {Allergy.NUT})
    assert foods_named("라온 3호를 드세요", {Allergy.NUT}, ["라온 3호"])
    # A name that says nothing is no name.
    assert not foods_named("밥을 드세요", {Allergy.NUT}, ["밥", ""])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert plain(plain(text)) == plain(plain(plain(text)))
    foods_named(text, ALL, ["이상한 [이름("])
    drugs_named(text)
