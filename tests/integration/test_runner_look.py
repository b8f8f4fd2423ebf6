"""What a person sees of a runner: one live line on a terminal, dated lines in a log, more with -v, little with -q."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from tests.support.runners import Desk, script
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
DATED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})? \S")


def test_on_a_terminal_one_live_line_tells_step_time_and_what_the_agent_does(
    desk: Desk, tmp_path: Path
) -> None:
    desk.change(executor_exit_code_is_outcome=False)
    flag = tmp_path / "go on"
    acts = ({"say": "reading the shop"}, {"wait_for": str(flag)}, {"write": ["a.txt", "a\n"]})
    task = desk.board.add_task(description=script(*acts), complexity="major", title="Add " + "x" * 200)
    argv = [sys.executable, "-m", "hpm_tools.cli.hpm", *RUN]
    with Terminal(argv, cwd=desk.repo, env=desk.environment) as screen:
        screen.wait_for("reading the shop")
        live = re.findall(rf"\r\x1b\[2K(task {task['id']} · working · [^\r\n]*)", screen.screen)
        assert re.fullmatch(rf"task {task['id']} · working · \d+\.\d s · reading the shop", live[-1])
        flag.touch()
        screen.wait_for("dev_001 · waiting for a task · ")
        screen.type("\x03")
        assert screen.wait() == 130
    for line in re.split(r"\r\n|\r\x1b\[2K", screen.screen):
        assert len(line) <= 80 or " " not in line.strip(), line


def test_in_a_log_every_line_is_dated_and_v_tells_of_calls_programs_and_steps(desk: Desk) -> None:
    desk.board.add_task(description=script({"write": ["a.txt", "a\n"]}), complexity="major")
    done = desk.hpm("-v", *RUN, "--single-task")
    assert done.returncode == 0, done.stderr
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    assert [line for line in lines if not DATED.match(line)] == []
    assert "\x1b" not in done.stdout + done.stderr
    for told in (
        r"POST \S+/register → 200 in \d+ ms",
        r"git worktree add .*→ 0 in \d+ ms",
        r"process \d+ began: ",
        r"process \d+ exited \(0\) after ",
        r"task \d+: reporting",
    ):
        assert re.search(told, done.stderr), told
    assert desk.board.key not in done.stderr


def test_q_leaves_errors_alone(desk: Desk) -> None:
    desk.board.add_task(description=script({"write": ["a.txt", "a\n"]}), complexity="major")
    done = desk.hpm(*RUN, "--single-task", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    nothing = desk.hpm(*RUN, "--single-task", "-q")
    assert (nothing.returncode, nothing.stderr) == (3, "")
    wrong = desk.hpm(*RUN, "--max-tasks", "0", "-q")
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (
        2,
        "error: --max-tasks must be 1 or more, not 0",
    )


def test_tables_keep_ids_whole_on_a_terminal_and_everything_in_a_pipe(desk: Desk) -> None:
    agent, title = "night_shift_developer_001", "Remember the basket " + "of everybody " * 10
    task = desk.board.add_task(title=title, complexity="major")
    desk.board.register(agent)
    assert desk.hpm("lock", "--agent-id", agent, "--task-id", task["id"]).returncode == 0
    assert title.strip() in desk.hpm("pm.tasks").stdout
    for command in ("pm.tasks", "locks"):
        argv = [sys.executable, "-m", "hpm_tools.cli.hpm", command]
        with Terminal(argv, cwd=desk.repo, env=desk.environment) as screen:
            assert screen.wait() == 0
        assert agent in screen.screen
        assert all(len(line) <= 80 for line in screen.screen.split("\r\n"))
