"""What the webserver shows of the interventions: assets, their checks, the job."""

import dagster as dg
import pytest

from batch_platform.build import build_definitions

ASSETS = {
    "interventions/user_records": ({"postgres", "table"}, set()),
    "interventions/eligible_users": ({"postgres", "table"}, {"interventions/user_records"}),
    "interventions/recommendations": ({"postgres", "openai"}, {"interventions/eligible_users"}),
    "interventions/published_records": ({"mariadb", "table"}, {"interventions/recommendations"}),
}
CHECKS = {
    "interventions/eligible_users": {"every_user_is_eligible_or_has_a_reason": True},
    "interventions/recommendations": {
        "recommendations_errors_and_reasons_add_up_to_the_users": True,
        "no_recommendation_has_a_food_or_drug_it_must_not_name": True,
        "errors_are_few": False,
        "most_recommendations_are_as_they_were_asked_for": False,
    },
    "interventions/published_records": {"published_records_add_up_to_the_recommendations": False},
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
        if spec.key.path[0] == "interventions"
    }
    found = {
        key: (set(spec.kinds), {dep.asset_key.to_user_string() for dep in spec.deps})
        for key, spec in specs.items()
    }
    assert found == ASSETS
    for key, spec in specs.items():
        assert spec.tags["personal_data"] == "yes", key
        assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)


def test_what_must_stop_the_rest_does(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found: dict[str, dict[str, bool]] = {}
    for key in graph.asset_check_keys:
        if key.asset_key.path[0] == "interventions":
            checks = found.setdefault(key.asset_key.to_user_string(), {})
            checks[key.name] = graph.get(key).blocking
    assert found == CHECKS


def test_it_has_a_job_and_no_schedule_in_code(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert repository.has_job("interventions_job")
    assert not [each for each in repository.schedule_defs if "interventions" in each.name]
