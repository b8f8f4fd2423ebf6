"""Agents that a tasks.py declares by `ns.configure` and `fan_out`: `invoke` knows them, as far as it is trusted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import BIN
from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.refusals import Done
    from tests.support.runners import Desk

TASKS = """
from invoke import task
from hpm_tools.tasks import fan_out, ns, run, sessions

@task
def declared(c):
    print(*(one["agent_id"] for one in sessions(c)["sessions"]))

@task
def night(c):
    run(c, session="qa_001", single_task=True)

ns.configure({"hpm": {"sessions": (
    fan_out(role=["backend_dev", "qa"], level="senior") + fan_out(role="pm", executor="command")
)}})
"""


@pytest.fixture
def desk(desk: Desk) -> Desk:
    (desk.repo / "tasks.py").write_text(TASKS, encoding="utf-8")
    return desk


def invoke(desk: Desk, *words: str) -> Done:
    """Plain `invoke` with the repository's own tasks.py."""
    return desk.hpm_as([str(BIN / "invoke")], *words)


def listed(desk: Desk) -> list[str]:
    rows = json.loads(invoke(desk, "sessions", "--json").stdout)["sessions"]
    return [row["agent_id"] for row in rows]


def test_one_of_them_works_a_task_to_its_end(desk: Desk) -> None:
    task = desk.board.add_task(description=script({"write": ["hello.txt", "hello\n"]}), complexity="major")
    done = invoke(desk, "run", "--session", "backend_dev_001", "--single-task")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert invoke(desk, "declared").stdout == "backend_dev_001 qa_001\n"


def test_another_task_starts_one_and_gets_its_exception(desk: Desk) -> None:
    done = invoke(desk, "night")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "qa_001 works as qa (senior)" in done.stdout


def test_one_that_sets_more_needs_trust(desk: Desk) -> None:
    assert listed(desk) == ["backend_dev_001", "qa_001"]
    assert invoke(desk, "trust").returncode == 0
    assert listed(desk) == ["backend_dev_001", "qa_001", "pm_001"]


def test_hpm_reads_no_tasks_file(desk: Desk) -> None:
    assert desk.hpm("sessions").returncode == 3


def test_their_names_are_completed(desk: Desk) -> None:
    offered = invoke(desk, "--complete", "--", "invoke run --session ").stdout.split()
    assert offered == ["backend_dev_001", "qa_001"]
