"""A pytest plugin that runs the tests of mended faults alone, and writes as JSON how each case ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.catalogue import MARK, REAL

if TYPE_CHECKING:
    import pytest


class Outcomes:
    """``cases``: node id → passed, failed, skipped, or error where the test itself was not come to.

    ``unread``: the files that could not be imported.
    """

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = [item for item in items if not _shows_a_mended_fault(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def _shows_a_mended_fault(item: pytest.Item) -> bool:
    return any(REAL.fullmatch(name) for mark in item.iter_markers(MARK) for name in mark.args)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", help="where to write how each case ended")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(Path(config.getoption("outcomes"))))
