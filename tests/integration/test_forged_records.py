"""Records that claim work which was never done, or another's: the next start believes git and the board, not them."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.support.runners import Desk, script

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")
WRITE = {"write": ["a.txt", "hello\n"]}
ENDING = {"kind": "reported", "reason": "all done", "status": "dev_done"}
VERDICT = {"kind": "done", "summary": "all done"}


def seldom(value: object) -> Any:
    """A case of a test that has a cheaper or commoner one."""
    return pytest.param(value, marks=pytest.mark.extended)


def killed(desk: Desk, point: str = "agent.starting", complexity: str = "major", **outcome: Any) -> int:
    """A task whose runner was killed at the failpoint ``point``."""
    rest = {"outcome": outcome} if outcome else {}
    task: int = desk.board.add_task(
        description=script(*([] if outcome else [WRITE]), **rest), complexity=complexity
    )["id"]
    log = str(desk.directory / "points")
    done = desk.hpm(*RUN, HPM_FAILPOINT=f"{point}:kill", HPM_FAILPOINT_LOG=log)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return task


def forge(desk: Desk, **fields: Any) -> dict[str, Any]:
    """Write ``fields`` over those of the dead runner's record; the record as it was."""
    record = desk.record()
    assert record is not None
    path = desk.state / "locks" / "agent-dev_001.lock"
    claim = {"step": "reporting", "ending": ENDING, "verdict": VERDICT, "commit": record["base"]}
    path.write_text(json.dumps({**record, **claim, **fields}), encoding="utf-8")
    return record


def row(desk: Desk, task: int) -> tuple[str, str | None]:
    found = desk.board.task(task)
    return found["status"], found["locked_by"]


def elsewhere(desk: Desk) -> tuple[str, str]:
    """The branch and commit of another task, which was done."""
    other = desk.board.add_task(description=script(WRITE), complexity="major")["id"]
    assert desk.hpm(*RUN[:-1], "dev_002").returncode == 0
    branch = f"feature/task-{other}"
    return branch, desk.git("rev-parse", branch)


@pytest.mark.fault("B12")
@pytest.mark.parametrize("step", [*map(seldom, ("committing", "detaching")), "reporting", "post_hook"])
def test_done_that_nobody_did_is_parked(desk: Desk, step: str) -> None:
    task = killed(desk)
    forge(desk, step=step)
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("pending", None), done.stderr


@pytest.mark.fault("B12")
def test_verdict_that_no_agent_earned_is_parked(desk: Desk) -> None:
    task = killed(desk)
    forge(desk, step="working", ending=None)
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("pending", None), done.stderr


@pytest.mark.fault("B12")
@pytest.mark.parametrize("owned", [True, seldom(False)], ids=["of another task", "of a person"])
def test_another_branchs_work_is_not_reported_as_the_tasks_own(desk: Desk, *, owned: bool) -> None:
    branch, commit = elsewhere(desk)
    if not owned:
        desk.git("branch", "person", commit)
        branch = "person"
    task = killed(desk)
    forge(desk, branch_name=branch, commit=commit)
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("pending", None), done.stderr


@pytest.mark.fault("B12")
@pytest.mark.parametrize("where", [seldom("on no branch"), "before the branch"])
def test_commits_that_the_task_did_not_make_show_nothing(desk: Desk, where: str) -> None:
    (desk.repo / "b.txt").write_text("a person's\n", encoding="utf-8")
    desk.git("add", "b.txt")
    desk.git("commit", "-q", "-m", "a person's")
    before = desk.git("rev-parse", "HEAD~1")
    task = killed(desk)
    record = desk.record()
    assert record is not None
    tree = desk.git("rev-parse", "HEAD^{tree}")
    loose = desk.git("commit-tree", tree, "-p", before, "-m", "x")
    forged: dict[str, dict[str, Any]] = {
        "on no branch": {"commit": loose},
        "before the branch": {"base": before, "snapshot": {**record["snapshot"], "head": before}},
    }
    forge(desk, **forged[where])
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("pending", None), done.stderr


@pytest.mark.fault("B12")
def test_persons_commit_in_the_checkout_is_not_the_agents(desk: Desk) -> None:
    task = killed(desk, complexity="minor")
    (desk.repo / "b.txt").write_text("a person's\n", encoding="utf-8")
    desk.git("add", "b.txt")
    desk.git("commit", "-q", "-m", "a person's")
    forge(desk, commit=desk.git("rev-parse", "HEAD"))
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("pending", None), done.stderr


@pytest.mark.fault("B12")
@pytest.mark.parametrize("lie", ["its status", *map(seldom, ("its verdict", "its role"))])
def test_what_its_role_or_agent_never_said_is_parked(desk: Desk, lie: str) -> None:
    task = killed(desk, "reporting.before")
    accepted = {**ENDING, "status": "qa_done"}
    record = desk.record()
    assert record is not None
    lies: dict[str, dict[str, Any]] = {
        "its status": {"ending": accepted},
        "its verdict": {"verdict": {"kind": "blocked", "summary": "it cannot be done"}},
        "its role": {"ending": accepted, "role": "qa", "board_status_before": "dev_done"},
    }
    forge(desk, **{"commit": record["commit"], **lies[lie]})
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("pending", None), done.stderr


@pytest.mark.fault("B12")
def test_finish_looks_again_too(desk: Desk) -> None:
    task = killed(desk)
    forge(desk)
    done = desk.hpm("finish", "--agent-id", "dev_001")
    assert row(desk, task) == ("pending", None), done.stderr


@pytest.mark.fault("B12")
def test_work_whose_branch_is_gone_is_parked(desk: Desk) -> None:
    task = killed(desk, "reporting.before")
    desk.git("branch", "-q", "-D", f"feature/task-{task}")
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("pending", None), done.stderr


def test_work_that_a_forged_record_hid_is_kept_on_its_branch(desk: Desk) -> None:
    task = killed(desk, "working.decided")
    forge(desk)
    desk.hpm(*RUN)
    assert desk.git("show", f"feature/task-{task}:a.txt") == "hello"


@pytest.mark.parametrize("complexity", ["major", "minor"])
@pytest.mark.parametrize(
    "point", [*map(seldom, ("committing.after", "lease.left", "reporting.after")), "reporting.before"]
)
def test_truthful_record_is_reported_once(desk: Desk, point: str, complexity: str) -> None:
    task = killed(desk, point, complexity)
    done = desk.hpm(*RUN)
    assert done.returncode == 0, done.stderr
    assert desk.board.statuses(task).count("dev_done") == 1
    assert row(desk, task) == ("dev_done", None)


def test_no_change_is_reported_after_a_restart(desk: Desk) -> None:
    task = killed(desk, "reporting.before", status="done", summary="it was there", no_change=True)
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("dev_done", None), done.stderr


def test_work_is_reported_where_its_worktree_is_gone_and_its_branch_went_on(desk: Desk) -> None:
    task = killed(desk, "reporting.before")
    desk.git("worktree", "remove", "-ff", f".worktrees/task-{task}")
    desk.git("checkout", "-q", f"feature/task-{task}")
    desk.git("commit", "-q", "--allow-empty", "-m", "a person's word on it")
    desk.git("checkout", "-q", "main")
    desk.git("merge", "-q", f"feature/task-{task}")
    done = desk.hpm(*RUN)
    assert row(desk, task) == ("dev_done", None), done.stderr


def test_told_work_stays_told_whatever_became_of_its_branch(desk: Desk) -> None:
    task = killed(desk, "lease.left")
    desk.git("worktree", "remove", "-ff", f".worktrees/task-{task}")
    desk.git("branch", "-q", "-D", f"feature/task-{task}")
    done = desk.hpm(*RUN)
    assert (done.returncode, row(desk, task)) == (0, ("dev_done", None)), done.stderr
