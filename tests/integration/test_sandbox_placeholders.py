"""What an agent's sandbox leaves, under whatever names: no work, no tampering, and gone at the end of the run."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.process.tree import carriers, end_carriers
from tests.support.fixtures_desk import WRITE
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.fixtures_desk import ClaudeDesk

SPIN = {"bash": "python3 -c 'import time; time.sleep(600)'"}
OF_A_RUN = ("objects", "logs", "refs", "hpm", "index", "COMMIT_EDITMSG", "worktrees")
"""What every run changes in git's directory, and its last worktree's removal."""

FUTURE = """
umask 022
: > .newcli.toml; : > Makefile.guard; mkdir -p .newcli/rules deploy/hooks
: > .newcli/rules/one; : > deploy/hooks/two
chmod 444 .newcli.toml Makefile.guard .newcli/rules/one deploy/hooks/two
mkdir -p .newcli/.holds/below
git=$(git rev-parse --git-common-dir); own=$(git rev-parse --absolute-git-dir)
mkdir -p "$git/objects/info/.newcli" "$git/refs/.newcli"
: > "$git/info/.newcli"; : > "$git/objects/.newcli"; : > "$git/sequencer-guard"; : > "$own/NEWCLI_HEAD"
: > "$git/newcli.lock"; chmod 444 "$git/newcli.lock"
"""
"""The placeholders of a program that is not written yet: in the checkout read-only, in git's directories not all."""
IN_HOOKS = 'mkdir -p "$(git rev-parse --git-common-dir)/hooks/.newcli-holds/below"'


def entries(repo: Path) -> list[str]:
    """All that is in a repository's directories but what runs change on purpose."""
    found = []
    for here, directories, files in os.walk(repo):
        if here == str(repo / ".git"):
            kept = [name for name in directories if name not in OF_A_RUN]
            directories[:] = [*kept, *(name for name in ("objects", "refs") if name in directories)]
        inside = Path(here).relative_to(repo)
        git = inside.parts[:2]
        for name in [*directories, *files]:
            if git == (".git", "objects") and inside == Path(".git/objects") and len(name) == 2:
                continue
            if git == (".git", "objects") and len(inside.parts) > 2 and inside.parts[2] != "info":
                continue
            if git == (".git", "refs") and ".newcli" not in (name, *inside.parts):
                continue
            if inside == Path(".git") and name in OF_A_RUN:
                continue
            found.append(str(inside / name))
    return sorted(found)


def status(desk: Desk) -> str:
    return desk.git("status", "--porcelain", "--ignored")


@pytest.fixture
def desk(desk: Desk) -> Desk:
    (desk.repo / ".git" / "info" / "exclude").write_text("/.worktrees/\n", encoding="ascii")
    return desk


def shell(text: str) -> dict[str, Any]:
    return {"run": ["sh", "-c", text]}


def tampering(desk: Desk) -> list[str]:
    return [line for line in desk.hpm("events").stdout.splitlines() if "was added" in line]


@pytest.mark.fault("E11")
@pytest.mark.needs("bwrap", "claude")
@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.extended)])
def test_git_and_checkout_are_as_before_a_sandboxed_run_of_the_real_cli(
    claude_desk: ClaudeDesk, killed: bool
) -> None:
    desk = claude_desk
    desk.change(claude={"sandbox": True})
    before, was = entries(desk.repo), status(desk)
    command = SPIN if killed else {"bash": "python3 -c 'print(1)'"}
    desk.play_turns([WRITE, command], [])
    desk.board.add_task(complexity="minor")
    if killed:
        with desk.begin() as runner:
            wait_until((desk.repo / ".bashrc").exists, what="the sandbox")
            runner.signal(signal.SIGKILL)
            runner.wait()
        record = desk.record()
        assert record is not None
        while carriers(record["run_id"]):
            end_carriers(record["run_id"], 0.0)
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (entries(desk.repo), status(desk)) == (sorted([*before, "hello.txt"]), was)


@pytest.mark.fault("E11")
@pytest.mark.parametrize("complexity", ["minor", "major"])
def test_placeholders_of_a_program_that_is_not_known_are_no_work_and_go(desk: Desk, complexity: str) -> None:
    before, was = entries(desk.repo), status(desk)
    acts = [shell(FUTURE), *([shell(IN_HOOKS)] if complexity == "major" else [])]
    task = desk.board.add_task(description=script(*acts), complexity=complexity)
    done = desk.run_single()
    branches = desk.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    changed = [desk.git("diff", "--name-only", "main", branch) for branch in branches]
    now = desk.board.task(task["id"])["status"]
    left = [name for name in entries(desk.repo) if not name.startswith(".worktrees")]
    assert (
        done.returncode,
        now,
        changed,
        tampering(desk),
        left,
        status(desk).replace("!! .worktrees/", ""),
    ) == (
        1,
        "pending",
        [""] * len(branches),
        [],
        before,
        was,
    )


@pytest.mark.fault("E11")
@pytest.mark.parametrize("complexity", ["minor", "major"])
def test_placeholders_of_an_agent_whose_runner_was_killed_go_at_the_restart(
    desk: Desk, tmp_path: Path, complexity: str
) -> None:
    before, base = entries(desk.repo), desk.git("rev-parse", "HEAD")
    go = tmp_path / "go"
    acts = (shell(f"test -e {go} || {{ {FUTURE} }}"), shell(f"echo a > a.txt; : > empty.py; : > {go}"))
    desk.board.add_task(
        description=script(*acts, shell(f"test -e {go}.on || {{ : > {go}.on; sleep 600; }}")),
        complexity=complexity,
    )
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until(Path(f"{go}.on").exists, what="the agent's placeholders")
        runner.signal(signal.SIGKILL)
        runner.wait()
    done = desk.run_single()
    work = ["a.txt", "empty.py"]
    committed = desk.git("log", "--all", "--not", base, "--name-only", "--format=").split()
    left = [name for name in entries(desk.repo) if not name.startswith(".worktrees")]
    own = work if complexity == "minor" else []
    assert (done.returncode, committed, left) == (0, work, sorted([*before, *own]))


@pytest.mark.fault("E11")
def test_while_another_agent_lives_in_the_repository_its_mounts_stay(desk: Desk, tmp_path: Path) -> None:
    before = entries(desk.repo)
    guard = desk.repo / ".git" / "info" / ".newcli"
    for number in (1, 2):
        acts = [shell(f": > {guard}; : > {tmp_path}/at{number}"), {"wait_for": f"{tmp_path}/go{number}"}]
        desk.board.add_task(
            description=script(*acts, {"write": ["a.txt", f"{number}\n"]}), complexity="major"
        )
    run = ("run", "--role", "backend_dev", "--single-task", "--agent-id")
    with desk.start(*run, "dev_001") as first:
        wait_until((tmp_path / "at1").exists, what="the first agent")
        with desk.start(*run, "dev_002") as second:
            wait_until((tmp_path / "at2").exists, what="the second agent")
            (tmp_path / "go1").touch()
            assert first.wait() == 0, first.output()
            assert guard.exists()
            (tmp_path / "go2").touch()
            assert second.wait() == 0, second.output()
    assert [name for name in entries(desk.repo) if not name.startswith(".worktrees")] == before


@pytest.mark.needs("bwrap")
def test_what_a_persons_own_sandbox_has_mounted_stays(desk: Desk, tmp_path: Path) -> None:
    guard, go = desk.repo / ".git" / "info" / ".newcli", tmp_path / "go"
    desk.board.add_task(description=script({"wait_for": str(go)}, {"write": ["a.txt", "a\n"]}))
    mounting = ["bwrap", "--bind", "/", "/", "--ro-bind", "/dev/null", str(guard), "--die-with-parent"]
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until(desk.agent_starts, what="the agent")
        argv = [*mounting, "sh", "-c", f": > {go}; exec sleep 600"]
        with subprocess.Popen(argv, env={"PATH": os.environ["PATH"]}) as sandbox:
            try:
                assert runner.wait() == 0, runner.output()
                assert guard.exists()
            finally:
                sandbox.kill()


def test_what_was_there_before_or_says_something_stays(desk: Desk) -> None:
    git = desk.repo / ".git"
    (git / "empty-since-ever").touch()
    (git / "branches" / "below").mkdir(parents=True)
    guard = desk.repo / ".kept-by-me"
    guard.touch(0o444)
    making = f": > {git}/other.lock; : > {git}/git-daemon-export-ok; echo x > {git}/said; mkdir {git}/half; : > {git}/half/mark; echo 1 > {git}/half/on"
    emptied = f": > {git}/description; : > shop/__init__.py"
    desk.board.add_task(
        description=script(shell(f"{making}; mkdir shop; {emptied}; ln -s /nowhere .link")),
        complexity="minor",
    )
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("show", "--name-only", "--format=").split() == [".link", "shop/__init__.py"]
    names = (
        "empty-since-ever",
        "branches/below",
        "other.lock",
        "git-daemon-export-ok",
        "said",
        "half/mark",
        "half/on",
        "description",
    )
    assert [name for name in names if not (git / name).exists()] == []
    assert guard.exists()


@pytest.mark.parametrize("begun", ["git merge -q side", "git rebase -q side"])
def test_the_empty_marks_of_an_unfinished_operation_of_git_stay(desk: Desk, begun: str) -> None:
    two_sides = (
        "git checkout -q -b side; echo one > a.txt; git add a.txt; git commit -qm one; git checkout -q main; "
        "echo two > a.txt; git add a.txt; git commit -qm two"
    )
    marks = "find .git/MERGE* .git/rebase-merge -empty -type f 2>/dev/null"
    listed = desk.directory / "marks"
    desk.board.add_task(
        description=script(shell(f"{two_sides}; {begun}; {marks} > {listed}; test -s {listed}")),
        complexity="minor",
    )
    desk.run_single()
    names = listed.read_text(encoding="ascii").split()
    assert names
    assert [name for name in names if not (desk.repo / name).exists()] == []
