"""What the webserver shows of the emotions: assets, their checks, the jobs, the sensor."""

import dagster as dg
import pytest

from batch_platform.build import build_definitions

ASSETS = {
    "emotions/posts": ({"postgres", "csv"}, set()),
    "emotions/batch_requests": ({"postgres", "table"}, {"emotions/posts"}),
    "emotions/batch_jobs": ({"postgres", "openai", "gemini"}, {"emotions/batch_requests"}),
    "emotions/analyses": ({"postgres", "csv", "parquet"}, {"emotions/batch_jobs"}),
    "emotions/history": ({"postgres", "table"}, {"emotions/analyses"}),
}
CHECKS = {
    "emotions/batch_requests": {"chosen_and_left_out_posts_add_up_to_what_could_be_read": True},
    "emotions/batch_jobs": {"no_text_is_sent_in_two_jobs_of_a_round": False},
    "emotions/analyses": {
        "analyses_add_up_to_the_answered_posts": True,
        "every_analysis_is_within_its_bounds": True,
        "few_posts_are_set_aside": False,
    },
    "emotions/history": {"a_finished_batch_has_no_open_posts": False},
}
"""Check → whether a failure stops what is downstream."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions()


def test_the_assets_are_these(definitions: dg.Definitions) -> None:
    specs = {
        spec.key.to_user_string(): spec
        for asset in definitions.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.specs
        if spec.key.path[0] == "emotions"
    }
    found = {
        key: (set(spec.kinds), {dep.asset_key.to_user_string() for dep in spec.deps})
        for key, spec in specs.items()
    }
    assert found == ASSETS
    for key, spec in specs.items():
        is_daily = key == "emotions/posts"
        expected = dg.DailyPartitionsDefinition if is_daily else dg.DynamicPartitionsDefinition
        assert isinstance(spec.partitions_def, expected), key
    with_texts = {key for key, spec in specs.items() if spec.tags.get("personal_data") == "yes"}
    assert with_texts == {"emotions/posts", "emotions/batch_requests", "emotions/analyses"}


def test_what_must_stop_the_rest_does(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found: dict[str, dict[str, bool]] = {}
    for key in graph.asset_check_keys:
        if key.asset_key.path[0] == "emotions":
            checks = found.setdefault(key.asset_key.to_user_string(), {})
            checks[key.name] = graph.get(key).blocking
    assert found == CHECKS


def test_it_has_two_jobs_and_a_sensor_that_runs_by_itself(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert repository.has_job("emotions_posts_job")
    assert repository.has_job("emotions_batch_job")
    sensor = repository.get_sensor_def("emotions_batches_sensor")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert not [each for each in repository.schedule_defs if "emotions" in each.name]
