"""Text of boards, agents, hooks and file names cannot drive the terminal of whoever looks on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import CRUEL, UNSAFE, python, sentence
from tests.support.runners import Desk, script
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

ON_BOARD = CRUEL.replace("\x00", "")
"""The board takes no NUL."""

SHOUT = """
    import json, os, sys
    cruel = {cruel!r}
    for stream in (sys.stdout, sys.stderr):
        stream.buffer.write(cruel.encode("utf-8", "surrogatepass") + b"\\xff\\n")
        stream.flush()
    os.makedirs("nested " + {name!r} + "/.git")
    open("nested " + {name!r} + "/.git/HEAD", "w").write("ref: refs/heads/main\\n")
    os.makedirs("nested " + {name!r} + "/.git/objects")
    os.makedirs("nested " + {name!r} + "/.git/refs")
    open("nested " + {name!r} + "/file", "w").write("x")
    open("left " + {name!r}, "w").write("x")
    outcome = {{"status": "blocked", "summary": "I am " + cruel, "findings": [cruel]}}
    json.dump(outcome, open(os.environ["HPM_OUTCOME_FILE"], "w"))
"""

HOOK = """
import sys
for stream in (sys.stdout, sys.stderr):
    stream.buffer.write({cruel!r}.encode() + b"\\xff\\n")
sys.exit({code})
"""


@pytest.fixture
def desk(desk: Desk, tmp_path: Path) -> Desk:
    hooks = tmp_path / "hooks"
    hooks.mkdir(mode=0o700)
    for name, code in {"pre_task": 0, "post_task": 1, "health_check": 0}.items():
        (hooks / f"{name}.py").write_text(HOOK.format(cruel=CRUEL, code=code), encoding="utf-8")
    desk.change(hooks_dir=str(hooks))
    agent = python(SHOUT.format(cruel=CRUEL, name=ON_BOARD.replace("/", "")))
    desk.board.add_task(
        description=script(agent, outcome=None), complexity="major", title=ON_BOARD, branch=ON_BOARD
    )
    held = desk.board.add_task(complexity="major", title=f"held {ON_BOARD}")
    evil = f"evil{ON_BOARD}"[:90]
    desk.board.register(evil, "backend_dev")
    assert desk.board.lock(held["id"], evil).status == 200
    return desk


def clean(shown: str) -> bool:
    found = UNSAFE.search(sentence(shown))
    assert found is None, (found, shown[max(0, found.start() - 80) : found.end() + 80])
    return True


RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
AFTERWARDS = (
    ("pm.tasks",),
    ("pm.task", "--task-id", "1"),
    ("pm.next", "--role", "backend_dev"),
    ("lock", "--agent-id", "dev_001", "--task-id", "2"),
    ("lock", "--agent-id", "dev_001", "--task-id", "1"),
    ("locks",),
    ("worktree.list",),
    ("worktree.remove", "--task-id", "1"),
    ("worktree.prune", "--salvage", "--older-than", "0"),
    ("hooks.run", "--name", "pre_task"),
    ("hooks.run", "--name", "post_task"),
    ("hooks.list",),
    ("health",),
    ("unlock", "--agent-id", "dev_001"),
)


@pytest.mark.extended
def test_in_a_pipe_nothing_but_text_is_written(desk: Desk) -> None:
    done = desk.hpm(*RUN, "-v")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fix cod.exe now" in done.stdout
    assert "the post_task hook failed" in done.stderr
    assert "stays: " in done.stderr
    assert clean(done.stdout)
    assert clean(done.stderr)
    for words in (*AFTERWARDS, ("pm.tasks", "--json"), ("worktree.list", "--json")):
        shown = desk.hpm(*words)
        assert shown.returncode < 100, shown.stderr
        assert clean(shown.stdout)
        assert clean(shown.stderr)


@pytest.mark.fault("characters-hostile")
def test_on_a_terminal_nothing_but_our_own_sequences_is_written(desk: Desk) -> None:
    program = [sys.executable, "-m", "hpm_tools.cli.hpm"]
    with Terminal([*program, *RUN], cwd=desk.repo, env=desk.environment, columns=200) as terminal:
        asked = terminal.wait_for("is about to be parked")
        assert "fix cod.exe now" in asked
        terminal.type("park\n")
        assert terminal.wait() == 1, terminal.screen
        assert clean(terminal.screen)
    for words in AFTERWARDS[:1] + AFTERWARDS[5:10]:
        with Terminal([*program, *words], cwd=desk.repo, env=desk.environment) as terminal:
            terminal.wait()
            assert clean(terminal.screen)
