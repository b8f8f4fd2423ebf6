"""What stands in the place of a guard and stops runners is a failing line of `health`, with the way out."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk


def hard_link(path: Path) -> None:
    path.with_name("other").write_text("theirs\n", encoding="utf-8")
    os.link(path.with_name("other"), path)


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


PLANTED = [hard_link, dangling_link, os.mkfifo, os.mkdir]


def of_guards(desk: Desk) -> list[dict[str, Any]]:
    lines = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    return [line for line in lines if line["name"] == "guard"]


@pytest.mark.fault("W22")
@pytest.mark.parametrize("plant", PLANTED)
def test_what_stands_in_the_place_of_an_agents_guard_is_named_and_its_hint_mends_it(
    desk: Desk, plant: Any
) -> None:
    assert of_guards(desk) == []
    path = desk.state / "locks" / "agent-dev_001.guard"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    plant(path)
    refused = desk.run_single()
    (line,) = of_guards(desk)
    assert (refused.returncode, line["ok"], line["text"] in refused.stderr) == (78, False, True), (
        refused.stderr
    )
    command = shlex.split(line["hint"].rpartition(": ")[2])
    subprocess.run(command, check=True)
    assert of_guards(desk) == []


@pytest.mark.fault("W22")
def test_a_directory_in_the_place_of_a_tasks_guard_is_named(desk: Desk) -> None:
    (desk.state / "tasks").mkdir(mode=0o700, exist_ok=True)
    path = desk.state / "tasks" / "board-1.guard"
    path.mkdir()
    (line,) = of_guards(desk)
    assert str(path) in line["text"]
