"""Rules of the chats domain that a manager relies on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.errors import ConfigurationError
from batch_platform.domains.chats.logic import (
    MAX_TEXT_FOR_MODEL,
    final_category,
    text_for_model,
    too_many_quarantined,
    usable_categories,
)
from batch_platform.domains.chats.models import Category

OTHER = Category(11, "기타")
VIOLENCE = Category(1, "학교폭력")
GRADES = Category(4, "평가(성적) 관련")


def test_the_most_frequent_category_that_is_not_other_wins() -> None:
    chosen = [OTHER, OTHER, OTHER, GRADES, VIOLENCE, GRADES]
    assert final_category(chosen, OTHER) == GRADES


def test_among_equals_the_first_chosen_wins() -> None:
    assert final_category([VIOLENCE, GRADES], OTHER) == VIOLENCE
    assert final_category([GRADES, VIOLENCE], OTHER) == GRADES


def test_a_question_that_fits_nothing_is_other() -> None:
    assert final_category([OTHER, OTHER], OTHER) == OTHER
    assert final_category([], OTHER) == OTHER


@given(st.lists(st.sampled_from([OTHER, VIOLENCE, GRADES])))
def test_other_never_wins_over_a_real_category(chosen: list[Category]) -> None:
    final = final_category(chosen, OTHER)
    real = [category for category in chosen if category != OTHER]
    if real:
        assert final in real
        assert all(real.count(final) >= real.count(category) for category in real)
    else:
        assert final == OTHER


def test_an_empty_category_table_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="admin_categories is empty"):
        usable_categories([], default_id=11, excluded_ids=[], table="admin_categories")


def test_a_default_that_is_not_in_the_table_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="default category 11"):
        usable_categories([VIOLENCE], default_id=11, excluded_ids=[], table="admin_categories")


def test_two_categories_of_one_name_are_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="several categories named '학교폭력'"):
        usable_categories(
            [OTHER, VIOLENCE, Category(2, "학교폭력")], default_id=11, excluded_ids=[], table="t"
        )


def test_excluded_categories_are_not_offered() -> None:
    offered = usable_categories(
        [OTHER, GRADES, VIOLENCE], default_id=11, excluded_ids=[4], table="t"
    )
    assert offered == (VIOLENCE, OTHER)


@given(st.text(max_size=8_000))
def test_a_text_for_the_model_is_bounded_and_keeps_both_ends(text: str) -> None:
    shortened = text_for_model(text)
    assert len(shortened) <= MAX_TEXT_FOR_MODEL
    if len(text) <= MAX_TEXT_FOR_MODEL:
        assert shortened == text
    else:
        assert text.startswith(shortened[:1_000])
        assert text.endswith(shortened[-600:])


@pytest.mark.parametrize(
    ("quarantined", "total", "is_failure"),
    [(0, 0, False), (1, 3, False), (2, 3, True), (20, 1_000, False), (21, 1_000, True)],
)
def test_a_day_fails_when_more_than_its_share_is_set_aside(
    quarantined: int, total: int, is_failure: bool
) -> None:
    assert too_many_quarantined(quarantined, total, 0.02) is is_failure
