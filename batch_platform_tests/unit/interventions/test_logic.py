"""What a source's values mean, who is advised, which answers fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.errors import PermanentError
from batch_platform.domains.interventions.logic import (
    eaten,
    gubun_named,
    mode_named,
    number_in,
    public_reason,
    read_allergies,
    read_flags,
    require_fit,
    state_of,
)
from batch_platform.domains.interventions.models import Advice, Allergy, Gubun, Meals, Mode, State
from batch_platform_tests.unit.interventions.test_rules import user

LACTOSE = frozenset({Allergy.LACTOSE})


@pytest.mark.parametrize(
    "said",
    [
        '["lactose", "egg"]',
        "lactose, egg",
        "유당, 계란",
        ["Lactose", "EGG"],
        '{"lactose": true, "egg": 1, "soy": false}',
        "{lactose,egg}",
        "우유;달걀",
    ],
)
def test_allergies_are_read_in_every_shape(said: object) -> None:
    assert read_allergies(said) == (frozenset({Allergy.LACTOSE, Allergy.EGG}), ())


@pytest.mark.parametrize("said", [None, "", "[]", "없음", "none", [], "{}"])
def test_no_allergies_are_none(said: object) -> None:
    assert read_allergies(said) == (frozenset(), ())


@given(st.text(min_size=1).filter(str.strip))
def test_an_allergy_that_is_not_known_is_never_dropped(word: str) -> None:
    known, unknown = read_allergies([word])
    nothing = ("none", "null", "없음", "해당없음", "해당 없음", "[]", "-")
    assert known or unknown or word.strip().casefold() in nothing


def test_allergies_in_columns_of_their_own() -> None:
    said = {Allergy.EGG: 1, Allergy.SOY: "false", Allergy.NUT: None, Allergy.GLUTEN: True}
    assert read_flags(said) == (frozenset({Allergy.EGG, Allergy.GLUTEN}), ())
    assert read_flags({Allergy.EGG: "maybe"}) == (frozenset(), ("egg",))


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("70", 70.0),
        (70.5, 70.5),
        (None, None),
        ("", None),
        ("nan", None),
        ("1e9", None),
        (-5, None),
    ],
)
def test_numbers_that_can_only_be_mistakes_are_not_known(said: object, number: float) -> None:
    assert number_in(said, 20, 400) == number


def test_energy_is_that_of_the_amount() -> None:
    assert eaten("Lunch", "밥", 200, 150, frozenset()).energy_kcal == 300
    assert eaten("Lunch", "밥", 1e9, 150, frozenset()).energy_kcal == 0
    assert eaten("Lunch", "밥", 200, None, frozenset()).energy_kcal is None


@pytest.mark.parametrize(
    ("changes", "given_", "state"),
    [
        ({}, {}, State.ELIGIBLE),
        ({"foods": ()}, {}, State.NO_FOOD_RECORD),
        ({"has_exercise": False}, {}, State.NO_EXERCISE_RECORD),
        ({"foods": (), "has_exercise": False}, {}, State.NO_FOOD_AND_EXERCISE_RECORD),
        ({}, {"has_record": True}, State.HAS_RECORD),
        ({"foods": ()}, {"has_record": True}, State.HAS_RECORD),
        ({}, {"has_schedule": False}, State.NO_ACTIVE_SCHEDULE),
        ({}, {"is_asked": False}, State.NOT_ASKED),
    ],
)
def test_who_is_advised_and_why_not(changes, given_, state: State) -> None:
    usual = {"has_record": False, "has_schedule": True, "is_asked": True}
    assert state_of(user(**changes), **{**usual, **given_}) is state


def advice(**changes: object) -> Advice:
    usual: dict[str, object] = {
        "diet_evaluation": "아침을 거르셨습니다.",
        "diet_target": Meals("흰죽", "쌀밥과 시금치", "감자", "천천히 드세요."),
        "food_evaluation": "간이 셌습니다.",
        "sleep_evaluation": "짧았습니다.",
        "sleep_target": "일찍 주무세요.",
        "exercise_evaluation": "적게 걸으셨습니다.",
        "exercise_target": "10분 걸으세요.",
    }
    return Advice(**{**usual, **changes})  # type: ignore[arg-type]


def test_good_advice_fits() -> None:
    require_fit(advice(), frozenset(Allergy), [])


@pytest.mark.parametrize(
    "changes",
    [
        {"diet_target": Meals("우유", "밥", "밥", "좋습니다.")},
        {"diet_target": Meals("밥", "밥", "밥", "우유는 피하세요.")},
        {"sleep_target": "따뜻한 우유 한 잔 드세요."},
        {"exercise_target": "걷고 나서 라떼를 드세요."},
    ],
)
def test_a_target_names_no_such_food_not_even_to_leave_it_out(changes) -> None:
    with pytest.raises(ValueError, match="must not eat"):
        require_fit(advice(**changes), LACTOSE, ["우유"])
    require_fit(advice(**changes), frozenset(), ["우유"])


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("어제 우유를 드셨습니다.", True),
        ("어제 우유를 드셨고 그 뒤에 배가 아프셨습니다. 오늘은 천천히 드세요.", True),
        ("어제처럼 우유를 드세요.", False),
        ("우유가 좋습니다.", False),
        ("우유 한 잔.", False),
        ("오늘은 우유 어떠세요?", False),
        ("우유가 들어 있습니다.", False),
        ("치즈를 드셨습니다.", False),
        ("오늘도 우. 유를 마셔 보세요.", False),
    ],
)
def test_an_evaluation_may_say_what_was_eaten_and_no_more(text: str, fits: bool) -> None:
    said = advice(food_evaluation=text)
    if fits:
        require_fit(said, LACTOSE, ["우유"])
    else:
        with pytest.raises(ValueError, match="must not eat"):
            require_fit(said, LACTOSE, ["우유"])


@pytest.mark.parametrize("field", ["food_evaluation", "sleep_target", "exercise_evaluation"])
def test_no_field_names_a_drug(field: str) -> None:
    with pytest.raises(ValueError, match="drug"):
        require_fit(advice(**{field: "지사제를 드셨습니다."}), frozenset(), ["지사제"])


def test_a_reason_is_logged_without_the_food_it_is_about() -> None:
    with pytest.raises(ValueError, match="우유") as refused:
        require_fit(advice(sleep_target="우유를 드세요."), LACTOSE, [])
    assert "우유" not in public_reason(f"No answer could be used: {refused.value}")
    assert public_reason("The budget is used up") == "The budget is used up"


def test_names_of_gubun_and_mode() -> None:
    assert gubun_named("Food") is Gubun.FOOD
    assert mode_named("rule") is Mode.RULE
    for read in (gubun_named, mode_named):
        with pytest.raises(PermanentError, match="There is no"):
            read("nothing")
