"""A schedule made and edited while the platform runs, whose daemon is killed in between."""

import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from batch_platform.core.days import utc_now
from batch_platform.gateways.embedded_postgres import lease_embedded_server
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.schedules import Frequency, ScheduleBook
from batch_platform_tests.running_platform import (
    ProjectCopy,
    free_port,
    project_copy,
    rows_of,
    wait_until,
)

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]

PROMISED_SECONDS = 45
NAME = "아침"


def occurrences(project: ProjectCopy) -> list[tuple[str, str]]:
    """Status and run of every occurrence of our schedule."""
    statement = (
        "SELECT status, coalesce(run_id, '') FROM operations.occurrences"
        " JOIN operations.schedules USING (schedule_id) WHERE name = %s"
    )
    return rows_of(project.root / "var/live", "batch_platform", statement, NAME)  # type: ignore[return-value]


def kill_the_daemon(project: ProjectCopy) -> None:
    """`kill -9`; `up` starts another."""

    def daemon() -> int | None:
        running = project.processes().items()
        return next((pid for pid, command in running if "dagster._daemon" in command), None)

    victim = daemon()
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: daemon() not in {None, victim}, 20, "another daemon")


def edit_to(project: ProjectCopy, due: datetime) -> None:
    """Edit our schedule as the API does, at once."""
    lease, url = lease_embedded_server(project.root / "var/live")
    try:
        book = ScheduleBook(PlatformDb(f"{url}batch_platform"), utc_now)
        # Those that code declares stand in the same table as soon as the dispatcher has looked.
        (schedule,) = (each for each in book.list() if each.spec.name == NAME)
        cron = f"{due:%-M %-H} * * *"
        spec = replace(schedule.spec, frequency=Frequency.CRON, cron=cron, timezone="UTC")
        book.edit(schedule.schedule_id, spec, version=schedule.version, edited_by="test")
    finally:
        lease.release()


def test_an_edited_schedule_fires_in_time_and_once_though_the_daemon_is_killed_in_between() -> None:
    with project_copy() as project:
        command = project.start("batch-platform", "up", "--port", str(free_port()))
        command.wait_for_output("준비됨", 90)
        code, said = project.run(
            "batch-platform", "schedules", "add", NAME, "--job", "chats_night_job"
        )
        assert code == 0, said
        due = (datetime.now(UTC) + timedelta(seconds=75)).replace(second=0, microsecond=0)
        edit_to(project, due)
        kill_the_daemon(project)
        assert occurrences(project) == []

        time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
        wait_until(lambda: any(run for _, run in occurrences(project)), PROMISED_SECONDS, "a run")
        # Without a chat database the run fails, which its occurrence is told.
        wait_until(lambda: occurrences(project)[0][0] == "failed", 60, "the run's end is noted")
        ((_, run_id),) = occurrences(project)
        statement = "SELECT run_id FROM runs WHERE pipeline_name = 'chats_night_job'"
        runs = rows_of(project.root / "var/live", "batch_platform_dagster", statement)
        assert runs == [(run_id,)]
        assert command.end(signal.SIGTERM) == 0
        project.wait_until_nothing_runs()
