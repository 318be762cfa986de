"""Launching a job as an operator does: on its page, in a browser."""

from playwright.sync_api import Page, expect

from batch_platform_tests.running_platform import Webserver, wait_until

LOCATION = "locations/__repository__@batch_platform"
PAGE_MILLISECONDS = 15_000


def launch(page: Page, webserver: Webserver, job: str, partitions: str, button: str) -> None:
    """Launch a job from its page.

    Args:
        partitions: As the dialog understands them: `2026-11-01` or `[first...last]`.
        button: What the dialog's button says then.
    """
    page.goto(f"{webserver.url}/{LOCATION}/jobs/{job}")
    page.get_by_role("button", name="Materialize all").first.click(timeout=PAGE_MILLISECONDS)
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_role("textbox")
    field.fill(partitions)
    field.press("Enter")
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_have_count(0, timeout=PAGE_MILLISECONDS)


def backfill(page: Page, webserver: Webserver, job: str, days: str, seconds: float) -> str:
    """Backfill days from the job's page, wait for the end, and tell the backfill's state."""
    before = len(webserver.backfill_states())
    launch(page, webserver, job, days, "Launch backfill")
    wait_until(lambda: len(webserver.backfill_states()) > before, 20, "the backfill is there")
    wait_until(
        lambda: "REQUESTED" not in webserver.backfill_states(),
        seconds,
        "the backfill has ended",
        poll_seconds=0.5,
    )
    return webserver.backfill_states()[0]
