"""A day whose asking is cut into chunk steps has the rows that it has in one step."""

from collections.abc import Mapping, Sequence

import dagster as dg

from batch_platform.build import build_definitions
from batch_platform.core.settings import Profile
from batch_platform_tests.assets.fortunes.conftest import DAY, ELIGIBLE, JOB, Made, World
from batch_platform_tests.assets.fortunes.test_day import asked_about
from batch_platform_tests.given_settings import settings_of

ON_WORKERS = {"EXECUTION": "celery", "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
WRITE = "fortunes__daily_fortunes.fortunes__daily_fortunes__write"


def cut(world: World, items: int = 4) -> None:
    world.variables.update(ON_WORKERS, CHUNK_ITEMS=items)


def chunk_steps(made: Made) -> Sequence[str]:
    done = [event.step_key or "" for event in made.result.all_events if event.is_step_success]
    return [step for step in done if "__ask[" in step]


def forget(world: World) -> None:
    with world.db.connect("test") as connection:
        connection.execute("TRUNCATE llm.calls, llm.quarantine, fortunes.daily_fortunes")


def test_chunks_make_the_same_rows_and_ask_about_everybody_once(world: World) -> None:
    whole = world.make()
    rows = world.checksum()
    forget(world)
    asked = len(world.model.received)

    cut(world)
    made = world.make()

    assert made.is_success, made.failures
    assert len(chunk_steps(made)) == 5
    assert world.checksum() == rows
    assert len(world.model.received) - asked == ELIGIBLE
    assert all(made.checks.values())
    # What the partition tells is what it took, chunks and all.
    same = ("model_calls", "answers_from_ledger", "cost_krw", "input_tokens", "output_tokens")
    before, after = whole.metadata("daily_fortunes"), made.metadata("daily_fortunes")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert world.rows("SELECT count(*) FROM operations.step_progress WHERE part <> ''") == [(0,)]


def test_few_users_are_asked_about_in_one_step(world: World) -> None:
    cut(world, items=ELIGIBLE)
    made = world.make()
    assert made.is_success, made.failures
    assert chunk_steps(made) == []


def test_what_a_chunk_asked_in_vain_is_not_paid_for_again_by_the_step_that_writes(
    world: World,
) -> None:
    world.answer_wrongly(poison={asked_about(1): "refusal"})
    world.make()
    rows, asked = world.checksum(), len(world.model.received)
    forget(world)

    cut(world)
    made = world.make()

    assert len(chunk_steps(made)) == 5
    assert "failed" in world.statuses().values()
    assert world.checksum() == rows
    assert len(world.model.received) == 2 * asked


def test_a_model_that_dies_in_a_chunk_leaves_what_it_wrote_and_the_rest_due_now(
    world: World,
) -> None:
    cut(world)
    world.answer_wrongly(script=["none"] * 5 + ["429-per-day"] * 20)
    made = world.make()
    assert made.is_success, made.failures
    states = list(world.statuses().values())
    assert 5 <= states.count("completed") < ELIGIBLE
    assert len(states) == ELIGIBLE


def test_a_day_that_another_run_makes_is_not_asked_about(world: World) -> None:
    cut(world)
    world.make("eligible_users", "natal_charts")
    with world.db.hold("fortunes/daily_fortunes", DAY.isoformat(), holder="run another"):
        made = world.make("daily_fortunes")
    assert [each.error_type for each in made.failures] == ["PartitionBusyError"]
    assert made.failures[0].step == "fortunes/daily_fortunes"
    assert world.model.received == []


def test_what_is_seen_of_the_assets_is_the_same_whoever_executes_steps() -> None:
    here = build_definitions(settings_of(Profile.DEMO))
    there = build_definitions(settings_of(Profile.DEMO, **ON_WORKERS))
    assert seen(there) == seen(here)
    for job in ("chats_night_job", JOB, "interventions_job"):
        of_here, of_there = here.resolve_job_def(job), there.resolve_job_def(job)
        assert (of_here.executor_def.name, of_there.executor_def.name) == ("in_process", "celery")
        keys = of_there.asset_layer.executable_asset_keys
        assert keys == of_here.asset_layer.executable_asset_keys


def seen(definitions: dg.Definitions) -> Mapping[dg.AssetKey, object]:
    """Of every asset all that people see of it; Dagster keeps its inputs in no order."""
    return {
        spec.key: (spec._replace(deps=[]), {dep.asset_key for dep in spec.deps})
        for spec in definitions.resolve_all_asset_specs()
    }
