"""What is done when a step needs a decision: as ``--on-problem`` says, or as the operator answers (docs/design.md, Decisions)."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.board.lease import LockLost
from hpm_tools.errors import CannotCreate
from hpm_tools.runner.ending import Ending, EndingKind
from hpm_tools.runner.notice import Notice
from hpm_tools.state import prompts
from hpm_tools.text import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.prompts import Prompt
    from hpm_tools.state.record import Record

RETRY = "retry"
SKIP = "skip"
RELEASE = "release"
STOP = "stop"
PARK = "park"
ASK = "ask"
CHOICES = (RETRY, SKIP, RELEASE, STOP)
LOOK = 0.5
"""Seconds between looks for an answer."""


def policy(tools: Toolbox) -> str:
    """The configured way, or by default: ask on a terminal, otherwise release."""
    return tools.config.on_problem or (ASK if tools.ui.is_terminal else RELEASE)


@contextmanager
def answered(
    tools: Toolbox, record: Record, question: str, choices: Sequence[str], default: str
) -> Iterator[str]:
    """The operator's choice for the block, which journals what follows from it.

    The question stands until then, so that whoever kills us makes the next start ask again. It is answered
    at the terminal, if there is one, or by `hpm answer`, whichever comes first; the heartbeat goes on
    meanwhile. Raises Interrupted on a signal and LockLost when the task is no longer ours.
    """
    try:
        prompt = prompts.ask(
            tools.state,
            tools.agent_id,
            run_id=record.run_id,
            task_id=int(record.task_id),
            task_title=tools.clean(record.task_title or ""),
            question=tools.clean(question),
            choices=choices,
            default_choice=default,
        )
    except CannotCreate as error:
        tools.ui.warn(f"nobody can be asked, so it is {default}: {error.message}")
        yield default
        return
    try:
        _tell_opened(tools, record, prompt)
        with Notice(tools, prompt):
            prompt = _wait(tools, prompt)
        _tell_answered(tools, record, prompt)
        yield prompt.choice or default
    finally:
        prompts.withdraw(tools.state, tools.agent_id)


def _wait(tools: Toolbox, asked: Prompt) -> Prompt:
    def look() -> str | None:
        choice = prompts.current(tools.state, asked).choice
        if choice is None:
            tools.stop.check()
            if lost := tools.lost_reason():
                raise LockLost(lost)
        return choice

    failpoints.reach("prompt.waiting")
    if tools.ui.is_terminal:
        typed = tools.ui.ask(asked.question, asked.choices, asked.default_choice, elsewhere=look)
        return prompts.settle(tools.state, asked, typed, "the terminal")
    while look() is None:
        tools.stop.wait(LOOK)
    return prompts.current(tools.state, asked)


def _tell_opened(tools: Toolbox, record: Record, prompt: Prompt) -> None:
    tools.tell(
        "prompt_opened",
        record=record,
        prompt=prompt.id,
        question=prompt.question,
        choices=list(prompt.choices),
        default_choice=prompt.default_choice,
        text=f"task {prompt.task_id} waits for an answer: {prompt.question} - {prompt.how_to_answer}",
    )


def _tell_answered(tools: Toolbox, record: Record, prompt: Prompt) -> None:
    seconds = max(0.0, time.time() - prompt.opened_at)
    tools.tell(
        "prompt_answered",
        record=record,
        prompt=prompt.id,
        choice=prompt.choice,
        by=prompt.answered_by,
        seconds=round(seconds, 1),
        text=f"task {prompt.task_id}: answered {prompt.choice} by {prompt.answered_by}"
        f" after {duration(seconds)}",
    )


def consequence(choice: str, reason: str) -> Ending | None:
    """The ending that ``choice`` means; None for retry."""
    if choice == RETRY:
        return None
    return Ending(EndingKind.GIVEN_BACK, reason, skip=choice == SKIP, exit_code=1 if choice == STOP else -1)
