"""A task that goes on in the shared checkout after others had it is judged, and told, by its own commits alone."""

from __future__ import annotations

import shutil
import signal
from functools import partial
from typing import Any

import pytest

from tests.support.one_checkout import OTHERS, RUN, killed_once, others_turn
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

MINE = {"run": ["sh", "-ec", "echo mine >mine.txt; git add mine.txt; git commit -qm mine"]}
EMPTY = {"run": ["git", "commit", "-q", "--allow-empty", "-m", "nothing"]}
UNDONE = {"run": ["sh", "-ec", "git rm -q mine.txt; git commit -qm undone"]}
AMENDED = {"run": ["sh", "-ec", "echo more >>mine.txt; git commit -qa --amend -m amended"]}
TAKEN_FOR_OWN = {"run": ["git", "commit", "-q", "--amend", "-m", "mine now"]}


def is_waiting(desk: Desk, first: Any) -> bool:
    return len(desk.agent_starts()) > 0 and (first is None or "mine" in desk.git("log", "--format=%s"))


def interrupted(desk: Desk, first: Any, *later: Any) -> tuple[dict[str, Any], str]:
    """A task whose runner was killed after its agent did ``first``, and whose next agent does ``later``; another
    task's commit, made meanwhile in the same checkout."""
    go = desk.directory / "go"
    # The first agent is killed as it waits, so the acts of the second one begin where the file is.
    unless_there = f'test -e "{go}" || exec "$@"'
    acts = [{"run": ["sh", "-ec", unless_there, "sh", *first["run"]]}] if first else []
    mine = desk.board.add_task(description=script(*acts, {"wait_for": str(go)}, *later), complexity="minor")
    killed_once(desk, partial(is_waiting, desk, first), "the agent's first acts")
    others_turn(desk)
    go.touch()
    return mine, desk.git("rev-parse", "main")


def resumed(desk: Desk, mine: dict[str, Any]) -> tuple[str, str, str]:
    """How the killed task ends: its status, what the board is told, and what its runner says."""
    done = desk.run_single("backend_dev", "dev_001")
    row = desk.board.task(mine["id"])
    return row["status"], row["notes"] or "", done.stdout + done.stderr


@pytest.mark.fault("B1")
@pytest.mark.parametrize(
    ("first", "later"),
    [
        pytest.param(None, [], id="nothing at all"),
        pytest.param(None, [EMPTY], id="an empty commit", marks=pytest.mark.extended),
        pytest.param(None, [TAKEN_FOR_OWN], id="the other's amended", marks=pytest.mark.extended),
    ],
)
def test_done_is_not_believed_for_what_another_task_committed_meanwhile(
    desk: Desk, first: Any, later: list[Any]
) -> None:
    mine, _ = interrupted(desk, first, *later)
    status, _, said = resumed(desk, mine)
    assert status == "pending", said


@pytest.mark.extended
def test_done_is_not_believed_for_a_commit_of_its_own_that_it_took_back(desk: Desk) -> None:
    mine, _ = interrupted(desk, MINE, UNDONE)
    status, _, said = resumed(desk, mine)
    assert status == "pending", said


@pytest.mark.parametrize(
    ("first", "later"),
    [
        pytest.param(MINE, [], id="before it was killed"),
        pytest.param(MINE, [{"write": ["mine.txt", "more\n"]}], id="before and after"),
    ],
)
def test_its_own_commits_count_although_others_followed(desk: Desk, first: Any, later: list[Any]) -> None:
    mine, theirs = interrupted(desk, first, *later)
    own = desk.git("rev-parse", "main~1")
    status, told, said = resumed(desk, mine)
    newest = desk.git("rev-parse", "main") if later else own
    assert newest != theirs
    assert (status, f"commit: {newest}" in told, theirs in told) == ("dev_done", True, False), told + said


@pytest.mark.extended
@pytest.mark.parametrize(
    ("first", "status"),
    [pytest.param(None, "pending", id="nothing"), pytest.param(MINE, "dev_done", id="its own")],
)
def test_without_reflogs_the_turns_tell_whose_commits_they_are(desk: Desk, first: Any, status: str) -> None:
    desk.git("config", "core.logAllRefUpdates", "false")
    shutil.rmtree(desk.repo / ".git" / "logs")
    mine, theirs = interrupted(desk, first)
    assert not (desk.repo / ".git" / "logs" / "HEAD").exists()
    found, told, said = resumed(desk, mine)
    assert (found, theirs in told) == (status, False), told + said


@pytest.mark.extended
def test_its_rewritten_commit_counts(desk: Desk) -> None:
    mine, _ = interrupted(desk, None, MINE, AMENDED)
    status, told, said = resumed(desk, mine)
    assert (status, f"commit: {desk.git('rev-parse', 'main')}" in told) == ("dev_done", True), told + said


@pytest.mark.fault("B6")
def test_a_blocked_task_names_no_commit_of_another(desk: Desk) -> None:
    go = desk.directory / "go"
    acts = script({"wait_for": str(go)}, outcome={"status": "blocked", "summary": "no key"})
    mine = desk.board.add_task(description=acts, complexity="minor")
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(desk.agent_starts, what="the agent's start")
        runner.signal(signal.SIGKILL)
        runner.wait()
    desk.board.add_task(description=script(OTHERS), complexity="minor")
    assert desk.run_single("backend_dev", "dev_002").returncode == 0
    go.touch()
    status, told, said = resumed(desk, mine)
    assert status == "pending"
    assert desk.git("rev-parse", "main") not in told + said, told + said
