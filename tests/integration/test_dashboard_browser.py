"""The page in a real browser: live, by keyboard, narrow, in both colour schemes, with many agents."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from hpm_tools.state.guard import agent_guard
from hpm_tools.state.prompts import all_waiting, ask
from tests.support import browser
from tests.support.dashboards import dashboard
from tests.support.night import Night
from tests.support.processes import bystander
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

    from tests.support.dashboards import DashboardUnderTest
    from tests.support.runners import Desk

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.extended]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def night(desk: Desk) -> Night:
    return Night(desk.state)


@pytest.fixture
def shown(desk: Desk, night: Night) -> Iterator[DashboardUnderTest]:
    with dashboard(desk) as running:
        yield running


def open_live(driver: Chrome, shown: DashboardUnderTest) -> None:
    browser.resize(driver, 1280, 900)
    driver.get("about:blank")  # the page of an earlier test may still miss its server
    browser.complaints(driver)
    driver.get(shown.url)
    wait_until(lambda: text(driver, "#link") == "live", what="the stream")


def text(driver: Chrome, selector: str) -> str:
    """What is read there now; the page may change between two looks."""
    return str(
        driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    )


def script(driver: Chrome, expression: str) -> Any:
    return driver.execute_script(f"return {expression}")


def seen(driver: Chrome, selector: str, words: str) -> None:
    wait_until(lambda: words in text(driver, selector), what=f"{words!r} in {selector}")


def no_complaints(driver: Chrome) -> None:
    """Nothing failed, and the policy had nothing to refuse."""
    assert browser.complaints(driver) == []


def test_an_open_page_follows_what_happens(driver: Chrome, night: Night, shown: DashboardUnderTest) -> None:
    open_live(driver, shown)
    assert "token=" not in driver.current_url
    seen(driver, "#agents", "No agent is at work")
    driver.execute_script("window.kept = document.querySelector('#agents h2')")
    with bystander() as owner:
        run = night.works("dev_001", owner.pid, title="Say hello <b>now</b>")
        seen(driver, "#agent-dev_001", "Say hello <b>now</b>")
        night.progress("dev_001", run, turns=7, cost_usd=1.25, doing="Edit hello.py", task=101)
        seen(driver, "#agent-dev_001", "Edit hello.py")
        assert "$1.25" in text(driver, "#agent-dev_001")
        before = text(driver, "#agent-dev_001 time")
        wait_until(lambda: text(driver, "#agent-dev_001 time") != before, what="a clock that runs")
        night.write(list(night.task("dev_002", "backend_dev", time.time() - 60, 59.0, "done")))
        seen(driver, "#outcomes", "dev_002")
        seen(driver, "#figures", "100%")
    seen(driver, "#agent-dev_001", "dead")
    seen(driver, "#person", "dev_001 died")
    assert script(driver, "window.kept.isConnected"), "what stays is kept"
    no_complaints(driver)


def test_a_question_is_answered_by_keyboard(driver: Chrome, night: Night, shown: DashboardUnderTest) -> None:
    open_live(driver, shown)
    with agent_guard(night.state, "dev_001"):
        ask(
            night.state,
            "dev_001",
            run_id="r",
            task_id=7,
            task_title="Say hello",
            question="the pre_task hook failed: what now?",
            choices=("retry", "skip", "release"),
            default_choice="release",
        )
        seen(driver, "#person", "what now?")
        assert driver.title == "(1) hpm"
        for _ in range(30):
            driver.switch_to.active_element.send_keys(Keys.TAB)
            if driver.switch_to.active_element.text == "retry":
                break
        assert driver.switch_to.active_element.text == "retry"
        night.write([night.event("started", time.time(), "dev_009", role="qa", text="")])
        driver.switch_to.active_element.send_keys(Keys.ENTER)
        wait_until(lambda: all_waiting(night.state) == [], what="the answer")
        seen(driver, ".said", "Answered")
    no_complaints(driver)


def test_focus_and_open_details_survive_a_change(
    driver: Chrome, desk: Desk, night: Night, shown: DashboardUnderTest
) -> None:
    for _ in range(9):
        night.tasks = desk.board.add_task("pending")["id"] - 1
        night.write(list(night.task("dev_002", "backend_dev", time.time() - 60, 59.0, "parked")))
    open_live(driver, shown)
    seen(driver, "#more-matters", "more")
    driver.find_element(By.CSS_SELECTOR, "#more-matters summary").click()
    driver.execute_script("document.querySelector('#more-matters summary').focus()")
    night.tasks = desk.board.add_task("pending", title="The tenth")["id"] - 1
    night.write(list(night.task("dev_003", "backend_dev", time.time() - 60, 59.0, "parked")))
    seen(driver, "#outcomes", "dev_003")
    assert script(driver, "document.querySelector('#more-matters').open")
    assert script(driver, "document.activeElement.tagName") == "SUMMARY"


def test_the_connection_is_told_and_comes_back(driver: Chrome, desk: Desk, night: Night) -> None:
    with dashboard(desk) as running:
        open_live(driver, running)
    wait_until(lambda: text(driver, "#link") == "no connection", what="the loss of the stream")
    browser.complaints(driver)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_fifty_agents_fit(
    driver: Chrome, night: Night, shown: DashboardUnderTest, width: int, scheme: str
) -> None:
    night.fill(agents=6, hours=5)
    with bystander() as owner:
        for number in range(50):
            night.works(f"dev_{number:03}", owner.pid, title="A title that is rather long " * 4)
        open_live(driver, shown)
        browser.prefer(driver, scheme)
        browser.resize(driver, width, 900)
        wait_until(lambda: script(driver, "document.querySelectorAll('#agents tbody tr').length") == 50)
        assert script(driver, "document.documentElement.scrollWidth") <= width
        ink, page = (
            script(driver, f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
        )
        assert contrast(ink, page) > 7
        overlong = "[...document.querySelectorAll('td, dd, figure')].filter(it => it.getBoundingClientRect().right > innerWidth + 1).length"
        assert script(driver, overlong) == 0
    no_complaints(driver)


def contrast(first: str, second: str) -> float:
    """The contrast of two colours like ``rgb(1, 2, 3)``, as WCAG counts it."""
    lights = sorted(_light(colour) for colour in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_without_script_it_is_a_page_too(driver: Chrome, night: Night, shown: DashboardUnderTest) -> None:
    night.fill(agents=2, hours=2)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(shown.url)
        body = driver.find_element(By.TAG_NAME, "body").text
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "Finished" in body
    assert "dev_001" in body
