"""Where a task's work is: notes, lines, events, report, page and notices say the same, and it is true."""

from __future__ import annotations

import html
import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures_desk import events
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
WRITE = {"write": ["a.txt", "hello\n"]}
BLOCKED = {"outcome": {"status": "blocked", "summary": "no access"}}
EMPTY = {"run": ["git", "commit", "-q", "--allow-empty", "-m", "x"]}
CONFLICT = """
echo a >README.md; git stash -q; echo b >README.md; git commit -qam b; git stash pop -q; true
"""


def add(desk: Desk, *acts: Any, complexity: str = "major", **rest: Any) -> int:
    number: int = desk.board.add_task(description=script(*acts, **(rest or BLOCKED)), complexity=complexity)[
        "id"
    ]
    return number


def place_in_notes(desk: Desk, task: int) -> list[str]:
    """The lines of a parked task's notes that say where its work is, without the commit."""
    found = desk.board.task(task)
    assert found["status"] == "pending", found
    newest = found["notes"].rpartition("parked by")[2].splitlines()[1:]
    return [line for line in newest if not line.startswith(("set it to", "commit: ", "- "))]


def shown(desk: Desk, tmp_path: Path) -> dict[str, Any]:
    """What report and its page say of the only parked task."""
    path = tmp_path / "report.html"
    report = json.loads(desk.hpm("report", "--json", "--html", path).stdout)
    (matter,) = (it for it in report["needs_a_person"] if it["kind"] == "parked")
    page = html.unescape(path.read_text(encoding="utf-8"))
    return {
        "hint": re.sub(r"; hpm retry \d+ offers it again$", "", matter["hint"]),
        "page": f'<div class="hint">{matter["hint"]}</div>' in page,
        "branch": report["ended"][-1]["branch"],
    }


@pytest.mark.fault("B6")
@pytest.mark.parametrize(
    ("acts", "words"),
    [
        pytest.param([], "nothing was changed", id="nothing"),
        pytest.param(
            [EMPTY],
            "nothing was changed (1 commit on feature/task-1, which changes no file)",
            id="empty commit",
        ),
    ],
)
def test_branch_without_work_is_named_by_nobody(
    desk: Desk, tmp_path: Path, acts: list[Any], words: str
) -> None:
    task = add(desk, *acts)
    said = desk.hpm(*RUN, "--json").stdout
    (parked,) = events(said, "parked")
    assert {
        "notes": place_in_notes(desk, task)[-1:],
        "line": parked["text"].endswith(f"; {words}"),
        **shown(desk, tmp_path),
    } == {
        "notes": [words],
        "line": True,
        "hint": words,
        "page": True,
        "branch": "" if not acts else "feature/task-1",
    }


@pytest.mark.fault("B6")
def test_commits_are_counted_over_all_takes(desk: Desk, tmp_path: Path) -> None:
    once = {"run": ["sh", "-c", "git add -A; git commit -qm one >/dev/null || :"]}
    task = add(desk, WRITE, once, {"write": ["b.txt", "more\n"]})
    desk.hpm(*RUN)
    desk.board.put(task, "pm1", "created")
    desk.hpm(*RUN)
    words = "its work: 2 commits on feature/task-1"
    assert {"notes": place_in_notes(desk, task), **shown(desk, tmp_path)} == {
        "notes": ["branch: feature/task-1", words],
        "hint": words,
        "page": True,
        "branch": "feature/task-1",
    }


def test_place_with_too_much_is_named_and_its_branch_is_not(desk: Desk, tmp_path: Path) -> None:
    desk.change(worktree={"max_files": 3})
    task = add(desk, {"run": ["touch", "a", "b", "c", "d"]})
    desk.hpm(*RUN)
    words = f"its work: uncommitted files in {desk.repo}/.worktrees/task-{task}"
    assert {"notes": place_in_notes(desk, task), **shown(desk, tmp_path)} == {
        "notes": [words],
        "hint": words,
        "page": True,
        "branch": "",
    }


@pytest.mark.fault("B6")
def test_salvage_of_the_checkout_comes_back_as_printed(desk: Desk, tmp_path: Path) -> None:
    task = add(desk, WRITE, complexity="minor")
    desk.hpm(*RUN)
    ref = desk.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage")
    words = f"its work: uncommitted files kept as {ref} (hpm worktree.restore --ref {ref})"
    done = desk.hpm("worktree.restore", "--ref", ref)
    assert done.returncode == 0, done.stderr
    assert (place_in_notes(desk, task)[-1], shown(desk, tmp_path)["hint"]) == (words, words)


@pytest.mark.fault("B6")
def test_conflicts_that_no_commit_can_hold_are_named_with_their_salvage(desk: Desk) -> None:
    task = add(desk, {"run": ["sh", "-c", CONFLICT]})
    desk.hpm(*RUN)
    words = rf"its work: 1 commit on feature/task-{task}; uncommitted files kept as (refs/hpm/salvage/\S+)"
    found = re.search(words, desk.board.task(task)["notes"])
    # The stash entry, which the conflict left there, has a salvage of its own.
    assert found
    assert "<<<<<<<" in desk.git("show", f"{found[1]}:README.md")


def test_persons_commits_in_the_checkout_are_not_the_tasks(desk: Desk) -> None:
    person = ["env", "-u", "GIT_REFLOG_ACTION", "git", "commit", "-q", "--allow-empty", "-m", "a person's"]
    task = add(desk, WRITE, {"commit": "the agent's"}, {"run": person}, complexity="minor")
    desk.hpm(*RUN)
    assert place_in_notes(desk, task)[-1] == "its work: 1 commit on main"


def test_comment_made_before_a_crash_is_not_made_again_in_other_words(desk: Desk) -> None:
    task = add(desk, WRITE)
    log = str(desk.directory / "points")
    done = desk.hpm(*RUN, HPM_FAILPOINT="park.commented:kill", HPM_FAILPOINT_LOG=log)
    assert done.returncode == -signal.SIGKILL
    desk.git("branch", "-f", "later", f"feature/task-{task}")
    desk.git("worktree", "remove", "-ff", f".worktrees/task-{task}")
    desk.git("branch", "-q", "-D", f"feature/task-{task}")
    desk.hpm(*RUN)
    assert desk.board.task(task)["notes"].count("parked by") == 1


def test_rejected_branch_of_qa_is_no_work_of_qas(desk: Desk) -> None:
    task = add(desk, WRITE, outcome={"status": "done", "summary": "did it"}, as_qa=BLOCKED)
    desk.hpm(*RUN)
    commit = desk.git("rev-parse", f"feature/task-{task}")
    desk.hpm("run", "--role", "qa", "--agent-id", "qa_001", "--single-task")
    assert f"qa looked at {commit[:12]} on feature/task-{task}" in desk.board.task(task)["notes"]
