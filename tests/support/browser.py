"""A real headless Chromium for tests and for the screenshots of README, driven by selenium."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("chromium", "chromium-driver")
"""Where Debian has them."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--proxy-server=direct://",
)


@contextmanager
def chromium(profile: Path, *, width: int = 1280, height: int = 900, scale: float = 1.0) -> Iterator[Chrome]:
    """A browser with the new profile directory ``profile``; it ends with the block."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--force-device-scale-factor={scale}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        resize(driver, width, height)
        yield driver
    finally:
        driver.quit()


def resize(driver: Chrome, width: int, height: int) -> None:
    """Make the visible page exactly so large: windows below 500 px are not to be had."""
    size = {"width": width, "height": height, "deviceScaleFactor": 0, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def prefer(driver: Chrome, scheme: str) -> None:
    """Ask for the ``light`` or ``dark`` look."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def complaints(driver: Chrome) -> list[str]:
    """What the browser's console has said since the last look: errors, and what the policy refused."""
    entries = driver.execute("getLog", {"type": "browser"})["value"]
    return [f"{entry['level']}: {entry['message']}" for entry in entries]
