"""Isolation first: no test sees the person's HOME, keys, Claude login, git configuration or proxies."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.noon import NOON

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = (
    "tests.support.needs",
    "tests.support.tiers",
    "tests.support.fixtures_board",
    "tests.support.fixtures_claude",
    "tests.support.fixtures_desk",
    "tests.support.fixtures_events",
    "tests.support.fixtures_worlds",
    "tests.support.fault_marks",
)

# A busy machine makes examples slow, which says nothing about the code.
settings.register_profile(
    "thorough",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
# What `./inv test --all` tries a hundred times, `./inv test` tries so often.
settings.register_profile("quick", settings.get_profile("thorough"), max_examples=20)
settings.load_profile("quick")

FOREIGN_PREFIXES = ("HEADLESS_PM_", "API_KEY", "ANTHROPIC_", "CLAUDE", "GIT_", "INVOKE_", "XDG_", "HPM_")
CLOSED_PORT = "http://127.0.0.1:9"


def pytest_configure() -> None:
    """Heed the signals that a background job or nohup ignores, and work at noon: every process under test inherits both."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ["TZ"] = NOON
    time.tzset()


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point everything a program could read or write at the test's own directory; returns its home."""
    for name in list(os.environ):
        if name.startswith(FOREIGN_PREFIXES) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    for name, path in {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
        "HEADLESS_PM_HOME": home / ".headless-pm",
        "CLAUDE_CONFIG_DIR": home / ".claude",
        "TMPDIR": tmp_path / "tmp",
    }.items():
        monkeypatch.setenv(name, str(path))
    home.mkdir(mode=0o700)
    (tmp_path / "tmp").mkdir(mode=0o700)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, CLOSED_PORT)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost,::1")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return home
