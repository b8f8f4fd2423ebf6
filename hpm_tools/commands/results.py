"""What each command prints under ``--json``: the one declaration behind docs/schemas.

A command names its type here by ``-> Result[X]``. Components' own types (a board's task, a verdict) are
used as they are where they know themselves as JSON. Imported by mypy, the docs and the tests only.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from hpm_tools import names
from hpm_tools.board.models import Level, Role, Task
from hpm_tools.config.model import EXECUTORS
from hpm_tools.dashboard.outcomes import RESULTS
from hpm_tools.demo.scene import Row
from hpm_tools.events.figures import Evidence, Figures
from hpm_tools.executor.base import CheckLine
from hpm_tools.executor.verdict import Verdict
from hpm_tools.hook.outcome import HookAnswer
from hpm_tools.runner.health_line import Line
from hpm_tools.runner.recovery import NEXT_STEP
from hpm_tools.state.record import HOLDERS, UNKNOWN

__all__ = ["Figures", "HookAnswer", "Task", "Verdict"]


def one_of(values: Iterable[str], description: str) -> Meta:
    """Text that is one of ``values``, which are known where they are defined and not repeated here."""
    return Meta(description=description, extra_json_schema={"enum": sorted(set(values))})


Step = Annotated[str, one_of(NEXT_STEP, "the step to be done next (docs/architecture.md)")]
NextCommand = Annotated[
    str, one_of(NEXT_STEP.values(), "the command, or the hook, by which a script goes on")
]
Holder = Annotated[
    str, one_of((*HOLDERS, UNKNOWN), "unknown: a record of the earlier runner, or one written by hand")
]
TaskId = Annotated[int, Meta(ge=1)]
Token = Annotated[str, Meta(description="proof of the lock for the commands that go on with the task")]
Salvage = Annotated[str, Meta(description="the ref that keeps what no branch does; hpm worktree.restore")]
Seconds = Annotated[float, Meta(ge=0, description="seconds")]


class InvokeProgram(TypedDict):
    path: str
    works: Annotated[bool | None, Meta(description="whether it can run our tasks; null: not known")]
    version: Annotated[str, Meta(description="of the hpm-tools that it runs; empty unless it works")]
    why: Annotated[
        str, Meta(description="what keeps it from working, or from being known; empty if it works")
    ]


class ProjectFiles(TypedDict):
    repo: str
    written: Annotated[list[str], Meta(description="names of the files that were made")]
    invoke: Annotated[
        list[InvokeProgram],
        Meta(description="each `invoke` on PATH, in PATH's order, up to the first that works"),
    ]


class Trust(TypedDict):
    repo: str
    trusted: bool
    changed: Annotated[bool, Meta(description="false: it was so already")]
    sha256: NotRequired[Annotated[str, Meta(description="of the approved invoke.yaml")]]
    configured: NotRequired[
        Annotated[str, Meta(description="directory of the tasks.py whose ns.configure was approved")]
    ]
    git: NotRequired[
        Annotated[list[str], Meta(description="the filters of git's configuration that may run")]
    ]
    ref: NotRequired[
        Annotated[str, Meta(description="the full name of the ref that is believed as it is now")]
    ]


class TakenTask(TypedDict):
    token: Token
    agent_id: str
    task_id: TaskId
    step: Step
    holder: Holder
    status_before: Annotated[
        str | None, Meta(description="the board's status that giving back restores; null with --local")
    ]


class ReleasedTask(TypedDict):
    task_id: TaskId
    agent_id: str
    status: Annotated[str | None, Meta(description="the board's status now; null: the board was not touched")]
    step: str | None


class HeldTask(TypedDict):
    """One record. ``problem`` says why it cannot be read; then only the agent is known."""

    agent_id: str
    problem: str | None
    task_id: TaskId | None
    title: str | None
    step: str | None
    age_seconds: Seconds | None
    holder: Holder | None
    pid: int | None
    alive: Annotated[
        Literal["alive", "dead", "unknown"], Meta(description="the holder; unknown: nothing proves it dead")
    ]
    worktree: str | None
    branch: str | None
    question: Annotated[str | None, Meta(description="what its runner asks and waits for (hpm prompts)")]


class Locks(TypedDict):
    locks: list[HeldTask]


class WorkPlace(TypedDict):
    path: str
    task_id: TaskId
    branch: Annotated[str | None, Meta(description="null: detached at base")]
    base: Annotated[str | None, Meta(description="the commit that it starts from")]
    existed: bool
    in_place: Annotated[bool, Meta(description="true: path is the checkout itself, not a worktree")]


class RemovedWorktree(TypedDict):
    path: str | None
    salvage: Salvage | None
    archive: Annotated[str | None, Meta(description="file with the ignored files that were kept")]
    kept_because: Annotated[str | None, Meta(description="why the directory stays; the exit code is 1")]


class Worktree(TypedDict):
    path: str
    task_id: TaskId | None
    board: str | None
    created_at: str | None
    branch: str | None
    commit: str | None
    state: Literal["ready", "unfinished", "missing"]


class SalvagedWork(TypedDict):
    ref: Salvage
    commit: str
    task_id: TaskId | None
    agent_id: str
    made_at: Annotated[float, Meta(description="seconds since 1970")]
    branch: str | None
    head: Annotated[str | None, Meta(description="the commit that the work was based on")]
    archive: Annotated[str | None, Meta(description="name of the file with its ignored files")]
    merged: Annotated[bool, Meta(description="a branch contains it")]


class Worktrees(TypedDict):
    worktrees: list[Worktree]
    salvage: list[SalvagedWork]
    kept: Annotated[list[str], Meta(description="directories that were moved aside in doubt")]


class Restored(TypedDict):
    ref: Salvage
    path: str
    files: Annotated[list[str], Meta(description="the paths that were put back, uncommitted")]


class Pruned(TypedDict):
    worktrees: Annotated[list[str], Meta(description="vanished worktrees that were forgotten")]
    refs: Annotated[list[str], Meta(description="notes about deleted branches that went")]
    salvaged: Annotated[list[str], Meta(description="what had to be kept of a vanished worktree")]
    deleted: Annotated[list[str], Meta(description="salvage refs that are gone for good")]
    archives: Annotated[list[str], Meta(description="their archives")]
    left: Annotated[list[str], Meta(description="salvage refs that were found and not deleted")]


class ChosenModel(TypedDict):
    difficulty: Annotated[str, one_of(names.LEVELS, "as asked")]
    model: str
    evidence: NotRequired[
        Annotated[list[Evidence], Meta(description="with --explain: how tasks fared with each model")]
    ]


class Checks(TypedDict):
    checks: list[CheckLine]


WHERE = "where the task's work is, as a sentence; empty where that is not known"


class Report(TypedDict):
    task_id: TaskId | None
    ending: Literal["reported", "parked", "given_back", "lost"]
    status: Annotated[str, Meta(description="the board's status now; unknown when the task was lost")]
    reason: str
    no_change: Annotated[bool, Meta(description="it was done, and rightly nothing had to be changed")]
    branch: Annotated[str | None, Meta(description="null where there is no work")]
    commit: Annotated[str | None, Meta(description="null where there is no work")]
    salvage: Salvage | None
    where: Annotated[str, Meta(description=WHERE)]


class TaskWork(TypedDict):
    branch: Annotated[str | None, Meta(description="that has the commits; null: none has")]
    commits: Annotated[int, Meta(ge=0, description="of the task's own, beyond where it began")]
    commit: Annotated[str | None, Meta(description="the last of them")]
    changes: Annotated[bool, Meta(description="whether they change any file")]
    salvage: Salvage | None
    directory: Annotated[str | None, Meta(description="where uncommitted work still lies")]
    judged: Annotated[str | None, Meta(description="the commit that qa looked at")]
    unknown: Annotated[str, Meta(description="why it could not be found out; else empty")]
    elsewhere: Annotated[
        bool, Meta(description="the agent made something outside its place, as the verdict says")
    ]


class Hook(TypedDict):
    name: str
    path: str
    problem: Annotated[str | None, Meta(description="why it would be refused")]
    sha256: Annotated[
        str | None, Meta(description="of the file; null without --sha256 and where it cannot be read")
    ]


class Hooks(TypedDict):
    directories: Annotated[list[str], Meta(description="searched in this order")]
    hooks: list[Hook]


class Setting(TypedDict):
    value: Any
    source: Annotated[str, Meta(description="the flag, variable or file that set it, or default")]


class Health(TypedDict):
    healthy: bool
    checks: list[Line]
    config: Annotated[dict[str, Setting], Meta(description="each setting; secrets are ***")]


class Script(TypedDict):
    """With --explain."""

    script: str


class DeclaredSession(TypedDict):
    agent_id: Annotated[str, Meta(description="its name, for `run --session`")]
    role: Annotated[str, one_of(names.ROLES, "as declared")]
    level: Annotated[str, one_of(names.LEVELS, "as declared for it, or else as set")]
    executor: Annotated[str, one_of(EXECUTORS, "as declared for it, or else as set")]
    running: Annotated[bool, Meta(description="whether the agent is at work on this host")]
    task_id: Annotated[int | None, Meta(description="the task that it holds by this host's records")]
    step: Annotated[str | None, Meta(description="the step of it to be done next")]


class DeclaredSessions(TypedDict):
    source: Annotated[str, Meta(description="the file that declares them")]
    sessions: list[DeclaredSession]


class Resumed(TypedDict):
    token: Token
    agent_id: str
    task_id: TaskId
    step: Step
    next: NextCommand
    worktree: str | None
    branch: str | None


class OpenPrompt(TypedDict):
    prompt: Annotated[str, Meta(description="its id, for `answer --prompt`")]
    agent_id: str
    task_id: TaskId
    title: str
    opened_at: Annotated[float, Meta(description="seconds since 1970")]
    question: str
    choices: list[str]
    default_choice: Annotated[str, Meta(description="what an empty line at the terminal means")]


class OpenPrompts(TypedDict):
    prompts: list[OpenPrompt]


class AnsweredPrompt(TypedDict):
    prompt: str
    agent_id: str
    task_id: TaskId
    choice: str


class RegisteredAgent(TypedDict):
    agent_id: str
    role: Role
    level: Level


class TaskList(TypedDict):
    tasks: list[Task]


class Commented(TypedDict):
    task_id: TaskId
    commented: bool


class RetriedTask(TypedDict):
    task_id: TaskId
    status: Annotated[str, Meta(description="the board's status of the task now")]


class ToldService(TypedDict):
    service: Annotated[str, Meta(description="its place in notify.urls and its kind; 2. Slack")]
    ok: bool
    why: Annotated[
        str | None, Meta(description="the reason in the service's own words; null when it took it")
    ]


class NotifyTest(TypedDict):
    services: list[ToldService]


class ShellCode(TypedDict):
    script: str


class OfferedWord(TypedDict):
    word: str
    help: str


class OfferedWords(TypedDict):
    words: list[OfferedWord]
    paths: Annotated[
        Literal[":files", ":directories"] | None, Meta(description="any path of this kind may stand there")
    ]


class Demo(TypedDict):
    tasks: list[Row]
    seconds: Seconds
    kept: Annotated[str | None, Meta(description="the directory of --keep")]


class NeedsAPerson(TypedDict):
    what: str
    kind: Annotated[str, Meta(description="how bad it is, e.g. parked, dead, failing")]
    text: str
    hint: Annotated[str, Meta(description="what to do about it; may be empty")]
    since: Annotated[float | None, Meta(description="seconds since 1970")]


class EndedTask(TypedDict):
    result: Annotated[str, one_of(RESULTS, "how it ended")]
    task: TaskId
    title: str
    agent: str
    role: str
    reason: str
    at: Annotated[float, Meta(description="seconds since 1970")]
    seconds: Annotated[Seconds | None, Meta(description="from taking it to its end")]
    cost_usd: Annotated[float | None, Meta(description="of this take alone")]
    where: Annotated[str, Meta(description=WHERE)]
    branch: Annotated[str, Meta(description="empty where there is no work")]
    commit: Annotated[str, Meta(description="empty where there is no work")]
    run: str


class MorningReport(TypedDict):
    since: Annotated[float, Meta(description="seconds since 1970")]
    made: Annotated[float, Meta(description="seconds since 1970")]
    finished: Annotated[int, Meta(ge=0, description="ends that were reported to the board, as in metrics")]
    no_change: Annotated[int, Meta(ge=0, description="ends that were reported as needing no change")]
    cost_usd: Annotated[float, Meta(description="of all agent runs since then, of tasks that go on as well")]
    questions: list[OpenPrompt]
    needs_a_person: list[NeedsAPerson]
    ended: list[EndedTask]
