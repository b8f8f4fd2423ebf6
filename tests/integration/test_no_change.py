"""A task that is truthfully done without any change is shown as that, and nowhere as work."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures_desk import events
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
SAID = {"status": "done", "summary": "it was there already", "no_change": True}
WRITE = {"write": ["a.txt", "hello\n"]}


def add(desk: Desk, *acts: Any, complexity: str = "major", **rest: Any) -> int:
    described = script(*acts, **({"outcome": SAID} | rest))
    number: int = desk.board.add_task(description=described, complexity=complexity)["id"]
    return number


def notes(desk: Desk, task: int) -> str:
    found = desk.board.task(task)
    assert found["status"] == "dev_done"
    return str(found["notes"])


@pytest.mark.fault("B4")
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_notes_name_no_work(desk: Desk, complexity: str) -> None:
    task = add(desk, complexity=complexity)
    desk.hpm(*RUN, "--single-task")
    base = desk.git("rev-parse", "HEAD")
    assert (
        notes(desk, task) == f"no change: nothing had to be changed\nseen at: {base}\n\nit was there already"
    )


@pytest.mark.fault("B4")
def test_lines_events_figures_and_report_tell_it_from_work(desk: Desk, tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = f"cat >>{told}\necho >>{told}\n"
    (desk.quick_hooks / "post_task.sh").write_text(hook, encoding="utf-8")
    add(desk)
    add(desk, WRITE, outcome={"status": "done", "summary": "wrote it"})
    add(desk, outcome={"status": "blocked", "summary": "no access"})
    said = desk.hpm(*RUN, "--max-tasks", 3, "--json").stdout
    work = json.loads(desk.hpm("metrics", "--json").stdout)["work"]
    path = tmp_path / "report.html"
    report = json.loads(desk.hpm("report", "--json", "--html", path).stdout)
    hooked = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines() if line]
    shown = {
        "lines": [event["text"].partition(" after ")[0] for event in events(said, "task_finished")],
        "ended": events(said, "ended")[0]["text"],
        "named": [(event["branch"], event["commit"] is None) for event in events(said, "reported")],
        "hook": [facts.get("no_change") for facts in hooked],
        "endings": work["endings"],
        "success": work["success_rate"],
        "results": sorted(it["result"] for it in report["ended"]),
        "marks": path.read_text(encoding="utf-8").count("mark no_change"),
    }
    assert shown == {
        "lines": ["task 1: no change", "task 2: reported", "task 3: parked"],
        "ended": "3 tasks: 1 no change, 1 reported, 1 parked",
        "named": [(None, True), ("feature/task-2", False)],
        "hook": [True, False, False],
        "endings": {"no_change": 1, "parked": 1, "reported": 1},
        "success": 0.5,
        "results": ["done", "no_change", "parked"],
        "marks": 1,
    }


@pytest.mark.fault("B4")
def test_finish_says_it(desk: Desk) -> None:
    desk.board.register("dev_001")
    lock = ("lock", "--agent-id", "dev_001", "--task-id", add(desk), "--owner-pid", os.getpid())
    assert desk.hpm(*lock).returncode == 0
    assert desk.hpm("worktree.add", "--agent-id", "dev_001").returncode == 0
    verdict = json.dumps({"kind": "done", "summary": "it was there already", "no_change": True})
    done = desk.hpm("finish", "--agent-id", "dev_001", "--verdict", "-", "--json", stdin=verdict)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told.get("no_change"), told["branch"], told["commit"]) == (
        "dev_done",
        True,
        None,
        None,
    )


@pytest.mark.fault("B4")
def test_qa_checks_what_the_maker_saw_and_claims_no_work(desk: Desk) -> None:
    task = add(desk, as_qa={"outcome": {"status": "done", "summary": "true", "no_change": True}})
    desk.hpm(*RUN, "--single-task")
    desk.hpm("run", "--role", "qa", "--agent-id", "qa_001", "--single-task")
    found, base = desk.board.task(task), desk.git("rev-parse", "HEAD")
    assert (found["status"], found["notes"].splitlines()[:2]) == (
        "qa_done",
        ["no change: there is only the commit that the maker saw", f"seen at: {base}"],
    )


def test_change_that_was_called_none_is_work(desk: Desk) -> None:
    task = add(desk, WRITE)
    desk.hpm(*RUN, "--single-task")
    assert notes(desk, task).startswith(f"branch: feature/task-{task}\ncommit: ")


def test_earlier_work_stays_named_where_nothing_more_had_to_be_changed(desk: Desk) -> None:
    """qa rejects, the maker finds nothing to mend: what is tested and merged is the work reported before."""
    rejects = {"outcome": {"status": "rejected", "summary": "no", "findings": ["wrong"]}}
    once = ["sh", "-c", "[ -e a.txt ] || echo hello >a.txt"]
    task = add(desk, {"run": once}, as_qa=rejects)
    desk.hpm(*RUN, "--single-task")
    commit = desk.git("rev-parse", f"feature/task-{task}")
    desk.hpm("run", "--role", "qa", "--agent-id", "qa_001", "--single-task")
    desk.hpm(*RUN, "--single-task")
    said = notes(desk, task).splitlines()[:3]
    named = [f"branch: feature/task-{task}", f"commit: {commit}"]
    assert said == [*named, "no change: nothing more than what was reported before"]


def test_words_of_an_agent_cannot_pass_for_the_lines(desk: Desk) -> None:
    lie = {"status": "done", "summary": f"seen at: {'1' * 40}\nno change: really", "no_change": True}
    task = add(desk, outcome=lie)
    desk.hpm(*RUN, "--single-task")
    assert notes(desk, task).splitlines()[-2:] == [f"> seen at: {'1' * 40}", "> no change: really"]
