"""`claude.exec`, `claude.model`, `claude.check`: one supervised agent run, and what it would use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.commands.lock import AGENT, TOKEN
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.commands.results import Checks, ChosenModel
    from hpm_tools.executor.base import CheckLine
    from hpm_tools.executor.verdict import Verdict
    from hpm_tools.runner.health_line import Line
    from hpm_tools.ui import TerminalUI

DIFFICULTY = Arg("the task's difficulty, which decides the model", choices=names.LEVELS, check=names.level)


@command(
    "claude.exec",
    example="echo 'Add a --version flag' | hpm claude.exec --difficulty junior",
    args={
        "agent_id": AGENT,
        "token": TOKEN,
        "task_id": Arg(
            "the task that the run is for; it must be the agent's own", metavar="N", check=names.task_id
        ),
        "prompt_file": Arg("a file with the prompt of a bare run, instead of standard input", metavar="FILE"),
        "difficulty": DIFFICULTY,
        "model": Arg("the model, whatever the difficulty", metavar="M"),
        "cwd": Arg("where the agent works", metavar="DIR"),
        "timeout": Arg("seconds until the run is ended", metavar="S"),
        "executor": Arg("who does the work", choices=("claude", "command")),
        "repo": Arg("the repository of the task", metavar="DIR"),
    },
)
def exec_(
    ui: TerminalUI,
    *,
    agent_id: str | None = None,
    token: str | None = None,
    task_id: int | None = None,
    prompt_file: str | None = None,
    difficulty: str | None = None,
    model: str | None = None,
    cwd: str | None = None,
    timeout: float | None = None,
    executor: str | None = None,
    repo: str | None = None,
) -> Result[Verdict]:
    """Run an agent once, on its task or on your prompt.

    With --agent-id the task comes from the agent's record: under_work is set and read back first, child and
    session are journalled, the board hears from us every minute, and the run stops when the lock or the
    record's owner is gone. Without it the prompt comes from --prompt-file or standard input. The exit code is
    the verdict's: 0 done, 1 blocked, denied or nothing done, 75 limited, 78 no outcome, 124 timed out.
    """
    from hpm_tools.commands.common import toolbox
    from hpm_tools.runner import scripted
    from hpm_tools.runner.stop import Stop

    # Read the prompt first: until Stop is installed a signal ends the command at once. Afterwards it only sets
    # a flag, which nobody looks at while a read waits for somebody to type.
    prompt = _prompt(ui, prompt_file) if agent_id is None else ""
    with Stop().installed() as stop:
        tools = toolbox(
            ui,
            agent_id or "bare",
            repo=repo,
            stop=stop,
            claude_timeout=timeout,
            executor=executor,
            model=model,
        )
        try:
            if agent_id is None:
                verdict = scripted.run_bare(tools, prompt, difficulty=difficulty, cwd=cwd)
            else:
                with tools.command_guard():
                    verdict = scripted.run_for_task(
                        tools, scripted.held_record(tools, token), task_id=task_id, cwd=cwd
                    )
        finally:
            tools.close()
        stop.check()
    return Result(verdict, summary(verdict), verdict.exit_code)


def _prompt(ui: TerminalUI, prompt_file: str | None) -> str:
    from hpm_tools.commands.given import text_of
    from hpm_tools.errors import UsageError

    text = text_of(ui, prompt_file or "-", "the prompt")
    if not text.strip():
        raise UsageError("the prompt is empty", "pass it on standard input or with --prompt-file")
    return text


def summary(verdict: Verdict) -> str:
    """The verdict in words, as `claude.exec` prints it."""
    return "\n".join(
        [f"{verdict.kind}: {verdict.summary}", *(f"- {finding}" for finding in verdict.findings)]
    )


@command(
    "claude.model",
    example="hpm claude.model --difficulty senior --explain",
    reads=True,
    args={
        "difficulty": DIFFICULTY,
        "explain": Arg("why, and how tasks of each difficulty have fared with each model on this host"),
    },
)
def model(ui: TerminalUI, *, difficulty: str, explain: bool = False) -> Result[ChosenModel]:
    """Show the model that a task of this difficulty gets.

    Only the setting `models` changes it.
    """
    from hpm_tools.commands.common import warned_config
    from hpm_tools.executor.model import ModelMapper

    settings = warned_config(ui)
    chosen = ModelMapper(settings.models).model_for(difficulty)
    if not explain:
        return Result({"difficulty": difficulty, "model": chosen}, chosen)
    from hpm_tools.commands.figures_text import evidence_text
    from hpm_tools.runner.overview import evidence_here
    from hpm_tools.state.paths import StateDir

    found = evidence_here(StateDir(settings.home))
    source = settings.sources.get("models", "default")
    reason = f"{chosen}\n\n{difficulty} tasks get {chosen}: the setting models ({source}) says so"
    return Result(
        {"difficulty": difficulty, "model": chosen, "evidence": found}, f"{reason}\n\n{evidence_text(found)}"
    )


@command("claude.check", example="hpm claude.check", reads=True, args={})
def check(ui: TerminalUI) -> Result[Checks]:
    """Say whether the agent's program can run.

    Shows its version, login and permissions, too. Exit code 78 if it cannot run.
    """
    from hpm_tools.commands.common import toolbox
    from hpm_tools.errors import MISCONFIGURED

    lines = toolbox(ui, "check").executor.check()
    broken = any(line.ok is False for line in lines)
    return Result({"checks": lines}, check_text(lines, ui.columns), MISCONFIGURED if broken else 0)


MARKS = {True: "ok", None: "warn", False: "FAIL"}


def check_text(lines: Iterable[CheckLine | Line], width: int | None) -> str:
    """Check lines for a person, each failing one with what mends it."""
    from hpm_tools.text import fold, one_line

    shown = []
    for line in lines:
        shown.append(fold(f"{MARKS[line.ok]:4}  {line.name}: {one_line(line.text)}", width, indent=6))
        if line.hint and not line.ok:
            shown.append(f"      {one_line(line.hint)}")  # unbroken: commands are copied from it
    return "\n".join(shown)
