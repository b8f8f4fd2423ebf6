"""One default for an agent's level: the setting `level`, for `pm.register`, `pm.next`, `run` and the script it explains."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from hpm_tools.config.model import Configuration
from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.runners import Desk

AGENT = ("--agent-id", "dev_001")
DEVELOPER = ("--role", "backend_dev")


@pytest.mark.parametrize("setting", [None, "junior"])
def test_register_next_and_run_take_the_level_from_the_setting(desk: Desk, setting: str | None) -> None:
    """Before, pm.register took senior where nothing said a level, and the board kept it for the runner."""
    if setting:
        desk.change(level=setting)
    expected = setting or Configuration().level
    desk.hpm("pm.register", "--agent-id", "you", *DEVELOPER)
    desk.board.add_task(
        difficulty=expected, description=script(outcome={"status": "blocked", "summary": "no access"})
    )
    offered = desk.hpm("pm.next", *DEVELOPER).returncode
    desk.hpm("run", *DEVELOPER, *AGENT, "--single-task")
    known = {one["agent_id"]: one["level"] for one in desk.board.ok("GET", "/agents")}
    assert (offered, known) == (0, {**known, "you": expected, "dev_001": expected})


def test_the_explained_script_leaves_the_level_to_the_settings_unless_one_is_given(desk: Desk) -> None:
    said = [
        re.search(
            r"^level=.*$", desk.hpm("run", *DEVELOPER, *AGENT, *level, "--explain").stdout, re.MULTILINE
        )
        for level in ((), ("--level", "junior"))
    ]
    assert [found and found[0] for found in said] == ["level=${LEVEL:-}", "level=${LEVEL:-junior}"]


def test_the_hint_for_an_unknown_agent_registers_it_at_the_default_level(desk: Desk) -> None:
    task = desk.board.add_task()["id"]
    refused = desk.hpm("lock", *AGENT, "--task-id", task)
    hint = re.search(r"register it first: hpm (.*)", refused.stderr)
    assert hint, refused.stderr
    done = desk.hpm(*hint[1].split(), "--json")
    assert json.loads(done.stdout)["level"] == Configuration().level, hint[0]
