"""What every executor takes and gives: one job in, one run out, for Claude Code or any other program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from hpm_tools.errors import BadData, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hpm_tools.executor.tokens import Tokens
    from hpm_tools.process.supervise import Child, Clocks, Ending

OutcomeStatus = Literal["done", "blocked", "failed", "rejected"]
OUTCOME_STATUSES: tuple[OutcomeStatus, ...] = get_args(OutcomeStatus)

OUTCOME_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {
            "type": "string",
            "enum": list(OUTCOME_STATUSES),
            "description": "done: the task is complete. blocked: something outside your reach is missing. "
            "failed: you tried and could not. rejected: (qa only) the work under test has faults.",
        },
        "summary": {"type": "string", "description": "What you did or found, in one to five sentences."},
        "no_change": {
            "type": "boolean",
            "description": "true only if the task is done and rightly needed no change to any file; "
            "the summary then explains why.",
        },
        "findings": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Faults found, or what blocks the task; one per entry.",
        },
    },
    "required": ["status", "summary"],
    "additionalProperties": False,
}
"""What an agent says about its own work, as JSON Schema: Claude's structured output, and the outcome file."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The agent's own statement; never proof by itself."""

    status: OutcomeStatus
    summary: str
    no_change: bool = False
    findings: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object) -> Outcome:
        """Read ``data`` (decoded JSON in the shape of OUTCOME_SCHEMA); raises BadData naming the fault."""
        if not isinstance(data, dict):
            raise BadData(f"an outcome is a JSON object, not {type(data).__name__}")
        status, summary = data.get("status"), data.get("summary", "")
        if status not in OUTCOME_STATUSES:
            raise BadData(f"outcome status {status!r} is none of {', '.join(OUTCOME_STATUSES)}")
        no_change, findings = data.get("no_change", False), data.get("findings", [])
        if not isinstance(summary, str) or not isinstance(no_change, bool):
            raise BadData("an outcome's summary is text and its no_change is true or false")
        if not isinstance(findings, list) or not all(isinstance(item, str) for item in findings):
            raise BadData("an outcome's findings are a list of texts")
        return cls(status, summary.strip(), no_change, tuple(findings))


@dataclass(frozen=True, slots=True)
class Denial:
    """One tool call that the permissions refused. ``by_policy``: refused by a rule of ours, on purpose."""

    tool: str
    what: str
    by_policy: bool = False

    def __str__(self) -> str:
        return f"{self.tool}: {self.what}" if self.what else self.tool


@dataclass(frozen=True, slots=True)
class AgentJob:
    """One invocation of an agent.

    ``env`` is added to the allowlisted environment of the executor. ``session_cost_usd`` is what the
    session had reported in total when its last run ended: a resumed CLI may report cumulative costs.
    ``budget_usd`` limits this invocation; None means no limit. ``run_id`` is the cookie in the
    environment of every process of the run. With ``resume`` the session ``session_id`` is continued, told
    ``resume_prompt``; ``prompt`` must be complete all the same, for the session may turn out to be lost.
    """

    prompt: str
    cwd: Path
    agent_id: str
    run_id: str
    session_id: str
    clocks: Clocks
    task: Mapping[str, Any] | None = None
    role: str = ""
    difficulty: str = ""
    model: str | None = None
    resume: bool = False
    resume_prompt: str | None = None
    session_cost_usd: float = 0.0
    budget_usd: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    log_path: Path | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What the agent is doing now, for a status line: foreign text, not yet cleaned for a terminal."""

    text: str
    turns: int = 0
    cost_usd: float | None = None

    @property
    def sentence(self) -> str:
        """``turn 7 · $0.42 · Edit src/shop.py``, without what is not known."""
        turn = f"turn {self.turns}" if self.turns else ""
        cost = "" if self.cost_usd is None else f"${self.cost_usd:.2f}"
        return " · ".join(filter(None, (turn, cost, self.text)))


@dataclass(frozen=True, slots=True)
class AgentRun:
    """Everything known about one finished invocation; `verdict.classify` judges it.

    ``started``: the agent produced its first event. ``began``: it did something, of which its task could be the
    cause. ``finished``: it delivered a final result. ``concluded``: ``outcome`` was concluded from an exit
    code, and is not the agent's own word. ``undecided``: it ended with 0 and no outcome, and no setting says what that means.
    ``cost_usd`` is what this invocation cost (None: unknown), an estimate if ``cost_estimated``;
    ``session_cost_usd`` is what to pass as the next job's. ``resets_at`` is seconds since the epoch.
    ``session_id`` is the session to resume, which differs from the job's if that one was lost.
    """

    session_id: str
    ending: Ending
    returncode: int | None
    outcome: Outcome | None = None
    concluded: bool = False
    undecided: bool = False
    started: bool = False
    began: bool = True
    finished: bool = False
    is_error: bool = False
    subtype: str = ""
    api_error_status: int | None = None
    api_error: str = ""
    terminal_reason: str = ""
    stop_reason: str = ""
    denials: Sequence[Denial] = ()
    errors: Sequence[str] = ()
    result_text: str = ""
    turns: int = 0
    tool_uses: int = 0
    cost_usd: float | None = None
    cost_estimated: bool = False
    session_cost_usd: float = 0.0
    tokens: Tokens | None = None
    model: str = ""
    cli_version: str = ""
    resets_at: float | None = None
    limit_kind: str = ""
    seconds: float = 0.0
    stderr_tail: str = ""
    survivors: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line of ``health`` about an executor: ``ok`` None means a warning, ``hint`` how to mend it."""

    name: str
    ok: bool | None
    text: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


OnProgress = Callable[[Progress], None]
OnSpawn = Callable[["Child"], None]
ShouldStop = Callable[[], "str | None"]


class AgentGit(StrEnum):
    """What an agent may do with git; where it may not commit, the runner commits for it."""

    COMMIT = "commit"
    READ = "read"
    NONE = "none"


class ProgramAway(Misconfigured):
    """The agent's program is not there, or cannot be executed: for good, or while it is being updated."""


class Executor(Protocol):
    """Runs agents. ``run`` raises Misconfigured when the agent cannot be started at all."""

    name: str

    def check(self) -> list[CheckLine]:
        """What is in force and what is missing, without side effects."""
        ...

    def away(self) -> ProgramAway | None:
        """Why there is no program to be started now; None where there is one. Starts nothing."""
        ...

    def run(
        self,
        job: AgentJob,
        on_progress: OnProgress | None = None,
        on_spawn: OnSpawn | None = None,
        should_stop: ShouldStop | None = None,
    ) -> AgentRun:
        """Run one agent to its end; every process of it is gone afterwards, save ``survivors``."""
        ...
