"""What some tests need of the machine, and what becomes of them where it is missing.

A test marked ``@pytest.mark.needs("bwrap")`` is skipped where bubblewrap does not work. HPM_REQUIRE names what must
work (comma-separated, as `.ci/run` sets it from `.ci/require`): where one of those is missing, nothing is tested at
all, so that a machine that lost it cannot go on green by skipping.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "HPM_REQUIRE"
PROBE_LIMIT = 120
"""Seconds; a probe is one short program."""


def bundled_claude() -> Path | None:
    """The real Claude CLI that the dev extra claude-agent-sdk brings along."""
    package = find_spec("claude_agent_sdk")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "_bundled" / "claude"
    return path if os.access(path, os.X_OK) else None


def _programs(*names: str) -> Callable[[], str]:
    def probe() -> str:
        missing = [name for name in names if shutil.which(name) is None]
        return f"{' and '.join(missing)} not found on PATH" if missing else ""

    return probe


def _works(*argv: str) -> Callable[[], str]:
    def probe() -> str:
        missing = _programs(argv[0])()
        if missing:
            return missing
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PROBE_LIMIT, check=False)
        return "" if done.returncode == 0 else f"{' '.join(argv)}: {done.stderr.strip()[:200]}"

    return probe


def _sandbox() -> str:
    from hpm_tools.executor import sandbox

    return sandbox.unavailable(os.environ) or ""


PROBES: dict[str, Callable[[], str]] = {
    "root": lambda: "" if os.geteuid() == 0 else "this is not root",
    "unshare": _works("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"),
    "bwrap": _sandbox,
    "zsh": _programs("zsh"),
    "fish": _programs("fish"),
    "claude": lambda: "" if bundled_claude() else "claude-agent-sdk brings no Claude CLI for this machine",
    "chromium": _programs("chromium", "chromedriver"),
}
"""Name → why it does not work here, or ""."""


@cache
def missing(name: str) -> str:
    """Why ``name`` does not work on this machine; "" if it does. KeyError for a name without a probe."""
    return PROBES[name]()


def required() -> list[str]:
    """The names in HPM_REQUIRE."""
    return [name for name in os.environ.get(VARIABLE, "").replace(",", " ").split() if name]


def unmet() -> list[str]:
    """What is required and does not work, each with its reason; a name without a probe is one of them."""
    reasons = {name: missing(name) if name in PROBES else "no test needs it" for name in required()}
    return [f"{name}: {reason}" for name, reason in reasons.items() if reason]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(name): is skipped where this does not work (tests/support/needs.py)"
    )


def pytest_sessionstart() -> None:
    if said := unmet():
        raise pytest.UsageError(f"{VARIABLE} names what does not work here: {'; '.join(said)}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if reason := missing(name):
                pytest.skip(f"NOT TESTED, needs {name}: {reason}")
