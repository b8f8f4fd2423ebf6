"""What the board says, typed and validated at its edge (field names and values: the board's OpenAPI).

Fields we do not know are ignored. A value of the wrong type, an unknown status, role or level, or a time
that is none makes the whole object invalid. Times stay the texts the board wrote: naive UTC, ISO 8601,
with the fraction absent when it is zero.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from hpm_tools.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["frontend_dev", "backend_dev", "qa", "architect", "pm"]
Level = Literal["junior", "senior", "principal"]
Complexity = Literal["minor", "major"]
Status = Literal[
    "pending",
    "created",
    "under_work",
    "dev_done",
    "qa_done",
    "documentation_done",
    "committed",
    "evaluation",
    "approved",
]
Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Time = Annotated[
    str,
    msgspec.Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?\Z", max_length=40),
]

FULLSTACK = "fullstack_dev"
FULLSTACK_ROLES = ("backend_dev", "frontend_dev")


def board_role(role: str) -> str:
    """The role to register as: the board has role instructions for ``fullstack_dev`` but answers it 422."""
    return FULLSTACK_ROLES[0] if role == FULLSTACK else role


def polled_roles(role: str) -> tuple[str, ...]:
    """The board's roles whose tasks an agent of ``role`` may take."""
    return FULLSTACK_ROLES if role == FULLSTACK else (role,)


def moment(text: str) -> datetime:
    """The instant that a time of the board names; BadData if it names none."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadData(f"not a time of the board: {text[:40]!r}") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task. ``id`` is reused by the real board after a delete: id and ``created_at`` together name it."""

    id: Id
    feature_id: int
    epic_id: int
    title: str
    description: str
    created_by: str
    target_role: Role
    difficulty: Level
    complexity: Complexity
    branch: str
    status: Status
    created_at: Time
    updated_at: Time
    locked_by: str | None = None
    locked_at: Time | None = None
    notes: str | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Task:
        """A task from decoded JSON, such as a record's or a command line's; BadData names what is wrong.

        ``skill_level`` is accepted for ``difficulty``.
        """
        fields = dict(data)
        if fields.get("difficulty") is None and "skill_level" in fields:
            fields["difficulty"] = fields["skill_level"]
        try:
            return msgspec.convert(fields, cls)
        except msgspec.ValidationError as error:
            raise BadData(
                f"not a task of the board: {error}",
                "take the task with hpm lock --agent-id A --task-id N, which asks the board",
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The fields as decoded JSON."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that registered once; ``last_seen`` is moved by registering alone."""

    id: int
    agent_id: str
    role: Role
    level: Level
    last_seen: Time
    connection_type: str | None = None


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """The board's answer to a registration, and what had been asked for. ``act``: its number in the SeenLog."""

    agent: Agent
    asked_role: str
    asked_level: str
    act: int = 0

    @property
    def differs(self) -> str:
        """How the registered agent differs from the one asked for, for a warning; "" if it does not.

        The board keeps the role and level of an agent's first registration and says nothing.
        """
        agent = self.agent
        if (agent.role, agent.level) == (self.asked_role, self.asked_level):
            return ""
        return (
            f"the board keeps agent {agent.agent_id} as {agent.level} {agent.role}, "
            f"not as {self.asked_level} {self.asked_role}"
        )


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the changelog: one PUT of a status. Locks and comments leave none."""

    id: int
    task_id: int
    old_status: Status
    new_status: Status
    changed_by: str
    changed_at: Time
    notes: str | None = None


class Epic(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    name: str
    description: str
    created_at: Time


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    epic_id: int
    name: str
    description: str


class Context(msgspec.Struct, frozen=True, kw_only=True):
    project_name: str
    shared_path: str
    instructions_path: str
    project_docs_path: str
    database_type: str


class BoardHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The board's /health. ``status`` may be ``degraded`` for reasons of no concern (its dashboard).

    ``exact_lock``: locking is atomic and ``expect_lock`` is understood. ``cheap_wait``: a long poll costs
    the board no thread. The real board advertises neither. ``seconds`` is how long the answer took.
    """

    status: str
    service: str = ""
    version: str = ""
    database: str = ""
    timestamp: Time | None = None
    exact_lock: bool = False
    cheap_wait: bool = False
    seconds: float = 0.0
