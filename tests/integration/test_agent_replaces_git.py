"""An agent deletes its own branch, or puts a repository of its own in the place of git's files."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runners import Desk, script

WORK = {"write": ["work.txt", "work\n"]}
UNBORN = {"run": ["sh", "-c", "git update-ref -d $(git symbolic-ref HEAD)"]}
INIT = {
    "run": [
        "sh",
        "-c",
        (
            "rm -rf .git && git init -q . && git config core.fsmonitor ./trap"
            " && printf '#!/bin/sh\\ntouch sprung\\n' | tee trap > .git/hooks/pre-commit"
            " && chmod +x trap .git/hooks/pre-commit"
        ),
    ]
}


def branch_of(desk: Desk, task: dict[str, Any]) -> str:
    return f"feature/task-{task['id']}"


def files_of(desk: Desk, branch: str) -> list[str]:
    """The files of a branch; none if it does not exist."""
    if not desk.git("for-each-ref", "--format=x", branch, f"refs/heads/{branch}"):
        return []
    return desk.git("ls-tree", "-r", "--name-only", branch).splitlines()


@pytest.mark.fault("D4b")
def test_deleted_branch_is_made_again_and_the_work_committed(desk: Desk) -> None:
    task = desk.board.add_task(complexity="major", description=script(WORK, UNBORN))
    done = desk.run_single()
    found = ("work.txt" in files_of(desk, branch_of(desk, task)), desk.board.task(task["id"])["status"])
    assert found == (True, "dev_done"), done.stderr


@pytest.mark.fault("D4b")
def test_branch_deleted_after_a_commit_gets_that_commit_again(desk: Desk) -> None:
    acts = (WORK, {"commit": "the work"}, {"write": ["more.txt", "more\n"]}, UNBORN)
    task = desk.board.add_task(complexity="major", description=script(*acts))
    desk.run_single()
    branch = branch_of(desk, task)
    subjects = desk.git("log", "--format=%s", "--all").splitlines()
    assert ("the work" in subjects, "more.txt" in files_of(desk, branch)) == (True, True)


@pytest.mark.fault("D4b")
def test_branch_whose_name_was_taken_parks_the_task(desk: Desk) -> None:
    taken = {
        "run": ["sh", "-c", "b=$(git symbolic-ref HEAD); git update-ref -d $b; git update-ref $b/x main"]
    }
    task = desk.board.add_task(complexity="major", description=script(WORK, taken))
    desk.run_single()
    salvages = desk.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage/").splitlines()
    assert any("work.txt" in files_of(desk, ref) for ref in salvages)
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"], desk.record()) == ("pending", None, None)


@pytest.mark.fault("D4b")
@pytest.mark.parametrize("acts", [(WORK, INIT), (INIT, WORK, {"commit": "in a repository of its own"})])
def test_own_repository_stays_aside_and_is_never_committed(desk: Desk, acts: tuple[dict[str, Any]]) -> None:
    task = desk.board.add_task(complexity="major", description=script(*acts))
    done = desk.run_single()
    committed = files_of(desk, branch_of(desk, task))
    assert "work.txt" in committed
    aside = list((desk.repo / ".worktrees" / "kept").glob("*/hooks/pre-commit"))
    found = (any("pre-commit" in path for path in committed), len(aside))
    assert found == (False, 1), done.stderr


@pytest.mark.fault("D4b")
def test_branch_deleted_in_the_shared_checkout_is_made_again(desk: Desk) -> None:
    desk.git("checkout", "-q", "-b", "topic")
    task = desk.board.add_task(complexity="minor", description=script(WORK, UNBORN))
    done = desk.run_single()
    assert desk.board.task(task["id"])["locked_by"] is None
    assert "topic" in desk.git("for-each-ref", "--format=%(refname:short)", "refs/heads/").split(), (
        done.stderr
    )


def test_repository_replaced_in_the_shared_checkout_parks_the_task(desk: Desk) -> None:
    task = desk.board.add_task(complexity="minor", description=script(WORK, INIT))
    desk.run_single()
    again = desk.run_single()
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"], desk.record()) == ("pending", None, None), again.stderr
    assert not (desk.repo / "sprung").exists()
