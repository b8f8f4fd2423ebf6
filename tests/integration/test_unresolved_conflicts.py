"""A conflict or an operation that was left half done is in no commit: a task that ends so is parked, never reported done."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.runners import Desk

DIVERGE = """
git checkout -q --detach; echo theirs >README.md; git commit -qam theirs; theirs=$(git rev-parse HEAD)
git checkout -q "$branch"; echo ours >README.md; git commit -qam ours
"""
PATCH = 'git diff "$theirs~1" "$theirs" >../patch; git apply -3 ../patch'
SQUASH = 'git merge --squash "$theirs"'
STASH = "echo stashed >README.md; git stash -q; echo b >README.md; git commit -qam b; git stash pop; git stash drop -q"
SWITCH = 'echo mine >README.md; git checkout -q -m "$theirs"; git symbolic-ref HEAD "refs/heads/$branch"'
TWO_PICKS = """
git checkout -q --detach "$theirs"; echo second >second.txt; git add -A; git commit -qm second; last=$(git rev-parse HEAD)
git checkout -q "$branch"; git cherry-pick "$theirs" "$last"
echo both >README.md; git commit -qam "The first of two"
"""


def left(act: str) -> dict[str, Any]:
    """The agent does ``act``, beside which lies a new file, and says done."""
    begin = f"branch=$(git symbolic-ref --short HEAD); {DIVERGE}"
    return {"run": ["sh", "-c", f"{{ {begin}\n{act}\necho beside >beside.txt; }} >/dev/null 2>&1; true"]}


def parked(desk: Desk, complexity: str, act: str) -> str:
    task = desk.board.add_task(description=script(left(act)), complexity=complexity)["id"]
    done = desk.run_single()
    found = desk.board.task(task)
    assert found["status"] == "pending", done.stdout + done.stderr
    return str(found["notes"])


@pytest.mark.fault("W1")
@pytest.mark.parametrize("act", [SQUASH, PATCH, STASH, SWITCH], ids=["squash", "patch", "stash", "switch"])
def test_done_over_a_conflict_in_the_index_alone_is_parked_with_its_salvage(desk: Desk, act: str) -> None:
    notes = parked(desk, "major", act)
    assert "a conflict was left unresolved in 'README.md' while the agent worked" in notes
    (ref,) = set(re.findall(r"uncommitted files kept as (refs/hpm/salvage/\S+)", notes))
    kept = (desk.git("show", f"{ref}:README.md").count("<<<<<<<"), desk.git("show", f"{ref}:beside.txt"))
    assert kept == (1, "beside")


@pytest.mark.fault("W1")
def test_minor_task_that_leaves_a_conflict_is_parked_and_the_checkout_cleaned(desk: Desk) -> None:
    notes = parked(desk, "minor", SQUASH)
    (ref,) = set(re.findall(r"uncommitted files kept as (refs/hpm/salvage/\S+)", notes))
    assert (desk.git("status", "--short"), desk.git("show", f"{ref}:beside.txt")) == ("", "beside")


@pytest.mark.fault("W1")
def test_done_between_two_of_several_picks_is_parked(desk: Desk) -> None:
    assert "a cherry-pick or revert was left unfinished" in parked(desk, "major", TWO_PICKS)


@pytest.mark.fault("W1")
def test_work_by_hand_that_ends_in_a_conflict_is_parked(desk: Desk) -> None:
    agent = ("--agent-id", "dev_001")
    task = desk.board.add_task(description="By hand", complexity="major")["id"]
    for command in (("lock", *agent, "--task-id", task, "--role", "backend_dev"), ("worktree.add", *agent)):
        done = desk.hpm(*command)
        assert done.returncode == 0, done.stderr
    place = desk.repo / ".worktrees" / f"task-{task}"
    program = left(SQUASH)["run"][2]
    subprocess.run(["sh", "-c", program], cwd=place, env=desk.environment, check=True)
    done = desk.hpm("finish", *agent, "--verdict", "-", stdin='{"kind": "done", "summary": "did it"}')
    assert (done.returncode, desk.board.task(task)["status"]) == (1, "pending"), done.stdout + done.stderr
