"""Runners that commit to the checkout's branch while another works: each knows what the others of its host moved."""

from __future__ import annotations

import signal
from typing import Any, Self

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id")
LEAVE = {"write": ["left.txt", "left\n"]}
COMMIT: list[dict[str, Any]] = [{"write": ["committed.txt", "committed\n"]}, {"commit": "by the agent"}]
AMEND = {"run": ["sh", "-ec", "echo more >>left.txt; git commit -qam more --amend"]}


class LongRun:
    """A major task that dev_001 works while the block runs; its agent then runs ``last``, and ends."""

    def __init__(self, desk: Desk, *last: str) -> None:
        self.desk = desk
        self.go = desk.directory / "go"
        act = {"run": ["sh", "-ec", "\n".join(last)]}
        description = script({"wait_for": str(self.go)}, act, {"write": ["work.txt", "work\n"]})
        desk.board.add_task(description=description, complexity="major")
        self.runner = desk.start(*RUN, "dev_001")

    def __enter__(self) -> Self:
        wait_until(self.desk.agent_starts, what="the long task's agent")
        return self

    def end(self) -> list[str]:
        """What is told to have happened to git while its agent worked."""
        self.go.touch()
        assert self.runner.wait() == 0, self.runner.output()
        return told(self.runner.output())

    def __exit__(self, *exc: object) -> None:
        self.go.touch()
        self.runner.__exit__(*exc)


def told(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if "while the agent worked, " in line]
    return [line.partition("while the agent worked, ")[2] for line in lines]


def minor(desk: Desk, *acts: dict[str, Any]) -> str:
    """Have dev_002 work a task in the checkout itself; where its branch stands then."""
    desk.board.add_task(description=script(*acts), complexity="minor")
    done = desk.run_single("backend_dev", "dev_002")
    assert done.returncode == 0, done.stdout + done.stderr
    return desk.git("rev-parse", "main")


@pytest.mark.fault("B8")
@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param([[LEAVE]], id="the runner commits what was left", marks=pytest.mark.extended),
        pytest.param([COMMIT, [LEAVE]], id="an agent's commit and a runner's"),
        pytest.param([[LEAVE], [AMEND]], id="a commit and its rewriting", marks=pytest.mark.extended),
    ],
)
def test_no_alarm_for_what_runs_in_the_checkout_committed(
    tasks: list[list[dict[str, Any]]], desk: Desk
) -> None:
    with LongRun(desk) as run:
        before = desk.git("rev-parse", "main")
        for acts in tasks:
            assert minor(desk, *acts) != before
        assert run.end() == []


@pytest.mark.fault("B8")
@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.extended)])
def test_no_alarm_for_a_commit_of_a_run_that_is_not_over(killed: bool, desk: Desk) -> None:
    wait = {"wait_for": str(desk.directory / "go too")}
    with LongRun(desk) as run:
        before = desk.git("rev-parse", "main")
        desk.board.add_task(description=script(*COMMIT, wait), complexity="minor")
        with desk.start(*RUN, "dev_002") as other:
            wait_until(lambda: desk.git("rev-parse", "main") != before, what="the other agent's commit")
            if killed:
                other.signal(signal.SIGKILL)
                other.wait()
            assert run.end() == []


@pytest.mark.fault("B8")
def test_no_alarm_for_a_branch_that_another_task_was_given_meanwhile(desk: Desk) -> None:
    desk.git("branch", "develop")
    with LongRun(desk) as run:
        before = desk.git("rev-parse", "develop")
        desk.board.add_task(description=script(LEAVE), complexity="major", branch="develop")
        done = desk.run_single("backend_dev", "dev_002")
        assert desk.git("rev-parse", "develop") != before, done.stdout + done.stderr
        assert run.end() == []


@pytest.mark.fault("B8")
def test_what_an_agent_moved_meanwhile_is_told_alone(desk: Desk) -> None:
    desk.git("tag", "v1")
    with LongRun(desk, "git tag -f v1 $(git commit-tree -m mine 'HEAD^{tree}')") as run:
        minor(desk, LEAVE)
        assert [sentence.partition(" was ")[0] for sentence in run.end()] == ["refs/tags/v1"]


BEHIND = "git update-ref refs/heads/main main~1"
ON_TOP = "git update-ref -m 'hpm: mine' refs/heads/main $(git commit-tree -m mine -p main 'main^{tree}')"


@pytest.mark.parametrize("act", [BEHIND, pytest.param(ON_TOP, marks=pytest.mark.extended)])
def test_an_agents_move_of_the_branch_is_told_beside_a_runs_commits(act: str, desk: Desk) -> None:
    with LongRun(desk, act) as run:
        minor(desk, *COMMIT)
        minor(desk, LEAVE)
        (sentence,) = run.end()
        assert sentence.startswith("refs/heads/main was moved from ")


def test_an_agents_move_is_not_taken_for_that_of_a_run_in_the_checkout(desk: Desk) -> None:
    """Neither by the one who made it, nor by the one to whose commits it was added."""
    go = desk.directory / "go too"
    with LongRun(desk, ON_TOP) as run:
        task = desk.board.add_task(description=script(*COMMIT, {"wait_for": str(go)}), complexity="minor")
        with desk.start(*RUN, "dev_002") as other:
            # Not by `git status`, whose lock of the index the agent's own git would meet.
            wait_until(lambda: "by the agent" in desk.git("log", "--format=%s"), what="its commit")
            (sentence,) = run.end()
            assert sentence.startswith("refs/heads/main was moved from ")
            go.touch()
            assert other.wait() == 1, other.output()
        assert desk.board.task(task["id"])["status"] == "pending"
        assert "moved by someone else (past this checkout)" in other.output()


@pytest.mark.extended
@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.extended), True])
def test_no_alarm_where_a_runner_puts_the_checkout_back_on_its_branch(killed: bool, desk: Desk) -> None:
    """A task for which no worktree can be made is worked in the checkout, on a branch of its own."""
    go = desk.directory / "go too"
    desk.board.add_task(description=script({"wait_for": str(go)}, LEAVE), complexity="major")
    nowhere = {"HEADLESS_PM_WORKTREE_BASE": str(desk.repo / "README.md" / "base")}
    point = {"HPM_FAILPOINT": "checkout.switched_back:kill", "HPM_FAILPOINT_LOG": f"{desk.directory}/points"}
    with desk.start(*RUN, "dev_002", **nowhere, **(point if killed else {})) as other:
        wait_until(desk.agent_starts, what="the other agent")
        assert desk.git("symbolic-ref", "HEAD") == "refs/heads/feature/task-1"
        with LongRun(desk) as run:
            wait_until(lambda: len(desk.agent_starts()) > 1, what="the long task's agent")
            go.touch()
            assert other.wait() == (-signal.SIGKILL if killed else 0), other.output()
            assert desk.git("symbolic-ref", "HEAD") == "refs/heads/main"
            if killed:
                assert desk.hpm(*RUN, "dev_002", within=600, **nowhere).returncode == 0
            assert run.end() == []


def test_a_persons_commit_is_told_as_such(desk: Desk) -> None:
    with LongRun(desk) as run:
        desk.git("commit", "-q", "--allow-empty", "-m", "by hand")
        minor(desk, LEAVE)
        (sentence,) = run.end()
        assert sentence.startswith("refs/heads/main was moved from ")
        assert "(by a person's command or a fetch, as git's reflog has it)" in sentence


def test_work_is_reported_where_nobody_can_write_down_what_it_moved(desk: Desk) -> None:
    (desk.state / "moves").touch()
    desk.board.add_task(description=script(*COMMIT), complexity="minor")
    done = desk.run_single()
    assert (done.returncode, desk.board.task(1)["status"]) == (0, "dev_done")
    assert "other runs may tell of refs/heads/main that an agent moved it" in done.stderr
