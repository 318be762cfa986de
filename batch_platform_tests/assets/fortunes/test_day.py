"""A day of fortunes from the app's users back to the app: one per user, paid for once."""

from datetime import timedelta
from typing import Any

from batch_platform.domains.fortunes.logic import read_day
from batch_platform.domains.fortunes.models import Birth
from batch_platform.domains.fortunes.one_user import make_one
from batch_platform.domains.fortunes.pillars import natal_chart
from batch_platform.domains.fortunes.prompts import LENGTHS, text_for_model, texts_of
from batch_platform.gateways.llm import open_bulk_llm
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.sandbox.sample_users import EMOJI_NAME, INSTRUCTION_NAME, sample_users
from batch_platform_tests.assets.fortunes.conftest import BASE, DAY, ELIGIBLE, NIGHT, World, parsed

PUBLISHED = (
    "SELECT user_id, gapja_code, gapja_name, gapja_element, fortune_data, fortune_score, status,"
    " created_at, updated_at FROM core_fortuneresult WHERE for_date = ? ORDER BY user_id"
)


def asked_about(user_id: int) -> str:
    """A piece of what the model is asked about a user, and about nobody else."""
    (user,) = [each for each in sample_users(BASE) if each.id == user_id]
    assert user.birth_date_solar is not None
    birth = Birth(
        user.birth_date_solar, user.birth_time, {"M": True, "F": False}.get(user.gender or "")
    )
    text = text_for_model(read_day(natal_chart(birth), birth, DAY))
    return next(line for line in text.splitlines() if line.startswith("사주와 운"))


def published(world: World) -> list[tuple[Any, ...]]:
    return world.in_app(PUBLISHED, DAY.isoformat())


def test_a_day_comes_through_whole(world: World) -> None:
    made = world.make()

    assert made.is_success, made.failures
    assert len(made.checks) == 5
    assert all(made.checks.values()), made.checks
    assert made.metadata("daily_fortunes")["completed"] == ELIGIBLE
    rows = published(world)
    assert len(rows) == ELIGIBLE
    for user_id, code, name, element, data, score, status, *times in rows:
        assert (code, name, element, status) == (49, "계축", "수", "completed")
        texts = texts_of(parsed(data))
        assert all(
            LENGTHS[each][0] <= len(text) <= LENGTHS[each][1] for each, text in texts.items()
        ), user_id
        assert 30 <= len(parsed(data)["today_fortune_summary"]) <= 40
        assert set(parsed(data)["lucky"]) == {"color", "number", "direction", "time"}
        shares = parsed(score)["element_distribution"]
        assert round(sum(share["percentage"] for share in shares.values()), 6) == 100
        assert times == ["2025-06-12 22:00:00", "2025-06-12 22:00:00"]


def test_a_second_run_leaves_the_same_rows_and_asks_nothing(world: World) -> None:
    world.make()
    before, in_app, calls = (
        world.checksum(),
        published(world),
        world.model.server.stats()["received"],
    )
    world.now = NIGHT + timedelta(hours=1)

    again = world.make()

    assert again.is_success
    assert world.checksum() == before
    assert published(world) == in_app
    assert world.model.server.stats()["received"] == calls
    assert again.metadata("natal_charts")["computed_now"] == 0
    assert again.metadata("daily_fortunes")["model_calls"] == 0


def test_each_odd_user_is_handled_as_they_would_expect(world: World) -> None:
    made = world.make()

    assert made.is_success, made.failures
    users = made.metadata("eligible_users")
    assert users["without_birth_date"] == 1
    assert users["not_born_before_the_day"] == 1
    assert users["inactive"] == 1
    assert users["unreadable_birth_date"] == 1
    has_fortune = {
        int(user_id) for user_id, status in world.statuses().items() if status == "completed"
    }
    # 2 has no birthday, 6 is born tomorrow, 8 is inactive, 15 was born in 1899.
    assert has_fortune == set(range(1, 25)) - {2, 6, 8, 15}
    charts = {
        int(row[0]): row[1:]
        for row in world.rows(
            "SELECT user_id, hour_pillar IS NULL, is_term_day FROM fortunes.natal_charts"
        )
    }
    assert charts[3] == (True, False)  # born in 1900, hour unknown
    assert charts[4][0] is False  # born at 23:30 on 29 February
    assert charts[11] == (False, True)  # born at the minute of 입춘
    zones = dict(world.rows("SELECT user_id, time_zone FROM fortunes.eligible_users"))
    assert (zones["13"], zones["14"]) == ("America/New_York", "Asia/Seoul")


def test_no_name_and_no_birthday_leaves_the_house(world: World) -> None:
    made = world.make()

    sent = "\n".join(world.model.received)
    names = [user.name for user in sample_users(BASE, 24)]
    assert INSTRUCTION_NAME in names
    assert EMOJI_NAME in names
    assert [name for name in names if name in sent] == []
    assert "1990-03-15" not in sent
    texts = world.rows("SELECT string_agg(fortune_data::text, ' ') FROM fortunes.daily_fortunes")
    assert [name for name in names if name in texts[0][0]] == []
    assert made.checks["no_text_has_another_users_name"]


def test_a_failed_user_stays_failed_and_the_others_have_theirs(world: World) -> None:
    world.answer_wrongly(poison={asked_about(1): "refusal"})

    made = world.make()

    assert made.is_success, made.failures
    assert made.checks["every_eligible_user_has_exactly_one_fortune"]
    assert not made.checks["fortunes_are_completed_for_every_user"]
    ((status, data, reason, attempts, retry_at),) = world.rows(
        "SELECT status, fortune_data, reason, attempts, next_retry_at"
        " FROM fortunes.daily_fortunes WHERE user_id = '1'"
    )
    assert (status, data, attempts) == ("failed", None, 1)
    assert reason
    assert retry_at == NIGHT + timedelta(minutes=5)
    assert [row[4] for row in published(world) if row[0] == 1] == ["{}"]
    assert [row[6] for row in published(world)].count("completed") == ELIGIBLE - 1


def test_a_failed_user_is_asked_again_when_due_and_not_before(world: World) -> None:
    world.answer_wrongly(poison={asked_about(1): "refusal"})
    world.make()
    world.answer_wrongly(poison={})
    calls = world.model.server.stats()["received"]

    world.make()
    assert world.model.server.stats()["received"] == calls
    assert world.statuses()["1"] == "failed"

    world.now = NIGHT + timedelta(minutes=5)
    again = world.make()
    assert world.model.server.stats()["received"] == calls + 1
    assert again.checks["fortunes_are_completed_for_every_user"]
    assert {row[6] for row in published(world)} == {"completed"}


def test_a_person_can_have_failed_users_asked_at_once(world: World) -> None:
    world.answer_wrongly(poison={asked_about(1): "refusal"})
    world.make()
    world.make(retry_failed=True)
    ((attempts,),) = world.rows("SELECT attempts FROM fortunes.daily_fortunes WHERE user_id = '1'")
    assert attempts == 2
    world.answer_wrongly(poison={})
    world.make(retry_failed=True)
    assert set(world.statuses().values()) == {"completed"}


def test_a_failed_fortune_never_takes_the_place_of_one_in_the_app(world: World) -> None:
    world.make()
    before = published(world)
    world.answer_wrongly(poison={asked_about(1): "refusal"})
    world.variables["LLM_MODEL"] = "sandbox-2"  # another model is asked anew

    made = world.make()

    assert made.metadata("published_fortunes")["failed"] == 1
    assert [row for row in published(world) if row[0] == 1] == before[:1]


def test_a_model_that_dies_half_way_leaves_what_it_wrote_and_the_rest_due_now(world: World) -> None:
    world.variables["FORTUNES_WORKERS"] = 1
    world.answer_wrongly(script=["none"] * 5 + ["429-per-day"])

    made = world.make()

    assert made.is_success, made.failures
    statuses = list(world.statuses().values())
    assert (statuses.count("completed"), statuses.count("failed")) == (5, ELIGIBLE - 5)
    assert world.rows(
        "SELECT DISTINCT attempts, next_retry_at FROM fortunes.daily_fortunes"
        " WHERE status = 'failed'"
    ) == [(0, NIGHT)]
    assert not made.checks["fortunes_are_completed_for_every_user"]
    assert len([row for row in published(world) if row[6] == "completed"]) == 5

    world.make()
    assert set(world.statuses().values()) == {"completed"}
    assert world.model.server.stats()["items_asked_again"] <= 1


def test_a_model_that_answers_nothing_fails_the_run_and_every_user_is_told(world: World) -> None:
    world.answer_wrongly(script=["401"] * 50)
    made = world.make()
    assert not made.is_success
    assert made.failures[0].error_type == "ConfigurationError"
    assert world.statuses() == {}

    world.answer_wrongly(script=[], faults={"refusal": 1.0})
    made = world.make()
    assert not made.is_success
    assert "FORTUNES_MAX_FAILED_SHARE" in made.failures[0].sentence
    assert set(world.statuses().values()) == {"failed"}
    assert world.model.server.stats()["received"] < 2 * ELIGIBLE


def test_a_lost_user_table_does_not_empty_a_day(world: World) -> None:
    world.make()
    before = world.checksum()
    world.in_app("DELETE FROM core_user")
    made = world.make()
    assert not made.is_success
    assert "empty" in made.failures[0].sentence
    assert world.checksum() == before


def test_optional_columns_may_be_missing_but_a_named_one_may_not(world: World) -> None:
    for column in ("birth_time", "gender", "time_zone", "name"):
        world.in_app(f"ALTER TABLE core_user DROP COLUMN {column}")
    made = world.make()
    assert made.is_success, made.failures
    assert made.metadata("eligible_users")["unknown_hour"] == ELIGIBLE

    world.variables["FORTUNES_COLUMN_BIRTH_TIME"] = "born_at"
    made = world.make()
    assert "FORTUNES_COLUMN_BIRTH_TIME" in made.failures[0].sentence


def test_a_chart_is_computed_again_only_when_the_birth_changes(world: World) -> None:
    world.make()
    world.in_app("UPDATE core_user SET birth_date_solar = '1990-03-16' WHERE id = 1")
    made = world.make()
    assert made.metadata("natal_charts")["computed_now"] == 1
    assert made.metadata("daily_fortunes")["model_calls"] == 1


def test_one_user_can_be_made_again_alone(world: World) -> None:
    world.make()
    before = {row[0]: row for row in published(world)}
    world.in_app("UPDATE core_user SET birth_date_solar = '1971-03-16' WHERE id = 1")
    settings = world.settings
    fortune = make_one(
        DAY,
        "1",
        db=world.db,
        source=SourceDatabase(str(world.variables["DATABASE_URL"]), settings.platform.zone),
        llm=open_bulk_llm(settings.model, world.db.url, is_made_up=True),
        settings=settings,
        clock=lambda: NIGHT + timedelta(hours=1),
        holder="test",
    )
    assert fortune.data is not None
    after = {row[0]: row for row in published(world)}
    assert after[1] != before[1]
    assert {user: row for user, row in after.items() if user != 1} == {
        user: row for user, row in before.items() if user != 1
    }


def test_a_range_of_days_is_made_in_one_run(world: World) -> None:
    first = DAY - timedelta(days=2)
    made = world.make(
        day=None,
        tags={
            "dagster/asset_partition_range_start": first.isoformat(),
            "dagster/asset_partition_range_end": DAY.isoformat(),
        },
    )
    assert made.is_success, made.failures
    assert all(made.checks.values()), made.checks
    for offset, eligible in ((0, ELIGIBLE - 1), (1, ELIGIBLE - 1), (2, ELIGIBLE)):
        # The one born on the base day has no fortune for it, nor for the day before.
        day = (first + timedelta(days=offset)).isoformat()
        assert made.metadata("daily_fortunes", day)["completed"] == eligible
        assert made.metadata("published_fortunes", day)["dagster/row_count"] == eligible
