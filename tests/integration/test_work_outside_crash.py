"""Work that an agent left outside its place, where its runner is killed before the report, or a script reports."""

from __future__ import annotations

import os
import re

import pytest

from tests.support.runners import Desk, script

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
STASH = "echo stashed > stashed.txt; git stash push -q -u"


def task_of(desk: Desk, *lines: str, complexity: str = "major") -> int:
    acts = {"run": ["sh", "-ec", "\n".join((f"main='{desk.repo}'", *lines))]}
    return int(desk.board.add_task(description=script(acts), complexity=complexity)["id"])


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("point", "complexity"),
    [
        ("working.after", "major"),
        ("removal.renamed", "major"),
        ("committing.after", "minor"),
        ("removal.forgotten", "minor"),
    ],
)
def test_the_next_runner_finds_what_the_killed_one_had_to(desk: Desk, point: str, complexity: str) -> None:
    own = ['git worktree add -q -b own "$main/own"', 'echo far > "$main/own/far.txt"']
    number = task_of(desk, *own, STASH, complexity=complexity)
    log = str(desk.directory / "points")
    desk.hpm(*RUN, HPM_FAILPOINT=f"{point}:kill", HPM_FAILPOINT_LOG=log)
    desk.hpm(*RUN)
    row = desk.board.task(number)
    said = [what in str(row["notes"]) for what in ("stash@{0}", f"{desk.repo}/own", "refs/hpm/salvage/")]
    kept = {desk.git("ls-tree", "--name-only", ref) for ref in desk.git(*SALVAGES).split()}
    left = (desk.git("status", "--porcelain"), len(desk.git("worktree", "list").splitlines()))
    names = {name for listed in kept for name in listed.split()} & {"far.txt", "stashed.txt"}
    everything = ("pending", [True, True, True], {"far.txt", "stashed.txt"}, ("", 1))
    assert (row["status"], said, names, left) == everything, row["notes"]


SALVAGES = ("for-each-ref", "--format=%(refname)", "refs/hpm/salvage")


@pytest.mark.fault("B7")
@pytest.mark.parametrize("given", [False, True])
def test_finish_calls_stashed_work_misplaced_whoever_says_done(desk: Desk, *, given: bool) -> None:
    number = task_of(desk, STASH)
    mine = ("--agent-id", "dev_001")
    desk.board.register("dev_001")
    locked = desk.hpm("lock", *mine, "--task-id", number, "--owner-pid", os.getpid())
    assert locked.returncode == 0, locked.stderr
    desk.hpm("claude.exec", *mine)
    said = '{"kind": "done", "summary": "nothing was to be done", "no_change": true}'
    desk.hpm("finish", *mine, *(("--verdict", "-") if given else ()), stdin=said if given else "")
    row = desk.board.task(number)
    assert (row["status"], "stash@{0}" in str(row["notes"])) == ("pending", True), row["notes"]


@pytest.mark.fault("B7")
def test_what_was_stashed_comes_back_by_the_command_that_the_notes_name(desk: Desk) -> None:
    number = task_of(desk, STASH)
    desk.hpm(*RUN)
    found = re.search(r"kept as (refs/hpm/salvage/\S+)", str(desk.board.task(number)["notes"]))
    ref = found[1] if found else "none"
    restored = desk.hpm("worktree.restore", "--ref", ref, "--to", desk.repo)
    assert (desk.repo / "stashed.txt").exists(), restored.stderr
