"""What agents do now, by their records and their newest events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.dashboard.now import AgentNow, Now, guarded
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.views import all_records
from tests.support.night import Night
from tests.support.processes import bystander

if TYPE_CHECKING:
    from pathlib import Path

    from hpm_tools.events.store import Stored


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path / "state")


def row(night: Night, *events: Stored, asking: tuple[str, ...] = ()) -> AgentNow:
    now = Now()
    for event in events:
        now.take(event)
    views = all_records(night.state)
    (only,) = now.rows(views, guarded(night.state, {view.agent_id for view in views}), asking)
    return only


def told(night: Night, name: str, ago: float = 1.0, **data: Any) -> Stored:
    return night.event(name, time.time() - ago, "dev_001", **data)


def test_a_wait_is_over_when_work_goes_on(night: Night) -> None:
    with bystander() as owner:
        run = night.works("dev_001", owner.pid)
        until = time.time() + 900
        wait = told(night, "limit_wait", run=run, until=until, text="the usage limit is reached")
        calls = told(night, "board_calls", run=None, count=3)
        over = told(night, "limit_over", run=run, seconds=3.0, text="")
        assert row(night, wait).state == "waiting"
        assert row(night, wait).doing == "the usage limit is reached"
        assert row(night, wait, calls).state == "waiting", "the heartbeat goes on while it waits"
        assert row(night, wait, over).state == "working"
        assert row(night, wait, asking=("dev_001",)).state == "asking"


def test_an_idle_runner_is_found_by_its_guard(night: Night) -> None:
    unreachable: dict[str, Any] = {"seconds": 10.0, "text": "the board does not answer"}
    with agent_guard(night.state, "dev_001"):
        assert row(night).state == "idle"
        assert row(night, told(night, "board_unreachable", **unreachable)).state == "waiting"
        assert row(night, told(night, "board_unreachable", ago=600.0, **unreachable)).state == "idle"


def test_what_an_earlier_run_said_is_not_said_of_this_one(night: Night) -> None:
    earlier = told(night, "agent_progress", run="earlier", turns=9, cost_usd=3.0, doing="Edit old.py")
    with bystander() as owner:
        run = night.works("dev_001", owner.pid)
        assert row(night, earlier).doing == ""
        assert row(night, earlier).cost_usd is None
        newer = told(night, "agent_progress", run=run, turns=1, cost_usd=0.1, doing="Read new.py\x1b[31m")
        assert (row(night, earlier, newer).doing, row(night, earlier, newer).turns) == ("Read new.py", 1)
    assert row(night, newer).state == "dead"


def test_a_record_that_cannot_be_read_is_shown(night: Night) -> None:
    path = night.state.record_file("dev_001")
    with open(path, "w", encoding="utf-8") as file:
        file.write("{")
    assert row(night).state == "unreadable"


def test_those_that_need_somebody_come_first(night: Night) -> None:
    with bystander() as owner, bystander() as mortal:
        for agent in ("dev_001", "dev_003"):
            night.works(agent, owner.pid)
        night.works("dev_002", mortal.pid)
        night.works("dev_004", owner.pid)
        views = all_records(night.state)
    with bystander() as owner:
        night.works("dev_005", owner.pid)
        rows = Now().rows([*all_records(night.state)], ["dev_009"], {"dev_005"})
    assert len(views) == 4
    assert [agent.state for agent in rows] == ["dead"] * 4 + ["asking", "idle"]
