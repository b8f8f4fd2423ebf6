"""`prompts`, `answer`: the questions that runners wait with under `--on-problem ask`, and answering one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.commands.lock import AGENT
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.commands.results import AnsweredPrompt, OpenPrompt, OpenPrompts
    from hpm_tools.state.prompts import Prompt
    from hpm_tools.ui import TerminalUI

CHOICES = ("retry", "skip", "release", "stop", "park")


@command("prompts", example="hpm prompts --json", reads=True, args={})
def prompts(ui: TerminalUI) -> Result[OpenPrompts]:
    """List the questions that runners here wait with.

    Shows of each its agent and task, since when it waits, and the choices. Exit code 3 if there is none.
    """
    from hpm_tools.errors import NothingToDo
    from hpm_tools.state.paths import StateDir
    from hpm_tools.state.prompts import all_waiting

    found = all_waiting(StateDir())
    if not found:
        raise NothingToDo("no runner here waits for an answer", "a runner asks under --on-problem ask")
    data: OpenPrompts = {"prompts": [open_prompt(prompt) for prompt in found]}
    return Result(data, "\n\n".join(_paragraph(prompt, ui.columns) for prompt in found))


def open_prompt(prompt: Prompt) -> OpenPrompt:
    """One question as the commands publish it."""
    return {
        "prompt": prompt.id,
        "agent_id": prompt.agent_id,
        "task_id": prompt.task_id,
        "title": prompt.task_title,
        "opened_at": prompt.opened_at,
        "question": prompt.question,
        "choices": list(prompt.choices),
        "default_choice": prompt.default_choice,
    }


def _paragraph(prompt: Prompt, width: int | None) -> str:
    """A question is as long as what a hook or an agent said: it reads better below than in a column."""
    from hpm_tools.text import age, fold, one_line

    head = f"{prompt.agent_id}  task {prompt.task_id}  {age(prompt.opened_at)} ago  {prompt.id}"
    body = fold("  " + one_line(prompt.question), width, indent=2)
    return f"{head}\n{body}\n  {prompt.how_to_answer}"


@command(
    "answer",
    example="hpm answer --agent-id dev_001 --choice retry",
    args={
        "agent_id": AGENT,
        "choice": Arg("one of the choices that `hpm prompts` shows", choices=CHOICES),
        "prompt": Arg("only if this is the question that is open, as `hpm prompts` shows it", metavar="ID"),
    },
)
def answer(
    ui: TerminalUI, *, agent_id: str, choice: str, prompt: str | None = None
) -> Result[AnsweredPrompt]:
    """Answer the question that a runner waits with.

    The runner goes on within a second. Exit code 3 if it asks nothing, 65 if its question is not --prompt, 75
    if it was answered otherwise.
    """
    from hpm_tools.state import prompts as questions
    from hpm_tools.state.paths import StateDir

    answered = questions.answer(StateDir(), agent_id, choice, prompt_id=prompt)
    data: AnsweredPrompt = {
        "prompt": answered.id,
        "agent_id": answered.agent_id,
        "task_id": answered.task_id,
        "choice": choice,
    }
    return Result(data, choice)
