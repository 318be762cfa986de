"""A batch in Dagster: a partition with its state, counts, cost and what it made; a sensor."""

import dagster as dg
import pytest

from batch_platform.domains.emotions.models import BatchStage, Mode
from batch_platform_tests.assets.emotions.conftest import Platform
from batch_platform_tests.emotion_world import CANARY_KEY, texts

SENDING, TAKING = ["batch_requests", "batch_jobs"], ["analyses", "history"]


def requested(found: dg.SensorResult | dg.SkipReason) -> list[tuple[str | None, list[str]]]:
    """Partitions and assets that the sensor wants made."""
    assert isinstance(found, dg.SensorResult), found
    return [
        (request.partition_key, [key.path[-1] for key in request.asset_selection or ()])
        for request in found.run_requests or ()
    ]


def test_a_day_is_read_and_every_row_accounted_for(platform: Platform) -> None:
    platform.world.read(texts(20))
    made = platform.read("2026-10-02")
    assert made.result.success
    metadata = made.metadata("posts")
    assert metadata["source_rows"] == 20
    assert metadata["dagster/row_count"] + metadata["rows_of_other_days"] == 20
    assert metadata["made_up"]


@pytest.mark.parametrize("platform", [{"run_seconds": 3600, "error_share": 0.2}], indirect=True)
def test_the_sensor_takes_a_batch_from_asking_to_its_end(platform: Platform) -> None:
    world = platform.world
    world.read(texts(30))
    assert isinstance(platform.tick(), dg.SkipReason)
    key = world.register(Mode.FULL)

    assert requested(platform.tick()) == [(key, SENDING)]
    made = platform.make(key, SENDING)
    assert made.result.success, made.failures
    assert made.metadata("batch_requests")["estimated_direct_cost_krw"] > 0
    jobs = made.metadata("batch_jobs")
    assert (jobs["state"], jobs["posts_open"], jobs["jobs"]) == ("in_flight", 30, 1)
    assert key in jobs["results"]
    assert all(made.checks.values())

    assert requested(platform.tick()) == []
    world.clock.pass_by(hours=1, minutes=1)
    found = platform.tick()
    assert requested(found) == [(key, TAKING)]
    assert isinstance(found, dg.SensorResult)
    (observed,) = found.asset_events
    assert observed.partition == key
    assert observed.metadata["state"].value == "to_collect"

    made = platform.make(key, TAKING)
    assert made.result.success, made.failures
    taken = made.metadata("analyses")
    assert taken["state"] == "to_send"
    assert 0 < taken["dagster/row_count"] < 30
    assert taken["cost_krw"] > 0
    # What failed is sent again by the next look, which comes when the last run had its time.
    world.server.configure(error_share=0.0, run_seconds=0)
    world.clock.pass_by(hours=2)
    assert requested(platform.tick()) == [(key, ["batch_jobs"])]
    assert platform.make(key, ["batch_jobs"]).result.success
    world.clock.pass_by(hours=2)
    assert requested(platform.tick()) == [(key, TAKING)]
    made = platform.make(key, TAKING)
    assert all(made.checks.values()), made.checks
    assert made.metadata("history")["state"] == "finished"
    (end,) = made.result.get_asset_observation_events()
    assert end.asset_key == dg.AssetKey(["emotions", "batch_jobs"])
    told = end.asset_observation_data.asset_observation
    assert (told.partition, told.metadata["state"].value) == (key, "finished")
    assert isinstance(platform.tick(), dg.SkipReason)
    world.require_whole(key, 30)


def test_a_batch_that_fails_is_launched_less_and_less_often(platform: Platform) -> None:
    world = platform.world
    key = world.register(Mode.FULL)  # there are no posts: its runs fail
    launched: list[int] = []
    for minute in range(0, 120, 5):
        if requested(platform.tick()):
            launched.append(minute)
        world.clock.pass_by(minutes=5)
    assert launched == [0, 5, 15, 35, 75]
    made = platform.make(key, SENDING)
    assert [failure.error_type for failure in made.failures] == ["NoDataError"]


def test_a_partition_added_in_the_webserver_is_a_batch(platform: Platform) -> None:
    platform.world.read(texts(12))
    made = platform.make("pilot-20261120-2300", SENDING)
    assert made.result.success, made.failures
    assert made.metadata("batch_requests")["posts_chosen"] == 5
    wrong = platform.make("everything-please", SENDING)
    assert [failure.error_type for failure in wrong.failures] == ["NotFoundError"]


def test_made_again_it_sends_nothing_again(platform: Platform) -> None:
    world = platform.world
    world.read(texts(12))
    key = world.register(Mode.PILOT)
    platform.make(key, SENDING)
    world.finish(key)
    before = world.rows("SELECT * FROM emotions.batch_requests ORDER BY post_key")
    made = platform.make(key)
    assert made.result.success, made.failures
    assert world.rows("SELECT * FROM emotions.batch_requests ORDER BY post_key") == before
    assert world.server.stats()["lines_asked"] == 5
    assert world.status(key).stage is BatchStage.FINISHED


def test_no_key_and_no_text_is_recorded(platform: Platform) -> None:
    world = platform.world
    world.read(["제 번호는 010-1234-5678 입니다"])
    key = world.register(Mode.FULL)
    made = platform.make(key, SENDING)
    world.finish(key)
    runs = [made.result.run_id, platform.make(key, TAKING).result.run_id]
    recorded = "\n".join(str(record) for run in runs for record in platform.instance.all_logs(run))
    assert CANARY_KEY not in recorded
    assert "010-1234-5678" not in recorded
