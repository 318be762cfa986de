"""The platform was stopped for seven days: what its schedules make up for, and who hears of it.

Definitions, daemon, mail server and database are real; the clock is the test's, and a run is not
executed but said to have made what it was to make.
"""

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.smtp_sink import running_smtp_sink
from batch_platform_tests.given_settings import settings_of
from batch_platform_tests.integration.schedules.conftest import QUEUE, World, world_in
from batch_platform_tests.integration.schedules.small_platform import Given
from batch_platform_tests.integration.schedules.whole_platform import (
    SOURCES,
    WHOLE_WORKSPACE,
    defs,
)

WEEK = [f"2026-11-{day}" for day in range(20, 27)]
MADE_BY = {
    "chats_night_job": "chats/report",
    "stocks_night_job": "stocks/daily_prices",
    "fortunes_night_job": "fortunes/published_fortunes",
    "backups_database_job": "backups/database_backup",
}
BACK_AT = datetime(2026, 11, 27, 13, 30, tzinfo=UTC)
"""22:30 in Seoul; the platform was stopped at nine on the 20th."""


def partitions_of(world: World, job: str) -> list[str]:
    runs = [run for run in world.runs() if run.job_name == job]
    return [run.tags["dagster/partition"] for run in runs]


def end_what_goes(world: World) -> int:
    """Let every run end well; return how many of one job went on at once."""
    going = [run for run in world.runs() if not run.is_finished]
    for run in going:
        asset = MADE_BY.get(run.job_name)
        if asset is not None:
            key, partition = dg.AssetKey(asset.split("/")), run.tags["dagster/partition"]
            world.instance.report_runless_asset_event(
                dg.AssetMaterialization(key, partition=partition)
            )
        world.end_run(run.run_id)
    jobs = [run.job_name for run in going]
    return max(map(jobs.count, jobs), default=0)


def test_every_day_of_chats_and_prices_and_only_tomorrows_fortunes_and_one_message(
    platform_db: PlatformDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        running_smtp_sink() as sink,
        dg.instance_for_test({"run_coordinator": QUEUE}) as instance,
        WorkspaceProcessContext(instance, WHOLE_WORKSPACE) as workspace,
    ):
        Given.settings = settings_of(
            SMTP_SERVER=sink.host, SMTP_PORT=sink.port, SMTP_SECURITY="none",
            SENDER_EMAIL="batch@example.org", MAILTO="operator@example.org", **SOURCES,
        )  # type: ignore[arg-type]  # fmt: skip
        # The night before is there at the first look: which sensor looks first is Dagster's affair.
        nights = [each for job, each in MADE_BY.items() if job != "fortunes_night_job"]
        made = [(asset, "2026-11-19") for asset in nights]
        world = world_in(workspace, platform_db, defs, monkeypatch, made)
        world.look()
        world.look_at(BACK_AT)
        most_at_once = 0
        for _ in range(8):
            most_at_once = max(most_at_once, end_what_goes(world))
            world.look()

        assert partitions_of(world, "chats_night_job") == WEEK
        # Calendar days: one on which the exchange is closed ends without prices.
        assert partitions_of(world, "stocks_night_job") == WEEK
        assert partitions_of(world, "fortunes_night_job") == ["2026-11-28"]
        assert partitions_of(world, "backups_database_job") == ["2026-11-26"]
        assert most_at_once == 3
        before = len(world.runs())
        world.look(2)
        assert len(world.runs()) == before
        assert [str(mail.message["Subject"]).partition("·")[0] for mail in sink.mails()] == [
            "[밀린 작업 정리] 플랫폼 "
        ]
        (mail,) = sink.mails()
        body = mail.message.get_body(("plain",))
        assert body is not None
        text = body.get_content()
    assert str(mail.message["Subject"]).startswith("[밀린 작업 정리]")
    for line in (
        "7일 13시간 멈춰 있었습니다",
        "chats_night_schedule: 7개 완료 (2026-11-20 … 2026-11-26)",
        "stocks_night_schedule: 7개 완료 (2026-11-20 … 2026-11-26)",
        "fortunes_night_schedule: 1개 완료 (2026-11-28), 7개 건너뜀 (2026-11-21 … 2026-11-27)",
    ):
        assert line in text
