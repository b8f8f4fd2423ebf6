"""`python -m tests.screenshots`: the pictures in docs/images, taken of a made-up night by a real browser."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hpm_tools.state.guard import agent_guard
from hpm_tools.state.prompts import ask
from tests.support import browser
from tests.support.board_process import running_board
from tests.support.dashboards import dashboard
from tests.support.needs import missing
from tests.support.night import TITLES, Night
from tests.support.processes import bystander
from tests.support.repos import make_repo
from tests.support.runners import Desk
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from tests.support.board_process import BoardUnderTest

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTH = 1240
AGENTS = 6
HOURS = 20.0


class Scene(Desk):
    """A desk whose repository lies where README puts it, so that no picture shows a path of this machine."""

    def __init__(self, directory: Path, board: BoardUnderTest) -> None:
        repo = directory / "desk" / "desk-home" / "agents" / "project"
        super().__init__(directory / "desk", board, repo)
        make_repo(repo)
        self.configure(executor="command", executor_command=["true"])


def take(directory: Path) -> None:
    """Set the scene below ``directory`` and write both pictures."""
    os.environ.update(HOME=str(directory), TMPDIR=str(directory), HEADLESS_PM_HOME=str(directory / "none"))
    with ExitStack() as open_until_the_end:
        enter = open_until_the_end.enter_context
        desk = Scene(directory, enter(running_board(directory)))
        night = Night(desk.state, seed=11)
        night.fill(AGENTS, HOURS)
        owner, dead = enter(bystander()), bystander()
        numbers = {}
        for number in (1, 2, 3, 6):
            night.works(f"dev_{number:03}", owner.pid)
            numbers[number] = night.tasks
        night.works("qa_004", owner.pid)
        with dead as mortal:
            night.works("dev_005", mortal.pid, ago=5400)
        enter(agent_guard(night.state, "dev_002"))
        ask(
            night.state,
            "dev_002",
            run_id="",
            task_id=numbers[2],
            task_title="",
            question="the pre_task hook failed: npm ci found no lock file. What now?",
            choices=("retry", "skip", "release", "stop"),
            default_choice="release",
        )
        for title in TITLES[:5]:
            desk.board.add_task(title=title, difficulty="senior", complexity="major")
        desk.git("remote", "add", "origin", "git@github.com:you/project.git")
        driver = enter(browser.chromium(directory / "chromium", width=WIDTH, height=1000))
        shown = enter(dashboard(desk, "--repo", desk.repo))
        driver.get(shown.url)
        ready = "return document.querySelector('#link').innerText === 'live' && !!document.querySelector('#health td')"
        wait_until(lambda: driver.execute_script(ready), what="the page")
        wait_until(
            lambda: driver.execute_script("return !!document.querySelector('#queue td')"), what="the queue"
        )
        browser.prefer(driver, "dark")
        picture(driver, "dashboard.png", 1010)
        report = directory / "report.html"
        done = desk.hpm("report", "--since", "24h", "--html", report, "--repo", desk.repo)
        assert done.returncode == 0, done.stderr
        driver.get(report.as_uri())
        browser.prefer(driver, "light")
        picture(driver, "report.png", 1000)


def picture(driver: Chrome, name: str, height: int) -> None:
    browser.resize(driver, WIDTH, height)
    IMAGES.mkdir(exist_ok=True)
    driver.save_screenshot(str(IMAGES / name))


if __name__ == "__main__":
    absent = missing("chromium")
    if absent:
        sys.exit(f"{absent}; install {', '.join(browser.PACKAGES)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        take(Path(made))
