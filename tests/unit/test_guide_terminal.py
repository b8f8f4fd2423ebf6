"""TerminalUI says and asks what the guide promises: coloured messages, the task, a prompt that blocks."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools import HookRunner, ModelMapper, TerminalUI
from hpm_tools.errors import BadData, UsageError
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = {
    "id": 13,
    "title": "Add a login page",
    "target_role": "frontend_dev",
    "skill_level": "senior",
    "complexity": "major",
    "status": "created",
    "description": "With a form.\n\nAnd \x1b[31mno\x1b[0m password in the URL.",
}
ASK = "from hpm_tools import TerminalUI; ui = TerminalUI()\n"


@contextmanager
def terminal(code: str) -> Iterator[Terminal]:
    with Terminal([sys.executable, "-c", ASK + code], cwd=Path(os.environ["HOME"]), env=os.environ) as screen:
        yield screen


def test_messages_have_the_guides_four_kinds() -> None:
    told = io.StringIO()
    ui = TerminalUI(stderr=told, streams=False)
    ui.info("looking")
    ui.success("locked")
    ui.warning("no worktree")
    ui.error("no board")
    ui.progress("working")
    assert told.getvalue().splitlines() == ["looking", "locked", "warning: no worktree", "error: no board"]


def test_success_is_green_on_a_terminal() -> None:
    with terminal("ui.success('locked')") as screen:
        assert "\x1b[32m" in screen.wait_for("locked")


def test_display_task_shows_what_a_person_wants_to_know() -> None:
    told = io.StringIO()
    TerminalUI(stderr=told, streams=False).display_task(TASK)
    assert told.getvalue().splitlines() == [
        "task 13: Add a login page",
        "  role: frontend_dev, difficulty: senior, complexity: major, status: created",
        "  With a form. And no password in the URL.",
    ]


def test_prompt_waits_for_one_of_its_choices() -> None:
    with terminal("print('chosen', ui.prompt_user('What now?', ['Retry', 'Release task']))") as screen:
        screen.wait_for("What now? (Retry, Release task):")
        screen.type("\n")
        screen.wait_for("please answer with one of: Retry, Release task")
        screen.type("re\n")
        screen.type("rel\n")
        screen.wait_for("chosen Release task")


def test_prompt_without_a_terminal_returns_its_default_or_raises() -> None:
    code = (
        f"{ASK}print(ui.prompt_user('What now?', ['retry', 'release'], 'release'))\n"
        "ui.prompt_user('What now?', ['retry', 'release'])"
    )
    done = subprocess.run([sys.executable, "-c", code], input="retry\n", capture_output=True, text=True)
    assert done.stdout == "release\n"
    assert done.stderr.endswith("UsageError: nobody is there to answer: What now?\n")


def test_prompt_whose_terminal_ends_raises() -> None:
    code = (
        "from hpm_tools.errors import UsageError\n"
        "try:\n    ui.prompt_user('What now?', ['retry'])\n"
        "except UsageError as error:\n    print('refused:', error)"
    )
    with terminal(code) as screen:
        screen.wait_for("What now?")
        screen.type("\x04")
        screen.wait_for("refused: the input ended before the question was answered: What now?")


def test_hook_runner_takes_the_one_directory_of_the_hooks(tmp_path: Path) -> None:
    hook = tmp_path / "pre_task.sh"
    hook.write_text("#!/bin/sh\ncat; exit 3\n", encoding="utf-8")
    hook.chmod(0o755)
    for directory in (tmp_path, str(tmp_path)):
        outcome = HookRunner(directory).run_pre_task(TASK)
        assert not outcome.ok
        assert (outcome.path, outcome.returncode) == (hook, 3)
        assert '"task_title": "Add a login page"' in outcome.messages
    assert HookRunner(tmp_path).run_post_task(TASK, success=True, execution_time=1.5).ending == "missing"
    hook.rename(tmp_path / "health_check.sh")
    assert HookRunner(tmp_path).run_health_check().returncode == 3
    with pytest.raises(BadData, match="cannot be JSON"):
        HookRunner(tmp_path).run_pre_task({"id": 1, "complexity": object()})


def test_hook_runner_without_a_directory_has_the_hooks_that_come_along() -> None:
    assert {"pre_task", "post_task", "health_check"} <= {hook.name for hook in HookRunner().list()}


def test_model_mapper_has_the_earlier_runners_call() -> None:
    assert ModelMapper().get_model("principal") == "opus"
    with pytest.raises(UsageError, match="unknown difficulty 'wizard'"):
        ModelMapper().get_model("wizard")
