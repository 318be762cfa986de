"""Takes the README's pictures from the running demo.

`python -m batch_platform_tests.browser.pictures FOLDER` runs the demo in a new FOLDER, which mails
name (so choose one like /opt/batch-platform), writes to `docs/images` and removes FOLDER. It needs
chromium, LibreOffice and pdftoppm. Look at every picture before it is committed.
"""

import shutil
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform_tests.browser.chromium import installed_browser, new_browser
from batch_platform_tests.running_platform import (
    Demo,
    ProjectCopy,
    Webserver,
    free_port,
    project_copy,
    up_ports,
    wait_until,
)

_FOLDER = PROJECT_ROOT / "docs" / "images"
_LOCATION = "locations/__repository__@batch_platform"
_DAILY_ASSETS = ("raw_chats", "classifications", "report", "report_mail", "published_keywords")
_BACKFILLED_DAYS = 8
_SETTLE_MILLISECONDS = 2_500


def main() -> None:
    """Run the demo in a copy, backfill a week, and take every picture."""
    browser = installed_browser()
    if browser is None:
        sys.exit("No chromium here (Debian: apt install chromium)")
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with project_copy(Path(sys.argv[1])) as project:
        code, said = project.run("batch-platform", "demo")
        if code != 0:
            sys.exit(said)
        demo = Demo(project)
        port, api_port = free_port(), free_port()
        command = project.start("batch-platform", "up", *up_ports(port, api_port))
        command.wait_for_output("준비됨", 90)
        with (
            Webserver(f"http://127.0.0.1:{port}") as webserver,
            tempfile.TemporaryDirectory() as user_data,
            sync_playwright() as playwright,
        ):
            _backfill_the_week_before(webserver, demo.last_day)
            context = new_browser(playwright, browser, Path(user_data))
            _take_pictures_of_the_webserver(context.pages[0], webserver, demo.last_day)
            _take_picture_of_the_mail(context.pages[0], command.output, demo.last_day)
            _take_picture_of_the_morning(context.pages[0], project, api_port)
            context.close()
        command.end()
        (workbook,) = (demo.home / "reports" / "chats").glob(f"*_{demo.last_day}.xlsx")
        _take_picture_of_the_report(workbook)


def _backfill_the_week_before(webserver: Webserver, last: date) -> None:
    days = [(last - timedelta(days=n)).isoformat() for n in reversed(range(1, _BACKFILLED_DAYS))]
    assets = [{"path": ["chats", name]} for name in _DAILY_ASSETS]
    webserver.ask(
        """mutation ($parameters: LaunchBackfillParams!) {
             launchPartitionBackfill(backfillParams: $parameters) { __typename } }""",
        parameters={"assetSelection": assets, "partitionNames": days, "title": "The week before"},
    )
    wait_until(
        lambda: webserver.backfill_states() == ["COMPLETED_SUCCESS"],
        240,
        "the backfill has ended",
        poll_seconds=1,
    )


def _take_pictures_of_the_webserver(page: Page, webserver: Webserver, day: date) -> None:
    page.goto(f"{webserver.url}/runs")
    page.get_by_role("button", name="Hide navigation").click()
    page.get_by_text("Show runs within backfills").click()
    page.get_by_text("chats_night_job").first.wait_for()
    _take(page, "runs", height=640)
    # The graph is laid out for the size that the window has when it opens.
    page.set_viewport_size({"width": 1440, "height": 700})
    page.goto(f"{webserver.url}/{_LOCATION}/asset-groups/chats/lineage")
    page.get_by_text("report_archive", exact=True).first.wait_for()
    _take(page, "lineage", height=700)
    page.goto(f"{webserver.url}/assets/chats/classifications?view=partitions&partition={day}")
    page.get_by_text("questions_classified").first.wait_for()
    _take(page, "asset", height=1250)


def _take_picture_of_the_mail(page: Page, said_by_up: str, day: date) -> None:
    mails = next(line.split()[-1] for line in said_by_up.splitlines() if "메일" in line)
    page.goto(mails)
    page.get_by_role("link", name=f"{day}").click()
    html = page.locator("iframe").get_attribute("src")
    page.set_viewport_size({"width": 720, "height": 400})
    page.goto(f"{mails.rstrip('/')}{html}")
    page.screenshot(path=_FOLDER / "mail.png", full_page=True)


def _take_picture_of_the_morning(page: Page, project: ProjectCopy, api_port: int) -> None:
    code, said = project.run("batch-platform", "tokens", "create", "--name", "you")
    if code != 0:
        sys.exit(said)
    # Its last line is the token.
    page.goto(f"http://127.0.0.1:{api_port}/?lang=ko")
    page.locator("#token").fill(said.split()[-1])
    page.get_by_role("button").first.click()
    page.get_by_role("heading", level=1).wait_for()
    _take(page, "morning", height=1000)


def _take_picture_of_the_report(workbook: Path) -> None:
    """The summary, which is the workbook's last sheet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = f"-env:UserInstallation=file://{folder}/profile"
        to_pdf = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(folder)]
        subprocess.run([*to_pdf, str(workbook)], check=True, capture_output=True)
        pdf = folder / f"{workbook.stem}.pdf"
        subprocess.run(["pdftoppm", "-png", "-r", "100", pdf, folder / "page"], check=True)
        shutil.copy(max(folder.glob("page-*.png")), _FOLDER / "report.png")


def _take(page: Page, name: str, *, height: int) -> None:
    page.set_viewport_size({"width": 1440, "height": height})
    page.wait_for_timeout(_SETTLE_MILLISECONDS)
    page.screenshot(path=_FOLDER / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
