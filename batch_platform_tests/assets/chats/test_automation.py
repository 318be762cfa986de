"""When the chats run by themselves, and who hears when they fail."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from batch_platform.build import build_definitions
from batch_platform.operations.failures import failure_mail_sensor
from batch_platform_tests.assets.chats.conftest import DAY, World
from batch_platform_tests.given_settings import settings_of

SEOUL = ZoneInfo("Asia/Seoul")


def tick(name: str, moment: datetime, **variables: object) -> ScheduleExecutionData:
    definitions = build_definitions(settings_of(CRON_SCHEDULE="0 1 * * *", **variables))
    schedule = definitions.resolve_schedule_def(name)
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


@pytest.fixture
def failed_run(world: World) -> tuple[World, dg.ExecuteInProcessResult]:
    world.variables["DB_TABLE_CHATTINGS"] = "no_such_table"
    return world, world.make("raw_chats").result


def sensor_tick(world: World, result: dg.ExecuteInProcessResult, **tags: str) -> object:
    """Evaluate the sensor as the daemon does after the run's failure."""
    if tags:
        world.instance.add_run_tags(result.run_id, tags)
    run = world.instance.get_run_by_id(result.run_id)
    assert run is not None
    (failure,) = [event for event in result.all_events if event.is_run_failure]
    resources = world.definitions().resources or {}
    with dg.build_run_status_sensor_context(
        sensor_name="failure_mail_sensor",
        dagster_event=failure,
        dagster_instance=world.instance,
        dagster_run=run,
        resources={"settings": world.settings, "mailer": resources["mailer"]},
    ).for_run_failure() as context:
        return failure_mail_sensor(context)


def test_a_failure_is_mailed_with_what_where_and_why(
    failed_run: tuple[World, dg.ExecuteInProcessResult],
) -> None:
    world, result = failed_run
    sensor_tick(world, result)
    (mail,) = world.mails.mails()
    assert mail.recipients == ["operator@example.com"]
    body = mail.message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "chats/raw_chats" in text
    assert DAY.isoformat() in text
    assert "no_such_table" in text
    assert "DB_TABLE_CHATTINGS" in text
    assert result.run_id in text


def test_the_mail_of_a_nights_failure_names_the_domains_runbook(
    failed_run: tuple[World, dg.ExecuteInProcessResult],
) -> None:
    world, result = failed_run
    sensor_tick(world, result, domain="chats")
    (mail,) = world.mails.mails()
    body = mail.message.get_body(("plain",))
    assert body is not None
    assert "docs/runbooks/chats.md" in body.get_content()


def test_a_run_that_is_tried_again_is_not_mailed(
    failed_run: tuple[World, dg.ExecuteInProcessResult],
) -> None:
    world, result = failed_run
    assert isinstance(sensor_tick(world, result, **{"dagster/will_retry": "true"}), dg.SkipReason)
    assert world.mails.mails() == []


def test_without_a_mail_server_the_sensor_says_so(
    failed_run: tuple[World, dg.ExecuteInProcessResult],
) -> None:
    world, result = failed_run
    del world.variables["SMTP_SERVER"]
    skipped = sensor_tick(world, result)
    assert isinstance(skipped, dg.SkipReason)
    assert "SMTP_SERVER" in str(skipped.skip_message)
