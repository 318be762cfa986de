"""A check that fails beside a run that succeeds, and a budget that is reached, are incidents."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from batch_platform.core.errors import BudgetExceededError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.incidents.models import Change, IncidentKind, Severity
from batch_platform.operations.incidents.sensors import failed_check_sensor, failed_run_sensor
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform_tests.given_settings import settings_of

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-12-01")


@dataclass
class Night:
    """An asset of the test's own with two checks, and what they are to say."""

    db: PlatformDb
    instance: dg.DagsterInstance
    book: IncidentBook
    doubts: dict[str, dg.AssetCheckSeverity] = field(default_factory=dict)
    is_budget_reached: bool = False
    cursor: str | None = None

    def run(self, day: str) -> dg.ExecuteInProcessResult:
        @dg.asset(key_prefix="chats", partitions_def=DAYS)
        def raw_chats() -> None:
            if self.is_budget_reached:
                raise BudgetExceededError("The next model call could pass the day's budget")

        def verdict(name: str) -> dg.AssetCheckResult:
            severity = self.doubts.get(name)
            return dg.AssetCheckResult(
                passed=severity is None,
                severity=severity or dg.AssetCheckSeverity.ERROR,
                metadata={"rows": 0, "who": "010-1234-5678"},
            )

        @dg.asset_check(asset=raw_chats)
        def rows_are_there() -> dg.AssetCheckResult:
            return verdict("rows_are_there")

        @dg.asset_check(asset=raw_chats, blocking=True)
        def rows_add_up() -> dg.AssetCheckResult:
            return verdict("rows_add_up")

        job = dg.define_asset_job("chats_night_job", selection="*", tags={"domain": "chats"})
        definitions = dg.Definitions(
            assets=[raw_chats], asset_checks=[rows_are_there, rows_add_up], jobs=[job]
        )
        return definitions.resolve_job_def("chats_night_job").execute_in_process(
            instance=self.instance, partition_key=day, raise_on_error=False
        )

    def look(self) -> None:
        """Evaluate the sensor of checks as the daemon does."""
        resources = self._resources()
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=resources
        ) as context:
            failed_check_sensor.evaluate_tick(context)
            self.cursor = context.cursor

    def hear_of_failure(self, result: dg.ExecuteInProcessResult) -> None:
        """Evaluate the sensor of failed runs as the daemon does."""
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        (failure,) = [event for event in result.all_events if event.is_run_failure]
        with dg.build_run_status_sensor_context(
            sensor_name="failed_run_sensor",
            dagster_event=failure,
            dagster_instance=self.instance,
            dagster_run=run,
            resources=self._resources(),
        ).for_run_failure() as context:
            failed_run_sensor(context)

    def _resources(self) -> dict[str, Any]:
        return {"settings": settings_of(), "clock": lambda: NOW, "platform_db": self.db}

    def told(self) -> list[tuple[str, str, str]]:
        """(kind, partition, change) of each message, in order."""
        rows = self.db.fetch_all(
            "SELECT kind, partition, change FROM operations.incident_messages"
            " JOIN operations.incidents USING (incident_id) ORDER BY written_at, incident_id, 3"
        )
        return [(kind, partition, change) for kind, partition, change in rows]


@pytest.fixture
def night(platform_db: PlatformDb) -> Iterator[Night]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Night(platform_db, instance, IncidentBook(platform_db))


def test_a_failed_check_is_one_incident_until_it_passes(night: Night) -> None:
    night.look()
    night.doubts["rows_are_there"] = dg.AssetCheckSeverity.ERROR
    for _ in range(2):
        assert night.run("2026-11-19").success, "it blocks nothing"
        for _ in range(2):
            night.look()
    (incident,) = night.book.open_incidents()
    trouble = incident.trouble
    assert (trouble.asset, trouble.check) == ("chats/raw_chats", "rows_are_there")
    assert (incident.severity, incident.times_seen) == (Severity.ERROR, 2)
    assert trouble.causes == ["검사에 걸렸습니다: rows are there (rows 0, who [전화번호_1])"]

    night.doubts.clear()
    night.run("2026-11-20")
    night.look()
    assert len(night.book.open_incidents()) == 1, "another day's data says nothing of this day's"
    night.run("2026-11-19")
    night.look()
    assert night.told() == [
        ("check_failed", "2026-11-19", Change.OPENED),
        ("check_failed", "2026-11-19", Change.RECOVERED),
    ]


def test_a_warning_is_over_with_the_next_day_that_passes(night: Night) -> None:
    night.doubts["rows_are_there"] = dg.AssetCheckSeverity.WARN
    night.run("2026-11-19")
    night.look()
    (incident,) = night.book.open_incidents()
    assert incident.severity is Severity.WARNING
    night.doubts.clear()
    night.run("2026-11-18")
    night.look()
    assert len(night.book.open_incidents()) == 1
    night.run("2026-11-20")
    night.look()
    assert night.book.open_incidents() == []


def test_a_failed_check_that_blocks_is_told_as_the_failure_of_its_run_alone(night: Night) -> None:
    night.doubts["rows_add_up"] = dg.AssetCheckSeverity.ERROR
    result = night.run("2026-11-19")
    assert not result.success
    night.look()
    night.hear_of_failure(result)
    assert [kind for kind, _, _ in night.told()] == ["failed"]


def test_a_run_that_stopped_at_its_budget_says_how_to_go_on(night: Night) -> None:
    night.is_budget_reached = True
    for _ in range(2):
        night.hear_of_failure(night.run("2026-11-19"))
    (incident,) = night.book.open_incidents()
    assert incident.trouble.kind is IncidentKind.BUDGET_PASSED
    assert "LLM_DAILY_BUDGET_KRW" in " ".join(incident.trouble.advice)
    assert night.told() == [("budget_passed", "2026-11-19", "opened")]
