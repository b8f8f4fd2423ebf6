"""Questions that a runner has for its operator: asked in a file, answered from any shell, once.

``locks/agent-{id}.prompt`` is there from the moment a runner asks until what follows from the answer is
journalled. Only a runner that lives waits: where its guard is free, or held by its next start that has not
yet removed the old question, nobody does.
"""

from __future__ import annotations

import os
import time

from hpm_tools import failpoints, names
from hpm_tools.errors import Held, HpmError, NotFound, NothingToDo, UsageError
from hpm_tools.state import files, guard, quickjson
from hpm_tools.state.holder import DEAD, holder_alive, holder_fields
from hpm_tools.state.paths import AGENT_PREFIX, PROMPT_SUFFIX
from hpm_tools.state.record import PROCESS, RUNNER, SCHEMA, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from hpm_tools.state.paths import StateDir

READ_LIMIT = 64 << 10
LONGEST_QUESTION = 2000
"""Characters: the question may quote a hook or git at any length."""

_TEXTS = ("id", "agent_id", "run_id", "question", "default_choice")


class Prompt:
    """One question of one agent; ``choice`` is its answer, None while it waits for one.

    ``opened_at`` is Unix time; ``answered_by`` says from where (a terminal, ``hpm answer``…); ``asker`` is
    the process that waits, as holder.holder_fields describes it.
    """

    __slots__ = (
        "agent_id",
        "answered_by",
        "asker",
        "choice",
        "choices",
        "default_choice",
        "id",
        "opened_at",
        "question",
        "run_id",
        "task_id",
        "task_title",
    )

    def __init__(
        self,
        *,
        id: str,
        agent_id: str,
        run_id: str,
        task_id: int,
        task_title: str,
        question: str,
        choices: Sequence[str],
        default_choice: str,
        opened_at: float,
        asker: dict[str, Any],
        choice: str | None = None,
        answered_by: str | None = None,
    ) -> None:
        self.id = id
        self.agent_id = agent_id
        self.run_id = run_id
        self.task_id = task_id
        self.task_title = task_title
        self.question = question
        self.choices = tuple(choices)
        self.default_choice = default_choice
        self.opened_at = opened_at
        self.asker = asker
        self.choice = choice
        self.answered_by = answered_by

    def waits(self, guard_held: bool) -> bool:
        """Whether its asker lives, as far as can be proven, and waits; ``guard_held``: the agent's guard is."""
        asker = Record({**self.asker, "schema": SCHEMA, "holder": PROCESS})
        return guard_held and holder_alive(asker, guard_held) != DEAD

    @property
    def how_to_answer(self) -> str:
        """A command that answers it as it stands, then the other choices."""
        first, *others = self.choices
        return f"hpm answer --agent-id {self.agent_id} --choice {first} (or {', '.join(others)})"

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "choices": list(self.choices)}


def ask(
    state: StateDir,
    agent_id: str,
    *,
    run_id: str,
    task_id: int,
    task_title: str,
    question: str,
    choices: Sequence[str],
    default_choice: str,
) -> Prompt:
    """Put a question for ``agent_id``, whose guard the caller holds, in place of any older one."""
    prompt = Prompt(
        id=os.urandom(4).hex(),
        agent_id=agent_id,
        run_id=run_id,
        task_id=task_id,
        task_title=task_title,
        question=question if len(question) <= LONGEST_QUESTION else question[: LONGEST_QUESTION - 1] + "…",
        choices=choices,
        default_choice=default_choice,
        opened_at=time.time(),
        asker=holder_fields(RUNNER),
    )
    failpoints.reach("prompt.asking")
    _write(state.prompt_file(agent_id), prompt)
    failpoints.reach("prompt.asked")
    return prompt


def waiting(state: StateDir, agent_id: str) -> Prompt | None:
    """The question of ``agent_id`` that a living runner waits with; None if there is none."""
    path = state.prompt_file(agent_id)
    if not os.path.lexists(path):
        return None
    try:
        prompt = _parse(files.read_capped(path, READ_LIMIT))
    except HpmError:
        return None
    if prompt is None or prompt.choice is not None:
        return None
    return prompt if prompt.waits(guard.held(state.guard_file(agent_id))) else None


def all_waiting(state: StateDir) -> list[Prompt]:
    """The questions that living runners on this host wait with, the oldest first."""
    if not state.check():
        return []
    found = (waiting(state, agent) for agent in sorted(_askers(state)))
    return sorted((prompt for prompt in found if prompt is not None), key=lambda prompt: prompt.opened_at)


def answer(
    state: StateDir, agent_id: str, choice: str, *, prompt_id: str | None = None, by: str = "hpm answer"
) -> Prompt:
    """Answer the question of ``agent_id``, which its runner takes within a second; returns it as answered.

    The same answer once more is a success. Raises NothingToDo when nobody waits for an answer, NotFound when
    the question is not the one called ``prompt_id``, Held when it was answered otherwise, and UsageError for
    a ``choice`` that it does not offer.
    """
    names.agent_id(agent_id)
    path = state.prompt_file(agent_id)
    with files.Exclusive(path) as file:
        prompt = _parse(file.read(READ_LIMIT)) if file.exists else None
        if prompt is None or not prompt.waits(guard.held(state.guard_file(agent_id))):
            raise NothingToDo(f"agent {agent_id} asks nothing", "hpm prompts lists the open questions")
        if prompt_id not in (None, prompt.id):
            raise NotFound(
                f"agent {agent_id} does not ask {prompt_id} any more, but {prompt.id}: {prompt.question}",
                f"hpm answer --agent-id {agent_id} --prompt {prompt.id} --choice {prompt.choices[0]}",
            )
        if choice not in prompt.choices:
            raise UsageError(
                f"{choice!r} is no answer to: {prompt.question}", f"choose one of {', '.join(prompt.choices)}"
            )
        if prompt.choice not in (None, choice):
            raise Held(
                f"agent {agent_id} was already answered {prompt.choice}, by {prompt.answered_by}",
                "hpm prompts lists the questions that are open",
            )
        if prompt.choice is None:
            prompt.choice, prompt.answered_by = choice, by
            failpoints.reach("prompt.answering")
            _write(path, prompt)
            failpoints.reach("prompt.answered")
    return prompt


def current(state: StateDir, prompt: Prompt) -> Prompt:
    """``prompt`` as it stands now, for the runner that asked it; as it was if its file is gone or damaged."""
    try:
        found = _parse(files.read_capped(state.prompt_file(prompt.agent_id), READ_LIMIT))
    except HpmError:
        return prompt
    return found if found is not None and found.id == prompt.id else prompt


def settle(state: StateDir, prompt: Prompt, choice: str, by: str) -> Prompt:
    """The asker's own answer, as typed at its terminal, unless somebody else's came first; the one that counts."""
    try:
        return answer(state, prompt.agent_id, choice, prompt_id=prompt.id, by=by)
    except HpmError:
        # Somebody else's came first, or the disk is full: then what was typed counts all the same.
        found = current(state, prompt)
        if found.choice is None:
            found.choice, found.answered_by = choice, by
        return found


def withdraw(state: StateDir, agent_id: str) -> bool:
    """Take back the question of ``agent_id``, whose guard the caller holds; False if there was none."""
    path = state.prompt_file(agent_id)
    if not os.path.lexists(path):
        return False
    try:
        with files.Exclusive(path):
            failpoints.reach("prompt.withdrawing")
            files.remove(path)
    except FileNotFoundError:
        return False
    except files.NotARegularFile:
        files.remove(path)
    failpoints.reach("prompt.withdrawn")
    return True


def _write(path: str, prompt: Prompt) -> None:
    files.atomic_write(path, quickjson.dumps(prompt.to_json()))


def _parse(data: bytes | None) -> Prompt | None:
    """None for a file that is missing or damaged: its runner waits on and can be ended."""
    try:
        fields = quickjson.loads(data or b"")
        prompt = Prompt(**fields)
    except (ValueError, TypeError):
        return None
    texts = all(isinstance(getattr(prompt, name), str) for name in _TEXTS)
    choices = all(isinstance(choice, str) for choice in prompt.choices)
    moment = isinstance(prompt.opened_at, int | float)
    return prompt if texts and choices and moment and isinstance(prompt.asker, dict) else None


def _askers(state: StateDir) -> set[str]:
    stems = (name.removeprefix(AGENT_PREFIX) for name in os.listdir(state.locks))
    found = (stem.removesuffix(PROMPT_SUFFIX) for stem in stems if stem.endswith(PROMPT_SUFFIX))
    return {agent for agent in found if _is_agent(agent)}


def _is_agent(text: str) -> bool:
    try:
        return bool(names.agent_id(text))
    except HpmError:
        return False
