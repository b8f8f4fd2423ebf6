"""What agents may cost on a day holds for one agent and for the host, and costs no work."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.state.paths import StateDir
from hpm_tools.state.spending import Spending, day_of
from tests.support.fixtures_desk import ALLOW_PYTHON, COMMIT, SPIN, WRITE, events, wait_for_event
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.fixtures_desk import ClaudeDesk

ONE_DOLLAR = {"input_tokens": 0, "output_tokens": 100_000}
"""The usage of an answer by sonnet that costs this much."""

RUN = ("run", "--json", "--role", "backend_dev", "--agent-id")


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.change(retry_pause=0.2)
    return desk


def costing(usd: float, **rest: Any) -> str:
    """A task for an agent that commits its work and says what it cost."""
    outcome = {"status": "done", "summary": "so it says", "cost_usd": usd}
    return script({"write": ["done.txt", "x\n"]}, {"commit": "Work"}, outcome=outcome, **rest)


def spending(desk: Desk) -> Spending:
    return Spending(StateDir(str(desk.state)))


def spent(desk: Desk) -> float:
    """What the host has cost, also if midnight has just passed."""
    days = {day_of(time.time()), day_of(time.time() - 3600)}
    return sum(spending(desk).of_host(day) for day in days)


def forgive(desk: Desk) -> None:
    """The day begins anew."""
    for path in (desk.state / "spending").iterdir():
        path.unlink()


def test_nothing_is_taken_once_the_agents_day_is_spent_until_it_has_money_again(desk: Desk) -> None:
    desk.change(budget={"agent_daily_usd": 1.5})
    tasks = [desk.board.add_task(description=costing(1.0), complexity="major")["id"] for _ in range(3)]
    with desk.start(*RUN, "dev_001") as runner:
        reached = wait_for_event(runner, "budget_reached")
        assert (reached["scope"], reached["limit_usd"]) == ("agent", 1.5)
        assert reached["spent_usd"] == pytest.approx(2.0)
        assert reached["until"] > time.time()
        assert spent(desk) == pytest.approx(2.0)
        statuses = [desk.board.task(task)["status"] for task in tasks]
        assert sorted(statuses) == ["created", "dev_done", "dev_done"]
        health = desk.hpm("health", "--json")
        (line,) = [line for line in json.loads(health.stdout)["checks"] if line["name"] == "budget"]
        assert line["ok"] is None
        assert "dev_001 2.00" in line["text"]
        forgive(desk)
        wait_until(lambda: desk.board.task(tasks[2])["status"] == "dev_done", what="the last task")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143
        assert len(events(runner.output(), "budget_reached")) == 1


def test_the_rest_of_the_day_limits_each_run_and_another_agents_day_is_its_own(desk: Desk) -> None:
    desk.change(budget={"agent_daily_usd": 1.5}, task_budget_usd=0)
    told = script(
        {"run": ["sh", "-c", "echo $HPM_BUDGET_USD >budget.txt"]},
        outcome={"status": "done", "summary": "s", "cost_usd": 0.25},
    )
    for agent in ("dev_001", "dev_001", "dev_002"):
        desk.board.add_task(description=told, complexity="major")
        assert desk.run_single(agent=agent).returncode == 0
    assert [desk.git("show", f"feature/task-{n}:budget.txt") for n in (1, 2, 3)] == [
        "1.5000",
        "1.2500",
        "1.5000",
    ]


def test_a_host_that_has_spent_its_day_stops_its_runners_if_so_configured(desk: Desk) -> None:
    desk.change(budget={"host_daily_usd": 1, "then": "stop"})
    for _ in range(2):
        desk.board.add_task(description=costing(1.0), complexity="major")
    done = desk.hpm(*RUN, "dev_001")
    assert done.returncode == 75, done.stdout + done.stderr
    assert "the day's budget of this host is spent: 1.00 of 1.00 USD" in done.stderr
    assert [event["scope"] for event in events(done.stdout, "budget_reached")] == ["host"]
    other = desk.run_single(agent="dev_002")
    assert other.returncode == 75, other.stdout + other.stderr
    assert len(desk.agent_starts()) == 1


def test_the_task_in_work_is_parked_with_a_word_of_when_it_may_go_on(desk: Desk) -> None:
    desk.change(budget={"agent_daily_usd": 1})
    task = desk.board.add_task(description=costing(2.0, exit=3), complexity="major")["id"]
    done = desk.run_single("backend_dev", "dev_001", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    row = desk.board.task(task)
    assert row["status"] == "pending"
    assert "the day's budget of agent dev_001 is spent: 2.00 of 1.00 USD" in row["notes"]
    assert "set it to created to have it taken up again from the next day on" in row["notes"]
    assert desk.git("show", f"feature/task-{task}:done.txt") == "x"
    assert len(desk.agent_starts()) == 1


def test_the_task_in_work_is_kept_until_there_is_money_again_if_so_configured(desk: Desk) -> None:
    desk.change(budget={"agent_daily_usd": 1, "then": "keep"})
    flag = desk.directory / "enough"
    description = script({"write": ["done.txt", "x\n"]}, {"wait_for": str(flag)})
    task = desk.board.add_task(description=description, complexity="major")["id"]
    with desk.start(*RUN, "dev_001", "--single-task") as runner:
        wait_until(desk.agent_starts, what="the agent")
        spending(desk).book("dev_001", "an-earlier-session", 3.0)
        assert wait_for_event(runner, "agent_ended")["verdict"] == "day_budget"
        wait_for_event(runner, "budget_reached")
        row = desk.board.task(task)
        assert (row["status"], row["locked_by"]) == ("under_work", "dev_001")
        flag.touch()
        forgive(desk)
        assert runner.wait() == 0, runner.output()
    assert desk.board.task(task)["status"] == "dev_done"


def test_a_task_that_was_not_begun_is_given_back_when_the_day_is_spent_just_then(desk: Desk) -> None:
    book = "from hpm_tools.state.spending import Spending; from hpm_tools.state.paths import StateDir; "
    book += f"Spending(StateDir({str(desk.state)!r})).book('dev_002', 's', 2.0)"
    hooks = desk.directory / "hooks"
    hooks.mkdir(mode=0o700)
    (hooks / "pre_task.sh").write_text(f'exec {sys.executable} -c "{book}"\n', encoding="utf-8")
    desk.change(budget={"host_daily_usd": 1}, hooks_dir=str(hooks))
    task = desk.board.add_task(description=costing(1.0), complexity="major")["id"]
    with desk.start(*RUN, "dev_001") as runner:
        assert wait_for_event(runner, "given_back")["status"] == "created"
        wait_for_event(runner, "budget_reached")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143
    assert desk.board.task(task)["status"] == "created"
    assert desk.agent_starts() == []
    forgive(desk)
    (hooks / "pre_task.sh").unlink()
    again = desk.run_single()
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.parametrize("then", ["keep", "wait", "stop"])
def test_a_script_that_took_a_task_on_a_spent_day_is_told_how_long_to_wait(desk: Desk, then: str) -> None:
    spending(desk).book("dev_001", "s", 2.0)
    task = desk.board.add_task(description=costing(1.0), complexity="major")["id"]
    desk.change(budget={"agent_daily_usd": 1, "then": then})
    held = ("--agent-id", "dev_001")
    assert desk.hpm("pm.register", *held, "--role", "backend_dev").returncode == 0
    assert desk.hpm("lock", *held, "--task-id", task).returncode == 0
    ran = desk.hpm("claude.exec", *held)
    assert (ran.returncode, ran.stdout.partition(":")[0]) == (75, "day_budget")
    waits = desk.hpm("finish", *held, "--json")
    assert waits.returncode == 75
    seconds = json.loads(waits.stderr.splitlines()[-1])["error"]["details"]["wait_seconds"]
    assert 0 < seconds <= 86_400 + 3600
    assert desk.agent_starts() == []
    forgive(desk)
    assert desk.hpm("claude.exec", *held).returncode == 0
    assert desk.hpm("finish", *held).stdout.strip() == "dev_done"


def test_a_bare_run_counts_and_is_refused_when_the_day_is_spent(desk: Desk) -> None:
    told = json.dumps({"status": "done", "summary": "s", "no_change": True, "cost_usd": 1.0})
    program = ["sh", "-c", f"echo '{told}' >\"$HPM_OUTCOME_FILE\""]
    desk.change(budget={"host_daily_usd": 1}, executor_command=program)
    first = desk.hpm("claude.exec", stdin="Do it.")
    assert first.returncode == 0, first.stdout + first.stderr
    assert spent(desk) == pytest.approx(1.0)
    second = desk.hpm("claude.exec", stdin="Do it.")
    assert second.returncode == 75, second.stdout + second.stderr
    assert "the day's budget of this host is spent" in second.stdout


@pytest.mark.extended
def test_agents_that_spend_the_day_together_are_all_ended_and_gone_on_with(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(claude=ALLOW_PYTHON, budget={"host_daily_usd": 3.5, "then": "stop"})
    desk.play_turns([WRITE, SPIN], [COMMIT], usage=ONE_DOLLAR)
    tasks = [desk.board.add_task(complexity="major")["id"] for _ in range(2)]
    agents = ("dev_001", "dev_002")
    runners = [desk.begin(agent=agent) for agent in agents]
    with runners[0], runners[1]:
        assert [runner.wait() for runner in runners] == [75, 75], [r.output() for r in runners]
    assert spent(desk) == pytest.approx(4.0)
    notes = [desk.board.task(task)["notes"] for task in tasks]
    for number, note in zip(tasks, notes, strict=True):
        assert desk.board.task(number)["status"] == "pending"
        assert "the day's budget of this host is spent" in note
        assert desk.git("show", f"feature/task-{number}:hello.txt") == "hello"
    sessions = {session for _, session in desk.sessions()}
    assert len(sessions) == 2
    assert all(any(session in note for note in notes) for session in sessions)

    desk.change(budget={"host_daily_usd": 100})
    for number in tasks:
        desk.board.put(number, "pm1", "created")
    owner = {
        event["task"]: agent
        for agent, runner in zip(agents, runners, strict=True)
        for event in events(runner.output(), "task_taken")
    }
    for number in tasks:
        done = desk.run(agent=owner[number])
        assert done.returncode == 0, done.stdout + done.stderr
    assert [option for option, _ in desk.sessions()[2:]] == ["--resume", "--resume"]
    assert {session for _, session in desk.sessions()} == sessions


def test_the_rest_of_the_day_goes_to_the_cli_and_its_end_is_told_as_the_days(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(budget={"agent_daily_usd": 1.5})
    desk.play(WRITE, {"bash": "git status"}, {"bash": "git log"}, COMMIT, usage=ONE_DOLLAR)
    task = desk.board.add_task(complexity="major")["id"]
    done = desk.run("--json")
    assert done.returncode == 1, done.stdout + done.stderr
    (agent,) = desk.agents
    assert float(agent[agent.index("--max-budget-usd") + 1]) == pytest.approx(1.5)
    assert [event["verdict"] for event in events(done.stdout, "agent_ended")] == ["day_budget"]
    row = desk.board.task(task)
    assert row["status"] == "pending"
    assert f"its session {desk.sessions()[0][1]} is gone on with then" in row["notes"]
    assert desk.tasklog()["cost_usd"] == pytest.approx(2.0) == pytest.approx(spent(desk))
