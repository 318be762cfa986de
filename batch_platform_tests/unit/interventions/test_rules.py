"""The rules' advice: safe for every set of allergies, the same for the same day, sensible."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_platform.core.errors import PermanentError
from batch_platform.domains.interventions import rules
from batch_platform.domains.interventions.logic import (
    body_mass_index,
    energy_need_kcal,
    require_fit,
)
from batch_platform.domains.interventions.models import Allergy, EatenFood, Gubun, UserRecords

DAY = date(2026, 11, 20)

foods = st.builds(
    EatenFood,
    meal=st.sampled_from(["Breakfast", "Lunch", "Dinner", ""]),
    name=st.sampled_from(["우유", "식빵", "쌀밥", "감기약", "이름 없음", ""]),
    amount_g=st.floats(0, 10_000),
    energy_kcal=st.none() | st.floats(0, 5_000),
    allergens=st.frozensets(st.sampled_from(Allergy)),
)
users = st.builds(
    UserRecords,
    user_id=st.just("1"),
    has_profile=st.just(True),
    allergies=st.frozensets(st.sampled_from(Allergy)),
    food_preference=st.sampled_from(["", "채식", "육류", "생선을 좋아함", "vegan meat", "우유"]),
    height_cm=st.none() | st.floats(80, 250),
    weight_kg=st.none() | st.floats(20, 400),
    foods=st.lists(foods, max_size=5).map(tuple),
    has_exercise=st.just(True),
    target_steps=st.none() | st.integers(1, 200_000),
    current_steps=st.none() | st.integers(0, 200_000),
    sleep_minutes=st.none() | st.integers(0, 1_440),
    problem=st.just(""),
)


def user(**changes: object) -> UserRecords:
    usual: dict[str, object] = {
        "user_id": "1",
        "has_profile": True,
        "allergies": frozenset(),
        "food_preference": "",
        "height_cm": 170.0,
        "weight_kg": 65.0,
        "foods": (EatenFood("Lunch", "쌀밥", 300, 450, frozenset()),),
        "has_exercise": True,
        "target_steps": 8_000,
        "current_steps": 4_000,
        "sleep_minutes": 400,
        "problem": "",
    }
    return UserRecords(**{**usual, **changes})  # type: ignore[arg-type]


@settings(max_examples=250, deadline=None)
@given(users, st.integers(0, 400), st.sampled_from(Gubun))
def test_advice_is_safe_and_whole_for_everybody(who: UserRecords, days: int, gubun: Gubun) -> None:
    day = DAY + timedelta(days=days)
    advice = rules.advise(who, day, gubun)
    require_fit(advice, who.allergies, [food.name for food in who.foods])
    said = set(advice.as_json())
    assert ("diet_target" in said, "sleep_target" in said, "exercise_target" in said) == (
        gubun.has_diet,
        gubun.has_sleep,
        gubun.has_exercise,
    )
    assert all(text.strip() for text in advice.targets().values())
    assert rules.advise(who, day, gubun) == advice


def test_every_dish_says_what_it_contains() -> None:
    """A dish that is not marked with an allergen would be served to whom it hurts."""
    from batch_platform.domains.interventions.naming import foods_named

    for dish in (*rules.STAPLES, *rules.PROTEINS, *rules.SIDES, *rules.FRUITS):
        for allergy in Allergy:
            if foods_named(dish.name, {allergy}):
                assert allergy in dish.allergens, dish.name


def test_whoever_has_all_allergies_and_eats_no_meat_still_gets_three_meals() -> None:
    who = user(allergies=frozenset(Allergy), food_preference="채식")
    for days in range(30):
        meals = rules.advise(who, DAY + timedelta(days=days), Gubun.FOOD).diet_target
        assert meals is not None
        for meal in (meals.breakfast, meals.lunch, meals.dinner):
            assert not any(word in meal for word in ("고기", "닭", "생선", "연어"))


def test_meals_change_from_day_to_day() -> None:
    meals = {
        rules.advise(user(), DAY + timedelta(days=days), Gubun.FOOD).diet_target
        for days in range(7)
    }
    assert len(meals) > 3


def test_what_the_profile_says_wrongly_is_an_error_and_no_guess() -> None:
    with pytest.raises(PermanentError, match="not known"):
        rules.advise(user(problem="The allergies are not known"), DAY, Gubun.ALL)


@pytest.mark.parametrize(
    ("target", "walked", "goal"),
    [
        (8_000, 4_000, "5,000걸음"),
        (8_000, 7_900, "8,000걸음"),
        (8_000, 12_000, "8,000걸음"),
        (None, None, "7,500걸음"),
        (10_000, 0, "2,000걸음"),
    ],
)
def test_the_goal_is_a_little_more_than_yesterday_and_never_more_than_the_target(
    target: int | None, walked: int | None, goal: str
) -> None:
    advice = rules.advise(user(target_steps=target, current_steps=walked), DAY, Gubun.ALL)
    assert goal in str(advice.exercise_target)


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(None, "기록이 없어"), (300, "짧았습니다"), (450, "충분한"), (700, "평소보다 길었다면")],
)
def test_sleep_is_measured_against_seven_hours(minutes: int | None, said: str) -> None:
    assert said in str(rules.advise(user(sleep_minutes=minutes), DAY, Gubun.SLEEP).sleep_evaluation)


@pytest.mark.parametrize(
    ("kcal", "said"), [(1_000, "적었습니다"), (1_850, "비슷했습니다"), (3_000, "많았습니다")]
)
def test_energy_is_measured_against_the_estimated_need(kcal: float, said: str) -> None:
    eaten = (EatenFood("Lunch", "밥", 300, kcal, frozenset()),)
    assert said in str(rules.advise(user(foods=eaten), DAY, Gubun.FOOD).diet_evaluation)


def test_the_need_of_energy_and_the_body_mass_index() -> None:
    # 1.70 m: 1.7² x 21.5 x 30 = 1,864, to the next 50; 65 / 1.7² = 22.5.
    assert energy_need_kcal(user()) == 1_850
    assert body_mass_index(user()) == 22.5
    assert energy_need_kcal(user(height_cm=None)) is None
    assert body_mass_index(user(weight_kg=None)) is None
