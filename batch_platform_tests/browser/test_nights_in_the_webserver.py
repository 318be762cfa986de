"""What an operator does in the webserver: look at the lineage, backfill a week of chats and past
days of fortunes, a run a day and one run for all, and run a day again."""

import json
import urllib.request
from datetime import date, timedelta
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from batch_platform_tests.browser.launching import LOCATION, PAGE_MILLISECONDS, backfill, launch
from batch_platform_tests.running_platform import Demo, Webserver, wait_until

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]

ASSETS = {
    "raw_chats",
    "classifications",
    "report",
    "report_mail",
    "published_keywords",
    "report_archive",
    "weekly_review",
    "monthly_review",
}
DAILY_ASSETS = ASSETS - {"report_archive", "weekly_review", "monthly_review"}
JOB = "chats_night_job"
FORTUNES_JOB = "fortunes_night_job"
# The backfill daemon looks every 30 seconds; what it launches is nine short runs.
BACKFILL_SECONDS = 180
DAY_TABLES = ("raw_chats", "questions", "classifications")


def test_the_groups_lineage_shows_all_assets(page: Page, webserver: Webserver) -> None:
    page.goto(f"{webserver.url}/{LOCATION}/asset-groups/chats/lineage")
    for asset in ASSETS:
        expect(page.get_by_text(asset, exact=True).first).to_be_visible(timeout=PAGE_MILLISECONDS)


def test_backfills_of_two_domains_from_the_ui_end_green(
    page: Page, webserver: Webserver, demo: Demo
) -> None:
    last = demo.last_day - timedelta(days=1)
    days = [last - timedelta(days=n) for n in reversed(range(7))]
    first_fortunes = demo.last_day - timedelta(days=12)
    last_fortunes = demo.last_day - timedelta(days=11)
    calls_before, chats_before = model_calls(demo), chat_answers(demo)
    wanted = {
        JOB: f"[{days[0]}...{days[-1]}]",
        FORTUNES_JOB: f"[{first_fortunes}...{last_fortunes}]",
    }
    states = backfill(page, webserver, wanted, BACKFILL_SECONDS)
    assert states == ["COMPLETED_SUCCESS", "COMPLETED_SUCCESS"]
    for asset in DAILY_ASSETS:
        assert {day.isoformat() for day in days} <= materialized_days(webserver, asset), asset
    assert model_calls(demo) > calls_before
    assert chat_answers(demo) > chats_before
    assert_all_have_fortunes(demo, first_fortunes, last_fortunes)
    shown = page.goto(f"{webserver.url}/runs?view=backfills")
    assert shown is not None
    expect(page.get_by_text("Success").first).to_be_visible(timeout=PAGE_MILLISECONDS)


def test_a_day_that_runs_again_has_the_same_rows_and_asks_no_model(
    page: Page, webserver: Webserver, demo: Demo
) -> None:
    day = demo.last_day
    before, calls_before = day_checksums(demo, day), model_calls(demo)
    assert all(count for count, _ in before.values())
    runs_before = run_ids(webserver, day)
    launch(page, webserver, JOB, day.isoformat(), "Launch 1 run")
    (run_id,) = wait_until(
        lambda: run_ids(webserver, day) - runs_before, 20, "the run is there", poll_seconds=0.3
    )
    wait_until(
        lambda: webserver.run_status(run_id) in {"SUCCESS", "FAILURE"}, 60, "the run has ended"
    )
    assert webserver.run_status(run_id) == "SUCCESS"
    assert day_checksums(demo, day) == before
    assert model_calls(demo) == calls_before


def test_past_days_of_fortunes_are_made_in_one_run(
    page: Page, webserver: Webserver, demo: Demo
) -> None:
    first, last = demo.last_day - timedelta(days=22), demo.last_day - timedelta(days=20)
    tags = {
        "tags[0][key]": "dagster/asset_partition_range_start",
        "tags[0][value]": first,
        "tags[1][key]": "dagster/asset_partition_range_end",
        "tags[1][value]": last,
    }
    page.goto(f"{webserver.url}/{LOCATION}/jobs/{FORTUNES_JOB}/playground/setup?{urlencode(tags)}")
    button = page.get_by_role("button", name="Launch Run")
    expect(button).to_be_enabled(timeout=PAGE_MILLISECONDS)
    button.click()
    page.wait_for_url("**/runs/*", timeout=PAGE_MILLISECONDS)
    run_id = page.url.rpartition("/")[2]
    ends = {"SUCCESS", "FAILURE"}
    wait_until(lambda: webserver.run_status(run_id) in ends, BACKFILL_SECONDS, "the run has ended")
    assert webserver.run_status(run_id) == "SUCCESS"
    assert_all_have_fortunes(demo, first, last)


def fortunes(demo: Demo, first: date, last: date) -> list[tuple[int, int]]:
    """Of each of the days: users with a fortune, and users without."""
    return demo.rows(
        "SELECT count(*) FILTER (WHERE fortune.status = 'completed')::int,"
        " count(*) FILTER (WHERE fortune.status IS DISTINCT FROM 'completed')::int"
        " FROM fortunes.eligible_users LEFT JOIN fortunes.daily_fortunes AS fortune"
        " USING (for_date, user_id) WHERE for_date BETWEEN %s AND %s GROUP BY for_date",
        first,
        last,
    )  # type: ignore[return-value]


def assert_all_have_fortunes(demo: Demo, first: date, last: date) -> None:
    made = fortunes(demo, first, last)
    assert len(made) == (last - first).days + 1
    assert all(completed > 50 and missing == 0 for completed, missing in made), made


def day_checksums(demo: Demo, day: date) -> dict[str, tuple[object, ...]]:
    """Of each table: how many rows the day has, and a checksum of all their columns."""
    return {
        table: demo.rows(
            f"SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text))"
            f" FROM chats.{table} t WHERE chat_date = %s",
            day,
        )[0]
        for table in DAY_TABLES
    }


def model_calls(demo: Demo) -> int:
    """How many calls the model's stand-in has seen, by its own count."""
    ports = json.loads((demo.home / "sandbox" / "ports.json").read_text())
    with urllib.request.urlopen(f"http://127.0.0.1:{ports['model']}/sandbox/stats") as answer:
        return json.load(answer)["received"]


def chat_answers(demo: Demo) -> int:
    """How many answers about chats the ledger holds."""
    ((answers,),) = demo.rows("SELECT count(*) FROM llm.calls WHERE domain = 'chats'")
    return answers


def run_ids(webserver: Webserver, day: date) -> set[str]:
    data = webserver.ask(
        """query ($day: String!) {
             runsOrError(filter: {tags: [{key: "dagster/partition", value: $day}]}) {
               ... on Runs { results { id } } } }""",
        day=day.isoformat(),
    )
    return {run["id"] for run in data["runsOrError"]["results"]}


def materialized_days(webserver: Webserver, asset: str) -> set[str]:
    data = webserver.ask(
        """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
             latestMaterializationByPartition { partition } } } }""",
        key={"path": ["chats", asset]},
    )
    made = data["assetNodeOrError"]["latestMaterializationByPartition"]
    return {event["partition"] for event in made if event is not None}
