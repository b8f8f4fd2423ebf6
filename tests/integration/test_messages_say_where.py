"""Messages about work that was kept somewhere: they say where it is, and the command that they print works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.runners import HPM, Desk, script
from tests.support.waiting import wait_until

RUN = ("run", "--role", "backend_dev", "--single-task", "--agent-id", "dev_001")
WRONG = "the-key-of-yesterday"


def once(flag: Path, then: str) -> dict[str, list[str]]:
    """Waits for its end the first time, and does ``then`` each other time."""
    return {"run": ["sh", "-c", f"test -e {flag} && {{ {then}; exit; }}; : > {flag}; exec sleep 600"]}


def killed(desk: Desk, flag: Path, complexity: str) -> None:
    """A runner killed with -9 while its agent works, which has written a file."""
    acts = ({"write": ["a.txt", "a\n"]}, once(flag, "true"))
    desk.board.add_task(description=script(*acts), complexity=complexity)
    with desk.start(*RUN) as runner:
        wait_until(flag.exists, what="the agent")
        runner.signal(signal.SIGKILL)
        runner.wait()


def obey(desk: Desk, said: str, pattern: str) -> subprocess.CompletedProcess[str]:
    """Run the command in ``said`` that the pattern's group has, as printed."""
    found = re.search(pattern, said)
    words = shlex.split(found[1]) if found else ["false"]
    program = HPM if words[0] == "hpm" else words[:1]
    return subprocess.run(
        [*program, *words[1:]],
        cwd=desk.directory,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.fault("F11")
@pytest.mark.parametrize("complexity", ["minor", "major"])
def test_a_changed_key_is_told_with_where_the_work_is_and_how_to_go_on(
    desk: Desk, tmp_path: Path, complexity: str
) -> None:
    killed(desk, tmp_path / "flag", complexity)
    said = desk.hpm(*RUN, HEADLESS_PM_API_KEY=WRONG)
    place = desk.repo if complexity == "minor" else desk.repo / ".worktrees" / "task-1"
    again = obey(desk, said.stderr, r", then: (hpm run .*)")
    told = f"task 1 stays with dev_001, its work is in {place} on " in said.stderr
    assert (said.returncode, told, again.returncode, desk.board.task(1)["status"]) == (
        77,
        True,
        0,
        "dev_done",
    )


@pytest.mark.fault("F11")
@pytest.mark.parametrize("command", ["claude.exec", "unlock"])
def test_a_changed_key_in_the_operators_file_is_named_there_by_single_commands(
    desk: Desk, tmp_path: Path, command: str
) -> None:
    killed(desk, tmp_path / "flag", "major")
    desk.change(api_key=WRONG)
    said = desk.hpm(command, "--agent-id", "dev_001", HEADLESS_PM_API_KEY="")
    place = desk.repo / ".worktrees" / "task-1"
    parts = (
        f"set api_key in {desk.state / 'config.yaml'} to the key",
        f"its work is in {place} on feature/task-1",
    )
    assert (said.returncode, [part in said.stderr for part in parts]) == (77, [True, True])


@pytest.mark.fault("F11")
def test_a_lost_in_place_task_is_told_with_where_its_uncommitted_work_is(desk: Desk, tmp_path: Path) -> None:
    killed(desk, tmp_path / "flag", "minor")
    desk.board.sql("UPDATE tasks SET locked_by = 'other_001'")
    said = desk.hpm(*RUN)
    restored = obey(desk, said.stdout, r"kept as refs/hpm/\S+: (hpm worktree.restore .*)")
    content = Path(restored.stdout.strip() or ".", "a.txt")
    (ended,) = json.loads(desk.hpm("report", "--since", "1h", "--json").stdout)["ended"]
    shown = (ended["result"], "hpm worktree.restore --ref refs/hpm/salvage/" in ended.get("where", ""))
    assert (said.returncode, restored.returncode, content.exists() and content.read_text(), *shown) == (
        1,
        0,
        "a\n",
        "lost",
        True,
    )


@pytest.mark.fault("F11")
@pytest.mark.parametrize("command", ["run", "finish"])
def test_a_task_that_is_lost_at_its_report_is_told_with_its_commit(
    desk: Desk, tmp_path: Path, command: str
) -> None:
    go = tmp_path / "go"
    acts = ({"write": ["a.txt", "a\n"]}, {"wait_for": str(go)})
    desk.board.add_task(description=script(*acts), complexity="minor")
    if command == "run":
        with desk.start(*RUN) as runner:
            wait_until(desk.agent_starts, what="the agent")
            desk.board.sql("UPDATE tasks SET locked_by = 'other_001'")
            go.touch()
            runner.wait()
            said = runner.output()
    else:
        go.touch()
        desk.board.register("dev_001", "backend_dev")
        for step in (("lock", "--task-id", 1), ("claude.exec",)):
            desk.hpm(step[0], "--agent-id", "dev_001", *step[1:])
        desk.board.sql("UPDATE tasks SET locked_by = 'other_001'")
        said = desk.hpm("finish", "--agent-id", "dev_001").stderr
    commit = desk.git("rev-parse", "--short=12", "main")
    assert f"its work is commit {commit} on main in {desk.repo}" in said


@pytest.mark.fault("F11")
def test_a_worktree_that_vanished_is_told_and_made_again_by_the_runner(desk: Desk, tmp_path: Path) -> None:
    killed(desk, tmp_path / "flag", "major")
    shutil.rmtree(desk.repo / ".worktrees" / "task-1")
    said = desk.hpm(*RUN)
    told = "task-1; what was committed is on feature/task-1; it is made again" in said.stderr
    assert (said.returncode, told, desk.board.task(1)["status"]) == (0, True, "dev_done")


@pytest.mark.fault("F11")
@pytest.mark.parametrize("own", [True, False])
def test_a_worktree_that_vanished_between_single_commands_comes_back_by_the_printed_command(
    desk: Desk, tmp_path: Path, own: bool
) -> None:
    killed(desk, tmp_path / "flag", "major")
    place = desk.repo / ".worktrees" / "task-1"
    if not own:
        place = tmp_path / "elsewhere"
        desk.git("worktree", "add", "-q", "-b", "mine", str(place))
        desk.hpm("claude.exec", "--agent-id", "dev_001", "--cwd", place)
    shutil.rmtree(place)
    said = desk.hpm("claude.exec", "--agent-id", "dev_001", "--repo", desk.repo)
    desk.directory = desk.repo
    made = obey(desk, said.stderr, r"make it again: (.*)")
    again = desk.hpm("claude.exec", "--agent-id", "dev_001")
    assert (made.returncode, place.is_dir(), again.returncode) == (0, True, 0)


@pytest.mark.fault("F11")
@pytest.mark.parametrize("command", ["run", "worktree.add"])
def test_a_branch_in_a_vanished_worktree_of_somebody_is_told_with_the_way_out(
    desk: Desk, tmp_path: Path, command: str
) -> None:
    other = tmp_path / "other"
    desk.git("worktree", "add", "-q", "-b", "feature/wanted", str(other))
    shutil.rmtree(other)
    desk.board.add_task(
        description=script({"write": ["a.txt", "a\n"]}), complexity="major", branch="feature/wanted"
    )
    words = RUN if command == "run" else ("worktree.add", "--task-id", 1, "--branch", "feature/wanted")
    said = desk.hpm(*words)
    obey(desk, said.stderr, r"which is gone \((.*?)\)")
    assert str(other) not in desk.git("worktree", "list")


@pytest.mark.fault("F11")
@pytest.mark.parametrize("kind", ["file", "link", "fifo", "directory"])
def test_what_stood_at_a_worktrees_place_is_told_with_where_it_is_now(
    desk: Desk, tmp_path: Path, kind: str
) -> None:
    place = desk.repo / ".worktrees" / "task-1"
    place.parent.mkdir()
    match kind:
        case "file":
            place.write_text("mine\n", encoding="ascii")
        case "link":
            place.symlink_to(tmp_path)
        case "fifo":
            os.mkfifo(place)
        case _:
            (place / "mine").mkdir(parents=True)
    before = place.lstat().st_ino
    desk.board.add_task(description=script({"write": ["a.txt", "a\n"]}), complexity="major")
    said = desk.hpm(*RUN)
    listed = desk.hpm("worktree.list").stdout
    back = obey(desk, said.stderr, r"gone: (mv .*)\)")
    now = place.lstat().st_ino if os.path.lexists(place) else None
    assert (said.returncode, back.returncode, now, "MOVED ASIDE" in listed) == (0, 0, before, True)


def test_a_file_where_all_worktrees_go_is_moved_aside_and_told(desk: Desk) -> None:
    (desk.repo / ".worktrees").write_text("mine\n", encoding="ascii")
    said = desk.hpm("worktree.add", "--task-id", 1)
    (aside,) = desk.repo.glob(".worktrees.of-agent-*")
    assert (said.returncode, str(aside) in said.stderr, aside.read_bytes()) == (0, True, b"mine\n")


@pytest.mark.fault("F11")
def test_a_file_where_all_worktrees_are_configured_to_go_is_told_with_the_way_out(desk: Desk) -> None:
    base = desk.directory / "elsewhere"
    base.write_text("mine\n", encoding="ascii")
    desk.change(worktree_base=str(base))
    said = desk.hpm("worktree.add", "--task-id", 1)
    obey(desk, said.stderr, r"move it away: (mv .*)")
    assert desk.hpm("worktree.add", "--task-id", 1).returncode == 0


@pytest.mark.fault("F11")
def test_an_edited_trusted_file_is_a_line_of_health_with_the_command_that_approves_it(desk: Desk) -> None:
    settings = desk.repo / "invoke.yaml"
    settings.write_text("headless_pm:\n  max_attempts: 2\n", encoding="ascii")
    assert desk.hpm("trust").returncode == 0
    settings.write_text("headless_pm:\n  max_attempts: 3\n", encoding="ascii")
    said = desk.hpm("health").stdout
    obey(desk, said, r"(hpm trust --repo \S+)")
    again = desk.hpm("health").stdout
    assert ("FAIL  config: " in said, "board key: accepted" in said, "FAIL" in again) == (True, True, False)
