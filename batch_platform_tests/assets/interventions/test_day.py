"""A day of recommendations: everyone is accounted for, once, and safely."""

import json

import pytest

from batch_platform.domains.interventions.models import Allergy
from batch_platform.domains.interventions.naming import drugs_named, foods_named
from batch_platform_tests.assets.interventions.conftest import DAY, USERS, World

ERROR_USER = "9001"


def test_a_day_comes_through_and_everyone_is_accounted_for(world: World) -> None:
    made = world.make()

    assert made.is_success, made.failures
    assert made.checks
    assert all(made.checks.values()), made.checks
    counts = world.counts()
    assert counts.users == USERS
    assert counts.missing == 0
    assert counts.recommendations > USERS / 2
    assert counts.left_out["no_food_record"] > 0
    assert counts.left_out["no_exercise_record"] > 0
    # The made-up model names what it must not: some of its answers are the rules' now.
    writers = dict(
        world.rows("SELECT written_by, count(*) FROM interventions.recommendations GROUP BY 1")
    )
    assert writers["model"] > 0
    assert writers["rule"] > 0
    # What came back into the service's table is what is here.
    published = world.in_source(
        "SELECT count(*), count(DISTINCT user_id), min(target_date), max(target_date)"
        " FROM interventions_interventionrecord WHERE gubun = 'all' AND record_date = ?",
        DAY.isoformat(),
    )
    total = counts.recommendations + counts.errors
    assert published == [(total, total, "2025-06-13", "2025-06-13")]


def test_no_published_record_names_an_allergen_or_a_drug(world: World) -> None:
    world.make()
    rows = world.in_source(
        "SELECT record.user_id, diet_target, sleep_target, exercise_target, diet_evaluation,"
        " food_evaluation, sleep_evaluation, exercise_evaluation, error_message"
        " FROM interventions_interventionrecord AS record"
    )
    allergies = dict(
        world.rows("SELECT user_id, allergies FROM interventions.user_records WHERE has_profile")
    )
    looked_at = 0
    for user_id, meals, sleep, exercise, *evaluations, error in rows:
        if error:
            continue
        own = frozenset(map(Allergy, allergies[str(user_id)]))
        targets = "\n".join([*json.loads(meals).values(), sleep, exercise])
        assert not foods_named(targets, own), (user_id, targets)
        assert not drugs_named("\n".join([targets, *evaluations]))
        looked_at += bool(own)
    assert looked_at > 10


def test_a_second_run_asks_nobody_and_changes_nothing(world: World) -> None:
    world.make()
    calls = world.model.server.stats()["received"]
    before = world.in_source("SELECT * FROM interventions_interventionrecord ORDER BY id")

    again = world.make()

    assert again.is_success, again.failures
    assert all(again.checks.values())
    assert world.model.server.stats()["received"] == calls
    after = world.in_source("SELECT * FROM interventions_interventionrecord ORDER BY id")
    assert [row[:15] for row in after if not row[14]] == [row[:15] for row in before if not row[14]]
    assert world.counts().left_out["no_food_record"] > 0
    assert world.counts().missing == 0


def test_gubuns_are_kept_apart_and_say_only_what_they_are_about(world: World) -> None:
    world.make(mode="RULE")
    world.make(mode="RULE", gubun="sleep")
    world.make(mode="RULE", gubun="food")
    rows = world.rows(
        "SELECT gubun, count(*), count(diet_target), count(sleep_target), count(exercise_target)"
        " FROM interventions.recommendations WHERE error_message IS NULL GROUP BY 1 ORDER BY 1"
    )
    count = rows[0][1]
    assert rows == [
        ("all", count, count, count, count),
        ("food", count, count, 0, 0),
        ("sleep", count, 0, count, 0),
    ]
    published = world.in_source(
        "SELECT gubun, count(*) FROM interventions_interventionrecord GROUP BY 1"
    )
    assert {gubun for gubun, _ in published} == {"all", "food", "sleep"}


def test_force_replaces_in_place_and_one_user_leaves_the_others_alone(world: World) -> None:
    world.make(mode="RULE")
    before = dict(
        world.in_source("SELECT user_id, id FROM interventions_interventionrecord ORDER BY id")
    )
    user = str(
        world.rows(
            "SELECT user_id FROM interventions.recommendations"
            " WHERE written_by = 'rule' ORDER BY user_id LIMIT 1"
        )[0][0]
    )
    world.in_source("UPDATE interventions_interventionrecord SET sleep_target = 'old' WHERE true")

    world.make(mode="RULE", user_id=user)
    assert world.in_source(
        "SELECT count(*) FROM interventions_interventionrecord WHERE sleep_target <> 'old'"
    ) == [(0,)]

    forced = world.make(mode="RULE", user_id=user, force=True)
    assert forced.is_success, forced.failures
    assert all(forced.checks.values()), forced.checks
    assert world.in_source(
        "SELECT user_id FROM interventions_interventionrecord WHERE sleep_target <> 'old'"
    ) == [(int(user),)]
    after = world.in_source("SELECT user_id, id FROM interventions_interventionrecord ORDER BY id")
    assert dict(after) == before
    assert world.counts().missing == 0


def test_an_error_is_a_row_and_the_next_run_tries_it_again(world: World) -> None:
    world.in_source(
        "INSERT INTO interventions_userprofile"
        " (id, user_id, allergies, height, weight, food_preference)"
        " VALUES (9001, 9001, '우주먼지', 170, 60, '')"
    )
    for table, column in (("food", "food_id, meal_type, amount"), ("exercise", "target_steps")):
        values = "1, 'Lunch', 100" if table == "food" else "5000"
        world.in_source(
            f"INSERT INTO interventions_user{table}record (user_id, record_date, {column})"
            f" VALUES (9001, '{DAY}', {values})"
        )
    world.make(mode="RULE")
    error = "SELECT error_message FROM interventions_interventionrecord WHERE user_id = 9001"
    ((message,),) = world.in_source(error)
    assert "allergy that is not known" in message
    assert world.counts().errors >= 1
    assert world.counts().missing == 0

    world.in_source("UPDATE interventions_userprofile SET allergies = 'egg' WHERE user_id = 9001")
    again = world.make(mode="RULE")
    assert again.is_success, again.failures
    assert world.in_source(error) == [("",)]
    assert world.rows(
        "SELECT written_by FROM interventions.recommendations WHERE user_id = %s", ERROR_USER
    ) == [("rule",)]


def test_a_record_of_the_old_system_is_left_as_it_is(world: World) -> None:
    world.make(mode="RULE")
    world.in_source("UPDATE interventions_interventionrecord SET food_evaluation = 'theirs'")
    for table in ("recommendations", "eligible_users"):
        with world.db.connect("test") as connection:
            connection.execute(f"DELETE FROM interventions.{table}")  # type: ignore[arg-type]
    world.make(mode="RULE")
    assert world.counts().left_out["has_record"] > USERS / 2
    assert world.counts().missing == 0
    assert world.in_source(
        "SELECT count(*) FROM interventions_interventionrecord"
        " WHERE food_evaluation <> 'theirs' AND error_message = ''"
    ) == [(0,)]


def test_without_an_active_schedule_a_run_by_itself_advises_nobody(world: World) -> None:
    made = world.make(needs_active_schedule=True)
    assert made.is_success, made.failures
    assert world.counts().recommendations == 0
    assert world.counts().left_out["no_active_schedule"] > USERS / 2
    assert world.counts().missing == 0
    assert world.model.server.stats()["received"] == 0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"LLM_PROVIDER": None, "LLM_BASE_URL": None, "LLM_API_KEY": None}, "could not be asked"),
        ({"LLM_DAILY_BUDGET_KRW": 0.0001}, "budget"),
    ],
)
def test_when_the_model_cannot_be_asked_the_rules_write_and_say_why(
    world: World, change: dict[str, object], expected: str, tmp_path
) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(
        '{"version": "test", "models": {"sandbox-1":'
        ' {"currency": "KRW", "input_per_million": 500, "output_per_million": 2000}}}'
    )
    world.variables["LLM_PRICES_FILE"] = prices
    for name, value in change.items():
        if value is None:
            world.variables.pop(name)
        else:
            world.variables[name] = value
    made = world.make()
    assert made.is_success, made.failures
    reasons = world.rows(
        "SELECT DISTINCT written_by, reason FROM interventions.recommendations"
        " WHERE error_message IS NULL"
    )
    ((writer, reason),) = reasons
    assert writer == "rule"
    assert expected in reason
    # Somebody should look at it.
    assert not made.checks["most_recommendations_are_as_they_were_asked_for"]


def test_what_is_sent_holds_no_key_and_no_name_and_what_is_recorded_no_food(world: World) -> None:
    made = world.make()
    sent = "\n".join(world.model.received)
    assert "user_id" not in sent
    assert "010-0000-7777" not in sent
    recorded = made.everything_recorded()
    for name in ("두부조림", "계란찜", "canary-model-key", "알 수 없는 음식"):
        assert name not in recorded
    assert world.rows(
        "SELECT count(*) FROM interventions.recommendations"
        " WHERE input::text LIKE '%%010-0000-7777%%'"
    ) == [(0,)]
