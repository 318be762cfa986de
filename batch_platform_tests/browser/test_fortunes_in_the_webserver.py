"""Past days of fortunes made from the webserver: a run a day, and one run for all."""

from datetime import date, timedelta
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from batch_platform_tests.browser.launching import LOCATION, PAGE_MILLISECONDS, backfill
from batch_platform_tests.running_platform import Demo, Webserver, wait_until

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]

JOB = "fortunes_night_job"
# The backfill daemon looks every 30 seconds.
SECONDS = 180


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


def assert_all_have_theirs(demo: Demo, first: date, last: date) -> None:
    made = fortunes(demo, first, last)
    assert len(made) == (last - first).days + 1
    assert all(completed > 50 and missing == 0 for completed, missing in made), made


def test_past_days_are_made_a_run_a_day(page: Page, webserver: Webserver, demo: Demo) -> None:
    first, last = demo.last_day - timedelta(days=12), demo.last_day - timedelta(days=11)
    assert backfill(page, webserver, JOB, f"[{first}...{last}]", SECONDS) == "COMPLETED_SUCCESS"
    assert_all_have_theirs(demo, first, last)


def test_past_days_are_made_in_one_run(page: Page, webserver: Webserver, demo: Demo) -> None:
    first, last = demo.last_day - timedelta(days=22), demo.last_day - timedelta(days=20)
    tags = {
        "tags[0][key]": "dagster/asset_partition_range_start",
        "tags[0][value]": first,
        "tags[1][key]": "dagster/asset_partition_range_end",
        "tags[1][value]": last,
    }
    page.goto(f"{webserver.url}/{LOCATION}/jobs/{JOB}/playground/setup?{urlencode(tags)}")
    button = page.get_by_role("button", name="Launch Run")
    expect(button).to_be_enabled(timeout=PAGE_MILLISECONDS)
    button.click()
    page.wait_for_url("**/runs/*", timeout=PAGE_MILLISECONDS)
    run_id = page.url.rpartition("/")[2]
    ends = {"SUCCESS", "FAILURE"}
    wait_until(lambda: webserver.run_status(run_id) in ends, SECONDS, "the run has ended")
    assert webserver.run_status(run_id) == "SUCCESS"
    assert_all_have_theirs(demo, first, last)
