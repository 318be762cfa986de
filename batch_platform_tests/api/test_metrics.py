"""`/metrics`: what it says of a night, and to whom."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.morning_world import (
    NOW,
    MorningWorld,
    let_chats_fail,
    let_stocks_run,
    morning_world,
)
from batch_platform_tests.running_api import running_api


@pytest.fixture
def world(platform_db: PlatformDb, dagster_db: PlatformDb) -> Iterator[MorningWorld]:
    with morning_world(platform_db, dagster_db, nights=8) as made:
        let_chats_fail(made)
        let_stocks_run(made)
        with platform_db.connect("test") as connection:
            connection.execute(
                "INSERT INTO llm.spending VALUES ('chats', '2026-11-21', 250), "
                "('chats', '2026-11-20', 1000)"
            )
        yield made


def numbers(text: str) -> dict[tuple[str, str], float]:
    """(name, its labels' values) → number."""
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_night_in_numbers(world: MorningWorld) -> None:
    with world.api.client(Scope.VIEWER) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = numbers(answer.text)
    state = "batch_platform_night_state"
    assert found[state, "chats failed"] == 1
    assert found[state, "chats done"] == 0
    assert found[state, "stocks running"] == 1
    assert found[state, "backups done"] == 1
    assert found["batch_platform_open_incidents", "chats failed"] == 1
    assert found["batch_platform_runs", "running"] == 1
    assert found["batch_platform_runs", "waiting"] == 0
    assert found["batch_platform_night_rows", "backups"] == 2_665
    assert found["batch_platform_night_duration_seconds", "backups"] == 240
    assert found["batch_platform_daemon_seen_timestamp_seconds", ""] == NOW.timestamp()
    assert found["batch_platform_model_cost_krw_total", "chats"] == 1_250
    assert found["batch_platform_model_cost_today_krw", "chats"] == 250
    assert found["batch_platform_model_budget_krw", ""] == 3_000
    assert ("batch_platform_last_success_timestamp_seconds", "chats") in found


def test_it_wants_a_token_and_answers_in_the_format_asked_for(world: MorningWorld) -> None:
    assert httpx.get(f"{world.api.url}/metrics", trust_env=False).status_code == 401
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    with world.api.client(Scope.VIEWER) as client:
        answer = client.get("/metrics", headers=accept)
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")
        assert client.head("/metrics").status_code == 200


def test_labels_are_domains_jobs_and_states_only(world: MorningWorld) -> None:
    with world.api.client(Scope.VIEWER) as client:
        families = list(text_string_to_metric_families(client.get("/metrics").text))
    names = {name for family in families for sample in family.samples for name in sample.labels}
    assert names <= {"domain", "state", "kind", "status"}
    assert "2026-11" not in str([family.samples for family in families])
    assert all(family.documentation for family in families)


def test_before_anything_ever_ran_there_are_numbers_too(platform_db: PlatformDb) -> None:
    with running_api(platform_db) as api, api.client(Scope.VIEWER) as client:
        found = numbers(client.get("/metrics").text)
    assert found["batch_platform_oldest_waiting_run_seconds", ""] == 0
    assert ("batch_platform_daemon_seen_timestamp_seconds", "") not in found
