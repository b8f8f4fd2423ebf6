"""Work that an agent left in the stash, on a branch or in a worktree of its own: found, named, kept, tidied up."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.shell_tasks import salvaged, work

if TYPE_CHECKING:
    from tests.support.runners import Desk

WORK = "the only copy\n"


STASHES = {
    "as reported": ["echo 'the only copy' >> README.md", "git stash -q"],
    "untracked files only": ["echo 'the only copy' > new.txt", "git stash push -q -u -m later"],
    "single paths, on a branch that is gone": [
        "git checkout -q -b aside",
        "echo 'the only copy' >> README.md",
        "git stash push -q -- README.md",
        "git checkout -q feature/task-1",
        "git branch -q -D aside",
    ],
}


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("how", "complexity"),
    [*((how, "major") for how in STASHES), ("as reported", "minor")],
)
def test_what_an_agent_stashed_is_named_and_salvaged(desk: Desk, how: str, complexity: str) -> None:
    status, notes = work(desk, *STASHES[how], complexity=complexity)
    found = (status, "stash@{0}" in notes, WORK.strip() in salvaged(desk))
    assert found == ("pending", True, True), notes


BRANCHED = "echo 'the only copy' > new.txt; git add new.txt; git commit -q -m Work"


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("lines", "complexity"),
    [
        pytest.param(
            ["git checkout -q -b own", BRANCHED, "git checkout -q feature/task-1"], "major", id="as reported"
        ),
        pytest.param(
            ["git checkout -q -b own", BRANCHED, "git checkout -q main"], "minor", id="in the checkout"
        ),
        pytest.param(
            ['git worktree add -q -b own "$main/.worktrees/own"', 'cd "$main/.worktrees/own"', BRANCHED],
            "major",
            id="in a worktree of its own",
        ),
    ],
)
def test_a_branch_on_top_of_the_tasks_own_is_brought_home(
    desk: Desk, lines: list[str], complexity: str
) -> None:
    status, notes = work(desk, *lines, complexity=complexity)
    branch = "feature/task-1" if complexity == "major" else "main"
    there = desk.git("ls-tree", "--name-only", branch, "new.txt")
    found = (status, "own" in notes, there, len(desk.git("worktree", "list").splitlines()))
    assert found == ("dev_done", True, "new.txt", 1), notes


@pytest.mark.fault("B7")
def test_two_branches_of_an_agents_are_named_and_stay(desk: Desk) -> None:
    status, notes = work(
        desk,
        "git checkout -q -b one",
        BRANCHED,
        "git checkout -q -b two feature/task-1",
        "echo second > second.txt; git add second.txt; git commit -q -m Second",
        "git checkout -q feature/task-1",
    )
    assert desk.git("branch", "--list", "--format=%(refname:short)", "one", "two").split() == ["one", "two"]
    assert (status, "the branch one" in notes, "the branch two" in notes) == ("pending", True, True), notes


@pytest.mark.fault("B7")
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_commits_on_a_branch_that_the_agent_deleted_are_kept(desk: Desk, complexity: str) -> None:
    back = "feature/task-1" if complexity == "major" else "main"
    lines = ["git checkout -q -b own", BRANCHED, f"git checkout -q {back}", "git branch -q -D own"]
    status, notes = work(desk, *lines, complexity=complexity)
    desk.git("reflog", "expire", "--expire=now", "--all")
    desk.git("gc", "-q", "--prune=now")
    kept = "new.txt" in desk.git("log", "--all", "--name-only", "--format=")
    assert (status, "on no branch" in notes, kept) == ("pending", True, True), notes


OWN = "echo 'the only copy' > new.txt"


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("where", "complexity"),
    [
        pytest.param('"$main/.claude/worktrees/own" -b own', "major", id="as reported"),
        pytest.param('"$main/.claude/worktrees/own" -b own', "minor", id="in the checkout"),
        pytest.param('"$main/../outside" -b own', "minor", id="outside of the repository"),
        pytest.param("inner -b own", "major", id="below its own place"),
    ],
)
def test_files_in_a_worktree_of_the_agents_are_salvaged_and_it_goes(
    desk: Desk, where: str, complexity: str
) -> None:
    status, notes = work(
        desk, f"set -- {where}", 'git worktree add -q "$@"', 'cd "$1"', OWN, complexity=complexity
    )
    left = (len(desk.git("worktree", "list").splitlines()), desk.git("status", "--porcelain"))
    found = (status, "the worktree " in notes, WORK.strip() in salvaged(desk))
    assert (found, left) == (("pending", True, True), (1, "")), notes


@pytest.mark.fault("B7")
@pytest.mark.parametrize("uncommitted", [False, True])
def test_a_detached_worktree_with_a_commit_is_salvaged_and_goes(desk: Desk, *, uncommitted: bool) -> None:
    lines = ['git worktree add -q --detach "$main/own"', 'cd "$main/own"', BRANCHED]
    status, notes = work(desk, *lines, *(["echo more > more.txt"] if uncommitted else []))
    kept = "new.txt" in desk.git("log", "--name-only", "--format=", "--glob=refs/hpm/salvage/*", "main")
    found = (status, f"{desk.repo}/own" in notes, kept, desk.git("status", "--porcelain"))
    assert found == ("pending", True, True, ""), notes


def test_a_worktree_that_may_be_a_persons_stays_and_is_named(desk: Desk) -> None:
    lines = ['env -u GIT_REFLOG_ACTION git worktree add -q "$main/../theirs"', 'cd "$main/../theirs"', OWN]
    status, notes = work(desk, *lines)
    theirs = desk.repo.parent / "theirs"
    assert (theirs / "new.txt").read_text(encoding="utf-8") == WORK
    assert (status, f"git worktree remove {theirs}" in notes) == ("pending", True), notes


@pytest.mark.fault("B7")
@pytest.mark.parametrize("staged", [False, True])
def test_what_the_operator_had_in_the_checkout_is_given_back(desk: Desk, *, staged: bool) -> None:
    (desk.repo / "README.md").write_text("the operator's\n", encoding="utf-8")
    (desk.repo / "draft.txt").write_text("draft\n", encoding="utf-8")
    if staged:
        desk.git("add", "README.md")
    before = desk.git("status", "--porcelain")
    status, notes = work(desk, 'git -C "$main" stash push -q -u', "echo work > work.txt")
    draft = desk.repo / "draft.txt"
    found = (status, "put back" in notes, draft.exists() and draft.read_text(encoding="utf-8"))
    assert (found, desk.git("status", "--porcelain")) == (("dev_done", True, "draft\n"), before), notes


def test_the_command_that_deletes_the_copy_of_a_stash_that_was_put_back_deletes_no_other(desk: Desk) -> None:
    """It was `git stash drop stash@{0}`: whoever stashed before running it lost that."""
    (desk.repo / "README.md").write_text("the operator's\n", encoding="utf-8")
    _status, notes = work(desk, 'git -C "$main" stash push -q -u', "echo work > work.txt")
    (command,) = re.findall(r"to delete the copy: (.*)", notes)
    desk.git("stash", "push", "-q", "-m", "the operator's own")
    for _ in range(2):
        subprocess.run(command, shell=True, check=True, cwd="/")
    assert desk.git("stash", "list", "--format=%gs") == "On main: the operator's own"


@pytest.mark.fault("B7")
def test_a_stash_of_the_operators_that_cannot_be_given_back_is_named_with_the_command(desk: Desk) -> None:
    (desk.repo / "README.md").write_text("the operator's\n", encoding="utf-8")
    lines = ['git -C "$main" stash push -q', 'echo other > "$main/README.md"', "echo work > work.txt"]
    status, notes = work(desk, *lines)
    assert (desk.repo / "README.md").read_text(encoding="utf-8") == "other\n"
    desk.git("checkout", "-q", "README.md")
    for command in re.findall(r"to get it back: (.*)", notes):
        subprocess.run(command, shell=True, check=True, cwd="/")
    given = (desk.repo / "README.md").read_text(encoding="utf-8")
    assert (status, given) == ("dev_done", "the operator's\n"), notes


@pytest.mark.fault("B7")
def test_files_that_appear_in_the_main_checkout_are_named_and_stay(desk: Desk) -> None:
    (desk.repo / "mine.txt").write_text("mine\n", encoding="utf-8")
    status, notes = work(desk, 'echo own > "$main/own.txt"')
    found = (status, "own.txt" in notes, "mine.txt" in notes, (desk.repo / "own.txt").exists())
    assert found == ("pending", True, False, True), notes


def test_what_is_also_in_the_tasks_place_parks_nothing(desk: Desk) -> None:
    lines = ["echo one > one.txt", "git stash push -q -u", "git stash apply -q"]
    status, notes = work(desk, *lines)
    assert (status, "stash" in notes) == ("dev_done", False), notes
    assert desk.git("show", "feature/task-1:one.txt") == "one"


def test_what_others_make_meanwhile_is_not_the_agents(desk: Desk) -> None:
    """A person's branch and stash in the main checkout; another run's worktree."""
    person = 'env -u GIT_REFLOG_ACTION git -C "$main"'
    lines = [
        f"{person} checkout -q -b persons",
        f'echo p > "$main/p.txt"; {person} add p.txt; {person} commit -q -m P',
        f"{person} checkout -q main",
        f'echo q > "$main/README.md"; {person} stash -q',
        "GIT_REFLOG_ACTION='hpm other' git -C \"$main\" worktree add -q -b others .worktrees/o",
        'echo theirs > "$main/.worktrees/o/theirs.txt"',
    ]
    status, notes = work(desk, *lines)
    assert (status, "persons" in notes, "stash@" in notes, "/o (" in notes) == (
        "pending",
        False,
        False,
        False,
    ), notes
    assert (desk.repo / ".worktrees" / "o" / "theirs.txt").exists()
    assert desk.git("stash", "list") != ""
