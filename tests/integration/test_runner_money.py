"""What a task has cost is known across resumes, crashes and give-backs, and its budget holds."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.executor.cost import PRICES
from tests.support.fixtures_desk import ALLOW_PYTHON, COMMIT, SPIN, WRITE, events
from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest
    from tests.support.fixtures_desk import ClaudeDesk

ONE_DOLLAR = {"input_tokens": 0, "output_tokens": 100_000}
"""The usage of an answer by sonnet that costs this much."""


def billed(desk: ClaudeDesk) -> float:
    """What the endpoint's answers cost in US dollars, at the CLI's prices."""
    into, out = PRICES["sonnet"]
    usage = desk.endpoint.script.scenario.get("usage", {"input_tokens": 100, "output_tokens": 50})
    price: float = (usage["input_tokens"] * into + usage["output_tokens"] * out) / 1e6
    answers = [turn for turn in desk.endpoint.turns if "fail" not in turn["answer"]]
    assert all("sonnet" in turn["body"]["model"] for turn in answers)
    return price * len(answers)


def budgets(desk: ClaudeDesk) -> list[float]:
    """The --max-budget-usd of every run."""
    return [float(run[run.index("--max-budget-usd") + 1]) for run in desk.agents]


def test_a_budget_used_up_parks_the_task_and_stays_used_up(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.play(WRITE, {"bash": "git status"}, {"bash": "git log"}, COMMIT, usage=ONE_DOLLAR)
    task = desk.board.add_task(complexity="major")
    done = desk.hpm(
        *("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task"),
        HEADLESS_PM_TASK_BUDGET_USD="1.5",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert found["status"] == "pending"
    assert "budget is used up" in found["notes"]
    assert desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"
    assert desk.tasklog()["cost_usd"] == pytest.approx(billed(desk)) == pytest.approx(2.0)

    desk.board.put(task["id"], "pm1", "created")
    done = desk.hpm(
        *("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task"),
        HEADLESS_PM_TASK_BUDGET_USD="1.5",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    notes = desk.board.task(task["id"])["notes"]
    assert "2.00 of 1.50 USD" in notes
    assert "task_budget_usd" in notes
    assert len(desk.agents) == 1


@pytest.mark.extended
def test_the_cost_of_every_run_is_kept_across_resumes_and_takes(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.play(WRITE, {"bash": "git status"}, {"fail": {"status": 401}}, usage=ONE_DOLLAR)
    task = desk.board.add_task(complexity="major")
    first = desk.run("--json")
    assert first.returncode == 77, first.stdout + first.stderr
    assert desk.tasklog()["cost_usd"] == pytest.approx(2.0)

    broken_off: dict[str, Any] = {"fail": {"status": 529}}
    desk.play_turns([WRITE, broken_off], [COMMIT, broken_off], [{"bash": "git log"}], usage=ONE_DOLLAR)
    assert desk.board.task(task["id"])["status"] == "created"
    desk.await_pause()
    second = desk.begin("--single-task")
    with second:
        assert second.wait() == 0, second.output()
    assert budgets(desk) == pytest.approx([10, 8, 7, 6])
    assert [option for option, _ in desk.sessions()] == [
        "--session-id",
        "--session-id",
        "--resume",
        "--resume",
    ]
    log = desk.tasklog()
    assert log["cost_usd"] == pytest.approx(billed(desk)) == pytest.approx(6.0)
    ended = events(first.stdout, "agent_ended") + events(second.output(), "agent_ended")
    assert [event["cost_usd"] for event in ended] == pytest.approx([2, 1, 1, 2])
    session = desk.sessions()[-1][1]
    assert desk.results()[-1]["session_id"] == session
    assert desk.results()[-1]["total_cost_usd"] == pytest.approx(log["session_costs"][session])


@pytest.mark.fault("session-cost")
def test_what_a_run_cost_whose_runner_was_killed_is_not_forgotten(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude=ALLOW_PYTHON)
    desk.play_turns([WRITE, SPIN], [COMMIT], usage=ONE_DOLLAR)
    task = desk.board.add_task(complexity="major")
    worktree = desk.repo / ".worktrees" / f"task-{task['id']}"
    with desk.begin() as runner:
        wait_until((worktree / "started.txt").exists, what="the agent's command")
        runner.signal(signal.SIGKILL)
        runner.wait()
    done = desk.run("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.tasklog()["cost_usd"] == pytest.approx(billed(desk)) == pytest.approx(4.0)
    assert budgets(desk) == pytest.approx([10, 8])


def test_a_run_whose_session_was_lost_is_paid_once(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    lost = desk.directory / "lost"
    cli = desk.directory / "losing-claude"
    cli.write_text(
        f"""#!{sys.executable}
import os, pathlib, sys
words, lost = sys.argv[1:], pathlib.Path({str(lost)!r})
option = next((word for word in words if word in ("--session-id", "--resume")), None)
if option:
    session = words[words.index(option) + 1]
    if not lost.exists():
        lost.write_text(session)
    if session == lost.read_text():
        sys.exit("already in use" if option == "--session-id" else "No conversation found")
os.execv({str(desk.cli)!r}, [{str(desk.cli)!r}, *words])
""",
        encoding="utf-8",
    )
    cli.chmod(0o755)
    desk.change(claude_path=str(cli))
    desk.play(WRITE, {"bash": "git status"}, COMMIT, usage=ONE_DOLLAR)
    desk.board.add_task(complexity="major")
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lost.exists()
    assert desk.tasklog()["cost_usd"] == pytest.approx(billed(desk)) == pytest.approx(4.0)


def test_what_another_agents_program_says_it_cost_is_added_up(
    tmp_path: Path, exact_board: BoardUnderTest
) -> None:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    outcome = {"status": "done", "summary": "so it says", "cost_usd": 1.0}
    desk.board.add_task(description=script(outcome=outcome, exit=3), complexity="major")
    done = desk.run_single()
    assert done.returncode == 1, done.stdout + done.stderr
    (path,) = (desk.state / "tasks").glob("*.json")
    assert json.loads(path.read_text(encoding="utf-8"))["cost_usd"] == pytest.approx(3.0)
