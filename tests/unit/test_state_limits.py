from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.state.limits import LONGEST, Limits
from hpm_tools.state.paths import StateDir


@pytest.fixture
def limits() -> Limits:
    return Limits(StateDir())


def only_file() -> Path:
    directory = Path(StateDir().limits)
    (name,) = os.listdir(directory)
    return directory / name


def test_what_one_runner_learnt_holds_back_every_other(limits: Limits) -> None:
    assert limits.until("default") is None
    resets_at = time.time() + 3600
    limits.hold("default", resets_at, "five_hour")
    assert Limits(StateDir()).until("default") == resets_at
    assert limits.until("another") is None
    assert limits.clear("default")
    assert limits.until("default") is None
    assert not limits.clear("default")


def test_a_window_that_has_opened_holds_nobody(limits: Limits) -> None:
    limits.hold("default", time.time() - 1, "five_hour")
    assert limits.until("default") is None


def test_the_longest_closed_window_counts(limits: Limits) -> None:
    now = time.time()
    limits.hold("default", now + 86_400, "seven_day")
    limits.hold("default", now + 3600, "five_hour")
    assert limits.until("default") == now + 86_400
    assert limits.kinds("default") == {"seven_day": now + 86_400, "five_hour": now + 3600}
    limits.hold("default", now + 60, "seven_day")
    assert limits.until("default") == now + 3600, "the newest sighting of a kind replaces the older"


def test_another_model_familys_window_holds_back_only_its_own(limits: Limits) -> None:
    now = time.time()
    limits.hold("default", now + 86_400, "seven_day_opus")
    assert limits.until("default", model="sonnet") is None
    assert limits.until("default", model="opus") == now + 86_400
    assert limits.until("default") == now + 86_400
    limits.hold("default", now + 60, "five_hour")
    assert limits.until("default", model="sonnet") == now + 60


def test_a_reset_in_the_far_future_is_not_believed(limits: Limits) -> None:
    limits.hold("default", time.time() * 1000, "five_hour")  # milliseconds, taken for seconds
    until = limits.until("default")
    assert until is not None
    assert until <= time.time() + LONGEST
    content = json.loads(only_file().read_text())
    content["windows"]["five_hour"]["seen_at"] -= LONGEST + 1
    only_file().write_text(json.dumps(content))
    assert limits.until("default") is None, "and it ends a week after it was seen"


@pytest.mark.fault("clock-set")
def test_a_sighting_from_before_the_clock_was_set_back_is_not_believed(limits: Limits) -> None:
    limits.hold("default", time.time() + 90_000, "five_hour")
    content = json.loads(only_file().read_text())
    content["windows"]["five_hour"]["seen_at"] += 86_400
    only_file().write_text(json.dumps(content))
    assert limits.until("default") is None


@pytest.mark.parametrize("account", ["../../etc/x", "", "a b\n", "ä" * 500, "UPPER", "upper"])
def test_any_account_name_has_a_file_of_its_own_inside(limits: Limits, account: str) -> None:
    limits.hold(account, time.time() + 60, "five_hour")
    assert only_file().stat().st_mode & 0o777 == 0o600
    assert limits.until(account) is not None
    assert limits.until(account + "x") is None


@settings(deadline=None, max_examples=40)
@given(st.binary())
def test_a_damaged_file_holds_nobody_back_and_can_be_written_again(data: bytes) -> None:
    limits = Limits(StateDir())
    limits.hold("default", time.time() + 60, "five_hour")
    only_file().write_bytes(data)
    assert limits.until("default") is None
    limits.hold("default", time.time() + 60, "five_hour")
    assert limits.until("default") is not None
