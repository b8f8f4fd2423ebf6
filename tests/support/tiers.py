"""The two tiers of tests: `./inv test` leaves out what is marked ``extended``, `./inv test --all` runs everything.

``--part K/N`` runs the K-th of N parts of what is marked, so that every test has its turn in N runs of CI.
``--not-after SECONDS`` (since the epoch) leaves out what has not begun by then, and says which tests those are.
"""

from __future__ import annotations

import re
import time
import zlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

EXTENDED = "extended"
LEFT_OUT = "left out: it was too late to begin it"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiers")
    group.addoption("--part", metavar="K/N", type=part, help="the K-th of N parts of the extended tests")
    group.addoption("--not-after", metavar="SECONDS", type=float, help="begin no test after this time")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "extended: runs with ./inv test --all only")


def part(text: str) -> tuple[int, int]:
    """``2/5`` → (2, 5); ValueError for anything that is no part of a whole."""
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if found is None or int(found[1]) > int(found[2]):
        raise ValueError(text)
    return int(found[1]), int(found[2])


def belongs(nodeid: str, number: int, count: int) -> bool:
    """Whether the test is in part ``number`` of ``count``: by its name, so that a new test moves no other."""
    return zlib.crc32(nodeid.encode()) % count == number - 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = config.getoption("part")
    if chosen is None:
        return
    kept = [item for item in items if item.get_closest_marker(EXTENDED) and belongs(item.nodeid, *chosen)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    latest = item.config.getoption("not_after")
    if latest is not None and time.time() > latest:
        pytest.skip(LEFT_OUT)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    names = sorted(left_out(terminalreporter.getreports("skipped")))
    if names:
        terminalreporter.section(f"{len(names)} tests were left out: there was no time for them")
        for name in names:
            terminalreporter.line(name)


def left_out(reports: Iterable[pytest.TestReport]) -> set[str]:
    """The ids of the tests that ``--not-after`` left out."""
    return {report.nodeid for report in reports if LEFT_OUT in str(report.longrepr)}
