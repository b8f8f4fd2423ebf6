"""Settings and words of time that count as they are said: the variables of an agent, and days without a midnight."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.runners import Desk


@pytest.mark.fault("F11")
def test_pm_next_heeds_the_agents_level(desk: Desk) -> None:
    desk.board.add_task(difficulty="principal")
    answers = [
        desk.hpm("pm.next", "--role", "backend_dev", HEADLESS_PM_LEVEL=level).returncode
        for level in ("principal", "junior")
    ]
    assert answers == [0, 3]


@pytest.mark.fault("F11")
def test_pm_next_and_pm_register_heed_the_agents_role_and_the_operators_file(desk: Desk) -> None:
    desk.board.add_task(difficulty="senior")
    desk.change(level="junior")
    offered = desk.hpm("pm.next", HEADLESS_PM_ROLE="backend_dev").returncode
    desk.hpm("pm.register", "--agent-id", "dev_007", HEADLESS_PM_ROLE="backend_dev")
    desk.hpm("pm.register", "--agent-id", "dev_008", "--role", "qa", "--level", "principal")
    known = {one["agent_id"]: (one["role"], one["level"]) for one in desk.board.ok("GET", "/agents")}
    flag = desk.hpm("pm.next", "--role", "backend_dev", "--level", "senior").returncode
    assert (offered, flag, known.get("dev_007"), known.get("dev_008")) == (
        3,
        0,
        ("backend_dev", "junior"),
        ("qa", "principal"),
    )


def without_midnight(hours_ago: int) -> tuple[str, float, str]:
    """A zone whose clocks went from 0:00 to 1:00 that many full hours ago; when that was, and the day it began there.

    As a value of TZ (POSIX.1-2017, 8.3). Chile, Cuba, Egypt, Lebanon and Paraguay have had such days.
    """
    now = int(time.time())
    change = now - now % 3600 - hours_ago * 3600
    hour = time.gmtime(change).tm_hour
    west = hour if hour < 12 else hour - 24
    day = time.gmtime(change - west * 3600)
    start, end = day.tm_yday - 1, (day.tm_yday + 180) % 365
    return f"HPMX{west:+d}HPMY{west - 1:+d},{start}/0,{end}/0", float(change), time.strftime("%Y-%m-%d", day)


@pytest.mark.fault("F11")
@pytest.mark.parametrize(
    ("word", "hours"), [("today", 3), ("yesterday", 27), ("{day}T00:00", 3), ("{day}T00:30", 50)]
)
def test_a_day_without_a_midnight_begins_with_its_first_instant(desk: Desk, word: str, hours: int) -> None:
    zone, first, day = without_midnight(hours)
    said = desk.hpm("metrics", "--since", word.format(day=day), "--json", TZ=zone)
    assert json.loads(said.stdout)["since"] == first
