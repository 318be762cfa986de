"""Each check passes on a good day and fails when what it watches for is there."""

import pytest

from batch_platform_tests.assets.chats.conftest import DAY, DAY_BEFORE, World

EMPTY = "raw_chats_are_not_empty_after_a_busy_weekday"
ADD_UP = "raw_chats_add_up_to_the_source"
COMPLETE = "every_question_is_classified_or_in_quarantine"
COUNTS = "question_counts_add_up_to_the_chats"
KNOWN = "categories_are_known_to_the_source"


@pytest.fixture
def good_day(world: World) -> World:
    world.make("raw_chats", day=DAY_BEFORE)
    world.make("raw_chats", "classifications")
    assert world.check() == dict.fromkeys((EMPTY, ADD_UP, COMPLETE, COUNTS, KNOWN), True)
    return world


# One good day, spoiled in one way after another and mended again: a day costs seconds.
def test_each_check_finds_what_it_watches_for(good_day: World) -> None:
    world = good_day

    def failing() -> set[str]:
        return {name for name, passed in world.check().items() if not passed}

    def spoiled(statement: str, *parameters: object) -> set[str]:
        world.execute(statement, parameters)
        found = failing()
        world.make("raw_chats", "classifications")
        assert not failing()
        return found

    most_asked = "(SELECT question_id FROM chats.questions ORDER BY query_count DESC LIMIT 1)"
    assert spoiled(
        "DELETE FROM chats.raw_chats WHERE ctid = (SELECT ctid FROM chats.raw_chats"
        " WHERE chat_date = %s AND input_text <> '' LIMIT 1)",
        DAY,
    ) >= {ADD_UP, COUNTS}
    assert spoiled(f"DELETE FROM chats.questions WHERE question_id = {most_asked}") == {
        COMPLETE,
        COUNTS,
    }
    assert spoiled(
        f"UPDATE chats.questions SET query_count = query_count + 1 WHERE question_id = {most_asked}"
    ) == {COUNTS}
    assert spoiled(
        "UPDATE chats.classifications SET category_id = 99, category_name = '없는 것'"
        f" WHERE question_id = {most_asked}"
    ) == {KNOWN}


def test_a_chat_that_came_late_is_found(good_day: World) -> None:
    good_day.add_chats("뒤늦게 들어온 글")
    assert not good_day.check()[ADD_UP]


def test_an_empty_day_after_a_busy_weekday_is_found_and_stops_nothing(world: World) -> None:
    world.make("raw_chats", day=DAY_BEFORE)
    world.in_source("DELETE FROM chattings WHERE date(created_at) = ?", DAY.isoformat())

    made = world.make()

    assert made.is_success, made.failures
    assert made.checks[EMPTY] is False


def test_an_empty_day_after_an_empty_weekday_is_fine(world: World) -> None:
    world.in_source("DELETE FROM chattings")
    world.make("raw_chats", day=DAY_BEFORE)
    assert world.make("raw_chats").checks[EMPTY] is True
