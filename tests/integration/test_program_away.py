"""The agent's program is away for seconds, or its login is refused for a moment: a runner that lasts waits it out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.runners import AGENT, Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fixtures_desk import ClaudeDesk

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
FIRST = '#!/bin/sh\nmv {program} {program}.away\nexec {python} -I -S {agent} "$@"\n'
"""What updates itself while its first task is worked."""
WORK = script({"write": ["a.txt", "a\n"]})


@pytest.fixture
def program(desk: Desk) -> Path:
    """The desk's agent as a program that is away from its first start on."""
    path = desk.directory / "program"
    python = json.loads((desk.state / "config.yaml").read_text(encoding="utf-8"))["executor_command"][0]
    path.write_text(FIRST.format(program=path, python=python, agent=AGENT), encoding="utf-8")
    path.chmod(0o755)
    desk.change(executor_command=[str(path)], executor_exit_code_is_outcome=True, retry_pause=0.2)
    return path


def come_back(program: Path) -> None:
    away = program.with_name("program.away")
    away.write_text(away.read_text(encoding="utf-8").replace("mv ", ": "), encoding="utf-8")
    away.rename(program)


@pytest.mark.fault("D8")
def test_lasting_runner_looks_for_its_program_and_goes_on_once_it_is_back(desk: Desk, program: Path) -> None:
    tasks = [desk.board.add_task(description=WORK, complexity="major")["id"] for _ in range(2)]
    with desk.start(*RUN, "--max-tasks", 2) as runner:
        said = "the agent program"
        wait_until(lambda: "no task is taken" in runner.output(), what="the notice")
        assert desk.board.task(tasks[1])["status"] == "created"
        assert said in desk.hpm("health").stdout
        come_back(program)
        assert runner.wait() == 0, runner.output()
    assert [desk.board.task(task)["status"] for task in tasks] == ["dev_done"] * 2
    assert runner.output().count("no task is taken") == 1
    assert len(desk.agent_starts()) == 2


@pytest.mark.fault("D8")
def test_program_that_goes_after_a_task_was_taken_costs_that_task_nothing(desk: Desk, program: Path) -> None:
    task = desk.board.add_task(description=WORK, complexity="major")["id"]
    hooks = desk.directory / "hooks"
    hooks.mkdir()
    for name in ("post_task", "health_check"):
        (hooks / f"{name}.sh").write_text("exit 0\n", encoding="utf-8")
    gone = f"test -e {hooks}/once || {{ touch {hooks}/once; mv {program} {program}.away; }}\n"
    (hooks / "pre_task.sh").write_text(gone, encoding="utf-8")
    desk.change(hooks_dir=str(hooks))
    with desk.start(*RUN, "--max-tasks", 2) as runner:
        wait_until(lambda: "no task is taken" in runner.output(), what="the notice")
        assert desk.board.task(task)["status"] == "created"
        come_back(program)
        wait_until(
            lambda: desk.board.task(task)["status"] == "dev_done", what=f"the task:\n{runner.output()}"
        )


@pytest.mark.fault("agent-cannot-serve")
def test_single_task_ends_at_once_where_the_program_is_away(desk: Desk, program: Path) -> None:
    program.rename(program.with_name("program.away"))
    desk.board.add_task(description=WORK, complexity="major")
    ended = desk.run_single()
    assert (ended.returncode, str(program) in ended.stderr) == (78, True), ended.stderr


@pytest.mark.extended
@pytest.mark.needs("claude")
@pytest.mark.fault("D8")
def test_login_that_is_refused_for_a_moment_is_tried_again(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    refusal: dict[str, Any] = {"status": 401, "message": "invalid x-api-key"}
    desk.play({"fail": refusal})
    task = desk.board.add_task(complexity="major")["id"]
    with desk.begin() as runner:
        wait_until(lambda: "no task is taken" in runner.output(), what="the notice")
        assert desk.board.task(task)["status"] == "created"
        desk.play({"write": {"path": "hello.txt", "content": "hello\n"}}, {"commit": "Say hello"})
        wait_until(
            lambda: desk.board.task(task)["status"] == "dev_done", what=f"the task:\n{runner.output()}"
        )
    assert runner.output().count("no task is taken") == 1


@pytest.mark.needs("claude")
@pytest.mark.fault("agent-cannot-serve")
def test_login_that_stays_refused_ends_the_runner_after_its_patience(claude_desk: ClaudeDesk) -> None:
    desk = claude_desk
    desk.change(auth_patience=2)
    desk.play({"fail": {"status": 401, "message": "invalid x-api-key"}})
    task = desk.board.add_task(complexity="major")["id"]
    with desk.begin() as runner:
        assert runner.wait() == 77, runner.output()
    assert desk.board.task(task)["status"] == "created"
    assert len(desk.agents) >= 2
