"""The browser that tests and the README's pictures use: the machine's, with a new profile."""

import shutil
from pathlib import Path

from playwright.sync_api import BrowserContext, Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed_browser() -> str | None:
    """Path of chromium or what is the same; None without one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def new_browser(
    playwright: Playwright,
    executable: str,
    user_data: Path,
    *,
    height: int = 900,
    locale: str = "en-US",
) -> BrowserContext:
    """Start a browser, as wide as the pictures in the README."""
    return playwright.chromium.launch_persistent_context(
        user_data,
        executable_path=executable,
        args=_OPTIONS,
        headless=True,
        viewport={"width": 1440, "height": height},
        timezone_id="Asia/Seoul",
        locale=locale,
    )
