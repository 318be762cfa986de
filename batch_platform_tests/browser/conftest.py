"""A browser, and the demo as a person has it after `make demo` and `make up`."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Playwright, sync_playwright

from batch_platform_tests.browser.chromium import installed_browser, new_browser
from batch_platform_tests.running_platform import Demo, Webserver, free_port, project_copy, up_ports


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    with project_copy() as project:
        code, said = project.run("batch-platform", "demo")
        assert code == 0, said
        yield Demo(project)


@pytest.fixture(scope="module")
def webserver(demo: Demo) -> Iterator[Webserver]:
    """The demo's webserver, as `batch-platform up` serves it; ended before another file's tests."""
    port = free_port()
    command = demo.project.start("batch-platform", "up", *up_ports(port))
    try:
        command.wait_for_output("준비됨", 90)
        with Webserver(f"http://127.0.0.1:{port}") as served:
            yield served
    finally:
        command.end()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a browser; without one the test is skipped, but never in CI."""
    found = installed_browser()
    if found is None:
        message = "No chromium here (Debian: apt install chromium): the webserver is not looked at"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture
def playwright() -> Iterator[Playwright]:
    """The browser's driver; for one test, as it leaves an event loop running in our thread."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture
def page(playwright: Playwright, chromium: str, tmp_path: Path) -> Iterator[Page]:
    """A new browser's page; afterwards, that no request left the machine."""
    context = new_browser(playwright, chromium, tmp_path / "browser")
    asked: set[str] = set()
    context.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
    try:
        yield context.pages[0]
    finally:
        context.close()
    # An empty host is a data: or blob: address.
    assert asked - {""} == {"127.0.0.1"}
