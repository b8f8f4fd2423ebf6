"""A pytest plugin that writes how each case ended, and what could not be imported, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class Outcomes:
    """``cases``: node id → passed, failed, skipped, or error where the test itself was not come to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cases: dict[str, str] = {}
        self.unread: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.unread.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.skipped:
            self.cases[report.nodeid] = report.outcome
        elif report.failed and report.when == "setup":
            self.cases[report.nodeid] = "error"

    def pytest_sessionfinish(self) -> None:
        found = {"cases": self.cases, "unread": self.unread}
        self.path.write_text(json.dumps(found), encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", help="where to write how each case ended")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(Path(config.getoption("outcomes"))))
