"""The operator's stash, which an agent can empty: each entry stays, and the command that is told brings it back."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

MESSAGES = ("oldest", 'it\'s $HOME; `odd` "one"', "third %d", "newest")
RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")
WRITE = {"write": ["work.txt", "work"]}


@pytest.fixture
def repo(repo: Repo) -> Repo:
    for number, message in enumerate(MESSAGES):
        repo.write({"a.txt": f"draft {number}\n", f"new{number}.txt": "never committed\n"})
        repo.git("stash", "push", "-q", "-u", "-m", message)
    return repo


def put_back(desk: Desk, output: str) -> None:
    """Run, as printed, the commands that the runner told."""
    for command in sorted(set(re.findall(r"to put back what was lost: (.*)$", output, re.MULTILINE))):
        subprocess.run(["sh", "-c", command], cwd=desk.repo, check=True)


def entries(desk: Desk) -> list[str]:
    return desk.git("stash", "list", "--format=%H %gs").splitlines()


def files(desk: Desk, entry: str) -> list[str]:
    oid = entry.partition(" ")[0]
    return [desk.git("show", f"{oid}^3:a.txt"), desk.git("ls-tree", "--name-only", f"{oid}^3")]


@pytest.mark.fault("C5")
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_what_an_agent_clears_from_the_stash_comes_back_as_told(complexity: str, desk: Desk) -> None:
    before = entries(desk)
    held = [files(desk, entry) for entry in before]
    clear = {"run": ["git", "stash", "clear"]}
    desk.board.add_task(description=script(clear, WRITE), complexity=complexity)
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    desk.git("gc", "-q", "--prune=now")
    put_back(desk, done.stdout)
    assert (entries(desk), [files(desk, entry) for entry in entries(desk)]) == (before, held)


@pytest.mark.fault("C5")
def test_older_entries_that_an_agent_drops_are_kept_beside_its_own(desk: Desk) -> None:
    before = entries(desk)
    acts = (
        {"run": ["git", "stash", "drop", "-q", "stash@{2}"]},
        {"run": ["git", "reflog", "delete", "--updateref", "--rewrite", "stash@{0}"]},
        {"write": ["draft.txt", "the agent's"]},
        {"run": ["git", "stash", "push", "-q", "-u", "-m", "the agent's"]},
        {"run": ["git", "stash", "drop", "-q", "stash@{1}"]},
        WRITE,
    )
    desk.board.add_task(description=script(*acts), complexity="major")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    desk.git("gc", "-q", "--prune=now")
    put_back(desk, done.stdout)
    assert {entry.split(" ")[0] for entry in before} <= {entry.split(" ")[0] for entry in entries(desk)}


@pytest.mark.fault("C5")
def test_entries_of_a_stash_whose_reflog_was_deleted_stay_reachable(desk: Desk) -> None:
    before = {entry.split(" ")[0] for entry in entries(desk)}
    acts = ({"run": ["sh", "-c", 'rm "$(git rev-parse --git-common-dir)/logs/refs/stash"']}, WRITE)
    desk.board.add_task(description=script(*acts), complexity="major")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    reachable = set(desk.git("rev-list", "--all").split())
    assert before <= reachable


PRUNE = "git prune --expire=now"


@pytest.mark.fault("C5")
@pytest.mark.parametrize(
    ("complexity", "how"),
    [
        ("major", f"git stash clear; {PRUNE}"),
        ("minor", f"git reflog expire --expire=now --all; {PRUNE}"),
        ("major", f"git update-ref -d refs/stash; git repack -adq; {PRUNE}"),
    ],
    ids=["cleared", "expired", "deleted"],
)
def test_entries_that_an_agent_drops_and_prunes_come_back_as_told(
    desk: Desk, complexity: str, how: str
) -> None:
    before = {entry.split(" ")[0] for entry in entries(desk)}
    desk.board.add_task(description=script({"run": ["sh", "-c", how]}, WRITE), complexity=complexity)
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    put_back(desk, done.stdout)
    assert {entry.split(" ")[0] for entry in entries(desk)} == before, done.stdout


def test_stash_that_no_agent_touches_is_kept_by_no_other_ref(desk: Desk) -> None:
    desk.board.add_task(description=script(WRITE), complexity="major")
    assert desk.run_single().returncode == 0
    assert desk.git("for-each-ref", "refs/hpm/before") == ""


@pytest.mark.fault("C5")
def test_entries_stay_kept_when_a_person_prunes_while_the_agent_works(desk: Desk, tmp_path: Path) -> None:
    before = {entry.split(" ")[0] for entry in entries(desk)}
    started, go = tmp_path / "started", tmp_path / "go"
    clear = {"run": ["sh", "-c", f"git stash clear; {PRUNE}"]}
    acts = ({"run": ["touch", str(started)]}, {"wait_for": str(go)}, clear, WRITE)
    desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(started.exists, what="the agent")
        desk.hpm("worktree.prune")
        go.touch()
        runner.wait()
        put_back(desk, runner.output())
    assert {entry.split(" ")[0] for entry in entries(desk)} == before


def test_unlock_leaves_no_ref_of_a_stash_that_nobody_touched(desk: Desk, tmp_path: Path) -> None:
    started = tmp_path / "started"
    wait = {"run": ["sh", "-c", f"touch {started}; exec sleep 600"]}
    desk.board.add_task(description=script(wait), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(started.exists, what="the agent")
        runner.signal(signal.SIGKILL)
        runner.wait()
    desk.hpm("unlock", "--agent-id", "dev_001")
    assert desk.git("for-each-ref", "refs/hpm/before") == ""
