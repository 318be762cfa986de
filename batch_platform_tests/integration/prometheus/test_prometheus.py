"""A real Prometheus: it reads `/metrics`, takes our rules, and every rule fires when it should."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.morning_world import let_chats_fail, let_stocks_run, morning_world
from batch_platform_tests.running_platform import free_port, wait_until

DEPLOY = PROJECT_ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
METRIC = re.compile(r"\bbatch_platform_[a-z_]+")


def program(name: str) -> str:
    """Path of a program of Prometheus; without it the test is skipped, but never in CI."""
    found = shutil.which(name)
    if found is None:
        message = f"No {name} here (Debian: apt install prometheus): the rules are not tried"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def test_every_rule_fires_in_the_test_of_rules() -> None:
    tool = program("promtool")
    for command in (["check", "rules", RULES.name], ["test", "rules", "alerts_test.yml"]):
        ended = subprocess.run(
            [tool, *command], cwd=RULES.parent, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_test_of_rules_leaves_none_out() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    tests = yaml.safe_load((RULES.parent / "alerts_test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    fired = {check["alertname"] for check in checks if check.get("exp_alerts")}
    quiet = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert {rule["alert"] for rule in rules} == fired == quiet
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        runbook = rule["annotations"]["runbook"].replace("{{ $labels.domain }}", "chats")
        assert (PROJECT_ROOT / runbook).is_file(), runbook


@contextmanager
def prometheus(tmp_path: Path, api_url: str, token: str) -> Iterator[httpx.Client]:
    """A Prometheus with the project's own configuration, but for addresses and time."""
    (tmp_path / "token").write_text(token)
    given = yaml.safe_load((RULES.parent / "prometheus.yml").read_text())
    given["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    given["rule_files"] = [str(RULES)]
    (job,) = given["scrape_configs"]
    job["authorization"]["credentials_file"] = str(tmp_path / "token")
    job["static_configs"] = [{"targets": [urlsplit(api_url).netloc]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(given))
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}/api/v1"
            with httpx.Client(base_url=address, trust_env=False) as client:
                yield client
        finally:
            process.terminate()
            process.wait(20)


def test_a_prometheus_reads_it_without_an_error_and_its_alerts_see_the_night(
    platform_db: PlatformDb, dagster_db: PlatformDb, tmp_path: Path
) -> None:
    program("prometheus")
    with morning_world(platform_db, dagster_db, nights=8) as world:
        let_chats_fail(world)
        let_stocks_run(world)
        token = world.api.tokens.create("prometheus", Scope.VIEWER)
        with prometheus(tmp_path, world.api.url, token) as client:

            def target() -> dict[str, str] | None:
                try:
                    (found,) = client.get("/targets").json()["data"]["activeTargets"]
                except (httpx.TransportError, ValueError):
                    return None  # it has not begun yet
                return found if found["health"] != "unknown" else None

            seen = wait_until(target, 30, "it has scraped")
            assert (seen["health"], seen["lastError"]) == ("up", "")

            def chats_alert() -> list[dict[str, str]]:
                alerts = client.get("/alerts").json()["data"]["alerts"]
                return [
                    each["labels"]
                    for each in alerts
                    if each["labels"]["alertname"] == "BatchNightFailed"
                ]

            (labels,) = wait_until(chats_alert, 30, "the rules have seen the failed night")
            assert labels["domain"] == "chats"
            rules = client.get("/rules").json()["data"]["groups"][0]["rules"]
            assert {rule["health"] for rule in rules} == {"ok"}


def test_rules_and_dashboard_name_only_what_there_is(
    platform_db: PlatformDb, dagster_db: PlatformDb
) -> None:
    with (
        morning_world(platform_db, dagster_db, nights=8) as world,
        world.api.client(Scope.VIEWER) as client,
    ):
        told = client.get("/metrics").text
    there_are = set(re.findall(r"^# TYPE (\S+)", told, re.MULTILINE))
    dashboard = (DEPLOY / "grafana" / "batch-platform.json").read_text()
    assert set(METRIC.findall(RULES.read_text())) <= there_are
    assert set(METRIC.findall(dashboard)) <= there_are
    panels = json.loads(dashboard)["panels"]
    assert all(panel["description"] and panel["targets"] for panel in panels)
