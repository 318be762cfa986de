"""The morning page in a browser, as an operator woken at night has it: on a phone and on a desk."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.browser.chromium import new_browser
from batch_platform_tests.morning_world import (
    CAUSE,
    MorningWorld,
    let_chats_fail,
    let_stocks_run,
    morning_world,
)

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
PAGES = ("/", "/quarantine", "/costs", "/nowhere")


class Visitor:
    """A signed-in person's browser, and whatever went wrong in it."""

    def __init__(self, context: BrowserContext, world: MorningWorld) -> None:
        self.context = context
        self.page: Page = context.pages[0]
        self.world = world
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        context.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: (
                self.complaints.append(said.text)
                # Chromium says so of every answer of 400 and above, the asked-for /nowhere too.
                if said.type in {"error", "warning"} and "status of 404" not in said.text
                else None
            ),
        )

    def sign_in(self) -> None:
        self.page.goto(self.world.api.url)
        self.page.get_by_label("API 토큰").fill(self.world.api.tokens.create("kim", Scope.OPERATOR))
        self.page.get_by_role("button", name="로그인").click()
        expect(self.page.get_by_role("heading", level=1)).to_contain_text("채팅 분류 실패")

    def open(self, path: str, size: dict[str, int], scheme: str = "light") -> None:
        self.page.set_viewport_size(size)  # type: ignore[arg-type]
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        self.page.goto(f"{self.world.api.url}{path}")

    def serious_violations(self) -> list[str]:
        """What axe finds that keeps somebody from using the page."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']} ({each['impact']}): {[node['html'] for node in each['nodes'][:3]]}"
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]


@pytest.fixture
def visitor(
    platform_db: PlatformDb,
    dagster_db: PlatformDb,
    playwright: Playwright,
    chromium: str,
    tmp_path: Path,
) -> Iterator[Visitor]:
    with morning_world(platform_db, dagster_db, home=str(tmp_path)) as world:
        let_chats_fail(world)
        let_stocks_run(world)
        context = new_browser(playwright, chromium, tmp_path / "browser", locale="ko-KR")
        try:
            visitor = Visitor(context, world)
            visitor.sign_in()
            yield visitor
        finally:
            context.close()
        assert visitor.hosts == {urlsplit(world.api.url).netloc}
        assert visitor.complaints == []


def test_it_reads_right_on_a_phone_and_on_a_desk(visitor: Visitor) -> None:
    for size in (PHONE, DESK):
        visitor.open("/", size)
        page = visitor.page
        box = {
            name: page.get_by_text(text).first.bounding_box()
            for name, text in (("cause", CAUSE), ("night", "지난 밤"))
        }
        button = page.get_by_role("button", name="다시 실행").bounding_box()
        cause = box["cause"]
        assert button is not None
        assert cause is not None
        # What is wrong and what to press are there without scrolling, and a thumb finds the button.
        assert button["y"] + button["height"] < size["height"]
        assert button["height"] >= 44
        assert cause["y"] < button["y"] + button["height"]
        for path in PAGES:
            visitor.open(path, size)
            overflow = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert (path, overflow) == (path, 0)


def test_axe_finds_nothing_serious_in_light_and_dark(visitor: Visitor) -> None:
    for scheme in ("light", "dark"):
        for path in PAGES:
            visitor.open(path, PHONE, scheme)
            assert (scheme, path, visitor.serious_violations()) == (scheme, path, [])
    visitor.context.clear_cookies()
    visitor.open("/login", PHONE)
    assert visitor.serious_violations() == []


def test_one_press_runs_it_again_and_the_page_follows(visitor: Visitor) -> None:
    world, page = visitor.world, visitor.page
    page.get_by_role("button", name="chats_night_job 2026-11-20 다시 실행").click()
    expect(page.get_by_role("status")).to_contain_text("실행을 요청했습니다")
    expect(page.get_by_text("다시 실행하는 중")).to_be_visible()
    assert world.api.db.fetch_all(
        "SELECT job, partition, status, requested_by FROM operations.occurrences"
    ) == [("chats_night_job", "2026-11-20", "due", "kim")]
    # The run is made and its trouble over: the page, open all the while, says so by itself.
    (incident,) = world.incidents.open_incidents()
    at = incident.opened_at
    world.nights.run("chats_night_job", "chats", "2026-11-20", at)
    world.incidents.recover(incident.incident_id, at)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("지금 일하는 중입니다", timeout=15_000)
    expect(page.get_by_role("heading", name="열린 장애")).to_have_count(0)


def test_the_keyboard_alone_is_enough(visitor: Visitor) -> None:
    visitor.open("/", DESK)
    page = visitor.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="본문으로")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "다시 실행":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("다시 실행하는 중")).to_be_visible()
