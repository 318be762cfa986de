"""What the webserver shows of the fortunes, when they run by themselves, and what tries again."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from batch_platform.build import DEADLINES, build_definitions, declared_schedules
from batch_platform.domains.fortunes.automation import fortunes_retry_sensor
from batch_platform_tests.assets.fortunes.conftest import DAY, JOB, NIGHT, World
from batch_platform_tests.given_settings import settings_of

SEOUL = ZoneInfo("Asia/Seoul")
FORTUNES = {
    "fortunes/eligible_users": ({"postgres", "table"}, set()),
    "fortunes/natal_charts": ({"postgres", "table"}, {"fortunes/eligible_users"}),
    "fortunes/daily_fortunes": (
        {"postgres", "openai"},
        {"fortunes/eligible_users", "fortunes/natal_charts"},
    ),
    "fortunes/published_fortunes": ({"django", "table"}, {"fortunes/daily_fortunes"}),
}
CHECKS = {
    "fortunes/natal_charts": {"pillars_agree_with_the_calendar": True},
    "fortunes/daily_fortunes": {
        "every_eligible_user_has_exactly_one_fortune": True,
        "fortunes_are_completed_for_every_user": False,
        "texts_are_within_their_length": True,
        "no_text_has_another_users_name": False,
    },
}
"""Check → whether a failure stops what is downstream."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions()


def test_the_fortunes_are_these_assets(definitions: dg.Definitions) -> None:
    specs = [
        spec for spec in definitions.resolve_all_asset_specs() if spec.group_name == "fortunes"
    ]
    assert {
        spec.key.to_user_string(): (
            set(spec.kinds),
            {dep.asset_key.to_user_string() for dep in spec.deps},
        )
        for spec in specs
    } == FORTUNES


def test_tomorrows_partition_exists_today_and_the_day_afters_does_not(
    definitions: dg.Definitions,
) -> None:
    (spec,) = [
        spec
        for spec in definitions.resolve_all_asset_specs()
        if spec.key.to_user_string() == "fortunes/daily_fortunes"
    ]
    assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)
    at_ten = datetime(2026, 11, 21, 22, tzinfo=SEOUL)
    with dg.partition_loading_context(effective_dt=at_ten):
        assert spec.partitions_def.get_partition_keys()[-1] == "2026-11-22"


def test_checks_stop_what_must_be_stopped(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found: dict[str, dict[str, bool]] = {}
    for key in graph.asset_check_keys:
        found.setdefault(key.asset_key.to_user_string(), {})[key.name] = graph.get(key).blocking
    assert {asset: found[asset] for asset in CHECKS} == CHECKS


def scheduled(moment: datetime, **variables: object) -> dg.RunRequest | dg.SkipReason | str:
    settings = settings_of(**variables)
    definitions = build_definitions(settings)
    schedule = declared_schedules(settings)["fortunes_night_schedule"]
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 22 * * *", "Asia/Seoul")
    with dg.DagsterInstance.ephemeral() as instance:
        data = schedule.evaluate_tick(
            dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=moment,
                repository_def=definitions.get_repository_def(),
            )
        )
    return data.run_requests[0] if data.run_requests else data.skip_message or ""


def test_at_ten_in_the_evening_tomorrow_is_asked_for() -> None:
    request = scheduled(datetime(2026, 11, 21, 22, tzinfo=SEOUL), DATABASE_URL="sqlite:///app.db")
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-11-22"
    assert request.tags["due_at"] == "2026-11-21T22:00:00+09:00"


def test_without_the_apps_address_the_domain_is_off() -> None:
    said = scheduled(datetime(2026, 11, 21, 22, tzinfo=SEOUL))
    assert "DATABASE_URL" in str(said)


def test_it_must_be_there_ten_minutes_before_midnight() -> None:
    (deadline,) = [each for each in DEADLINES if each.asset == "fortunes/published_fortunes"]
    assert deadline.due(DAY, SEOUL) == datetime(2025, 6, 12, 23, 50, tzinfo=SEOUL)


def look(world: World, now: datetime) -> list[str | None]:
    """Partitions that the sensor asks for."""
    with dg.build_sensor_context(instance=world.instance) as context:
        said = fortunes_retry_sensor(
            context, settings=world.settings, platform_db=world.db, clock=lambda: now
        )
    if isinstance(said, dg.SkipReason):
        return []
    assert isinstance(said, dg.SensorResult)
    return [request.partition_key for request in said.run_requests or []]


def test_a_failed_user_who_is_due_gets_a_run_until_the_day_is_over(world: World) -> None:
    world.answer_wrongly(faults={"refusal": 1.0})
    world.variables["FORTUNES_MAX_FAILED_SHARE"] = 1.0
    world.make("eligible_users", "natal_charts", "daily_fortunes")
    assert look(world, NIGHT + timedelta(minutes=4)) == []
    assert look(world, NIGHT + timedelta(minutes=5)) == [DAY.isoformat()]
    assert look(world, NIGHT + timedelta(hours=12)) == [DAY.isoformat()]
    assert look(world, NIGHT + timedelta(hours=27)) == []


def test_a_day_that_is_being_made_gets_no_second_run(world: World) -> None:
    world.answer_wrongly(faults={"refusal": 1.0})
    world.variables["FORTUNES_MAX_FAILED_SHARE"] = 1.0
    world.make("eligible_users", "natal_charts", "daily_fortunes")
    job = world.definitions().resolve_job_def(JOB)
    world.instance.create_run_for_job(
        job, tags={"dagster/partition": DAY.isoformat()}, status=dg.DagsterRunStatus.STARTED
    )
    assert look(world, NIGHT + timedelta(minutes=5)) == []
