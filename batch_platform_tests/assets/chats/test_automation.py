"""When the chats run by themselves, and who hears when they fail."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from batch_platform.build import build_definitions, declared_schedules
from batch_platform.operations.incidents.sensors import failed_run_sensor
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform_tests.assets.chats.conftest import DAY, World
from batch_platform_tests.given_settings import settings_of

SEOUL = ZoneInfo("Asia/Seoul")


def tick(name: str, moment: datetime, **variables: object) -> ScheduleExecutionData:
    settings = settings_of(CRON_SCHEDULE="0 1 * * *", **variables)
    definitions, schedule = build_definitions(settings), declared_schedules(settings)[name]
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=moment,
            repository_def=definitions.get_repository_def(),
        )
        return schedule.evaluate_tick(context)


def evaluated(name: str, moment: datetime, **variables: object) -> dg.RunRequest:
    data = tick(name, moment, ENGINE_FOR_SQLALCHEMY="sqlite://", **variables)
    (request,) = data.run_requests or []
    return request


@pytest.mark.parametrize("name", ["chats_night_schedule", "chats_archive_schedule"])
def test_without_an_address_the_chats_are_off_and_say_so(name: str) -> None:
    data = tick(name, datetime(2026, 11, 1, 4, tzinfo=SEOUL))
    assert not data.run_requests
    assert "ENGINE_FOR_SQLALCHEMY" in (data.skip_message or "")


def test_the_night_asks_for_yesterday_in_seoul() -> None:
    request = evaluated("chats_night_schedule", datetime(2026, 11, 20, 1, tzinfo=SEOUL))
    assert request.partition_key == "2026-11-19"
    assert request.tags["due_at"] == "2026-11-20T01:00:00+09:00"


@pytest.mark.parametrize("is_wanted", [True, False])
def test_cron_email_decides_whether_the_night_mails(is_wanted: bool) -> None:
    request = evaluated(
        "chats_night_schedule",
        datetime(2026, 11, 20, 1, tzinfo=SEOUL),
        CRON_EMAIL=str(is_wanted).lower(),
    )
    config = request.run_config["ops"]["chats__report_mail"]["config"]
    assert config["send"] is is_wanted


def test_a_night_that_is_not_to_mail_does_not(world: World) -> None:
    made = world.make(mail={"send": False})
    assert made.is_success
    assert world.mails.mails() == []


def test_the_archive_is_of_last_month() -> None:
    request = evaluated("chats_archive_schedule", datetime(2026, 1, 1, 4, tzinfo=SEOUL))
    assert request.partition_key == "2025-12-01"


def test_a_week_and_a_month_are_looked_back_at_when_they_are_over() -> None:
    monday = datetime(2026, 11, 23, 7, 30, tzinfo=SEOUL)
    week = evaluated("chats_weekly_review_schedule", monday, CRON_EMAIL="false")
    assert week.partition_key == "2026-11-16"
    assert week.run_config["ops"]["chats__weekly_review"]["config"] == {"send": False}
    month = evaluated("chats_monthly_review_schedule", datetime(2026, 12, 1, 7, 30, tzinfo=SEOUL))
    assert month.partition_key == "2026-11-01"


@pytest.fixture
def failed_run(world: World) -> tuple[World, dg.ExecuteInProcessResult]:
    world.variables["DB_TABLE_CHATTINGS"] = "no_such_table"
    return world, world.make("raw_chats").result


def fail_tick(world: World, result: dg.ExecuteInProcessResult, **tags: str) -> object:
    """Evaluate the sensor of failed runs as the daemon does after the run's failure."""
    if tags:
        world.instance.add_run_tags(result.run_id, tags)
    run = world.instance.get_run_by_id(result.run_id)
    assert run is not None
    (failure,) = [event for event in result.all_events if event.is_run_failure]
    with dg.build_run_status_sensor_context(
        sensor_name="failed_run_sensor",
        dagster_event=failure,
        dagster_instance=world.instance,
        dagster_run=run,
        resources=resources(world, "settings", "clock", "platform_db"),
    ).for_run_failure() as context:
        return failed_run_sensor(context)


def watch_tick(world: World) -> None:
    """Evaluate the sensor that watches over incidents."""
    definitions = world.definitions()
    with dg.build_sensor_context(
        instance=world.instance,
        repository_def=definitions.get_repository_def(),
        resources=resources(world, "settings", "clock", "platform_db", "mailer"),
    ) as context:
        definitions.resolve_sensor_def("incidents_sensor").evaluate_tick(context)


def resources(world: World, *roles: str) -> dict[str, object]:
    made = world.definitions().resources or {}
    return {role: world.settings if role == "settings" else made[role] for role in roles}


def told(world: World) -> list[tuple[str, str]]:
    """Mark of the subject and plain text of each mail to the operator."""
    mails = [mail for mail in world.mails.mails() if mail.recipients == ["operator@example.com"]]
    texts: list[tuple[str, str]] = []
    for mail in mails:
        body = mail.message.get_body(("plain",))
        assert body is not None
        subject = str(mail.message["Subject"]).removeprefix("[가상 데이터]")
        texts.append((subject.partition("]")[0], body.get_content()))
    return texts


def test_a_failure_and_its_recovery_are_told_once_each(
    failed_run: tuple[World, dg.ExecuteInProcessResult],
) -> None:
    world, result = failed_run
    for _ in range(2):
        fail_tick(world, result, domain="chats")
        watch_tick(world)
    (failure,) = [text for mark, text in told(world) if mark == "[배치 실패"]
    for said in (
        "chats/raw_chats",
        DAY.isoformat(),
        "no_such_table",
        "DB_TABLE_CHATTINGS",
        result.run_id,
        "docs/runbooks/chats.md",
    ):
        assert said in failure

    del world.variables["DB_TABLE_CHATTINGS"]
    assert world.make("raw_chats").is_success
    for _ in range(2):
        watch_tick(world)
    assert [mark for mark, _ in told(world) if "복구" in mark] == ["[배치 복구"]


def test_a_run_that_is_tried_again_is_no_incident(
    failed_run: tuple[World, dg.ExecuteInProcessResult],
) -> None:
    world, result = failed_run
    assert isinstance(fail_tick(world, result, **{"dagster/will_retry": "true"}), dg.SkipReason)
    assert IncidentBook(world.db).open_incidents() == []


def test_without_a_mail_server_the_incident_is_there_all_the_same(
    failed_run: tuple[World, dg.ExecuteInProcessResult],
) -> None:
    world, result = failed_run
    del world.variables["SMTP_SERVER"]
    fail_tick(world, result)
    watch_tick(world)
    failures = [each for each in IncidentBook(world.db).open_incidents() if each.trouble.job]
    assert [each.trouble.asset for each in failures] == ["chats/raw_chats"]
