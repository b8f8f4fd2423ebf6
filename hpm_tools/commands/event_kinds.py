"""The shape of every kind of event: its own fields, beside those that commands/events.py adds to each.

Fields may be added; a kind whose fields change otherwise gets a new version in events/versions.py.
"""

from typing import Annotated, Literal, NotRequired, TypedDict, get_args, get_type_hints

from msgspec import Meta

from hpm_tools import names
from hpm_tools.commands.results import WHERE, Holder, Salvage, Seconds, Step, TaskId, TaskWork, one_of
from hpm_tools.executor.verdict import VerdictKind
from hpm_tools.meter import BOUNDS
from hpm_tools.runner.ending import EndingKind


def name_of(kind: type) -> str:
    """What events of this kind are called."""
    name: str
    (name,) = get_args(get_type_hints(kind)["event"])
    return name


class Event(TypedDict):
    time: Annotated[str, Meta(description="local time with its offset, ISO 8601")]
    text: Annotated[str, Meta(description="the same as a sentence for a person; may be empty")]


class OfTask(Event):
    task: TaskId


class Outcome(OfTask):
    """What every event that ends a take of a task says."""

    title: str
    difficulty: str
    model: Annotated[str | None, Meta(description="what was asked for; null: no agent was started")]
    verdict: Annotated[VerdictKind | None, Meta(description="of the last agent run")]
    no_change: NotRequired[Annotated[bool, Meta(description="done, and rightly nothing had to be changed")]]
    runs: Annotated[int, Meta(ge=0, description="agent runs of this take")]
    cost_usd: Annotated[float | None, Meta(description="of this take; null: unknown")]
    seconds: Annotated[float, Meta(ge=0, description="since the task was taken")]
    where: NotRequired[Annotated[str, Meta(description=WHERE)]]
    work: NotRequired[TaskWork]


class Started(Event):
    """The runner is registered and begins."""

    event: Literal["started"]
    agent: str
    role: Annotated[str, one_of(names.ROLES, "the runner's role")]
    level: Annotated[str, one_of(names.LEVELS, "the runner's level")]
    shell: NotRequired[str]


class Resumed(OfTask):
    """A task that an earlier runner left is gone on with."""

    event: Literal["resumed"]
    step: Step


class TaskTaken(OfTask):
    """The board's lock is provably ours."""

    event: Literal["task_taken"]
    title: str
    difficulty: str
    complexity: str


class Missed(OfTask):
    """Somebody else got the task."""

    event: Literal["missed"]


class CheckoutInUse(OfTask):
    """The checkout holds somebody's changes, or an agent moved it or its branch: the task goes into a worktree."""

    event: Literal["checkout_in_use"]


class WaitingForCheckout(OfTask):
    """Another agent works in the checkout, or its unfinished work is there."""

    event: Literal["waiting_for_checkout"]


class Workspace(OfTask):
    """The place is made in which the agent will work."""

    event: Literal["workspace"]
    path: str
    branch: str | None


class AgentStarted(Event):
    """An agent begins, or goes on with its session (``resumed``). Without a task: a bare `claude.exec`."""

    event: Literal["agent_started"]
    task: NotRequired[TaskId]
    attempt: int
    model: str | None
    difficulty: str
    executor: str
    resumed: bool


class AgentEnded(Event):
    """An agent ended, judged by its verdict."""

    event: Literal["agent_ended"]
    task: NotRequired[TaskId]
    verdict: VerdictKind
    seconds: Seconds
    turns: int
    cost_usd: Annotated[float | None, Meta(description="of this run; null: unknown")]
    task_cost_usd: Annotated[
        float | None, Meta(description="of the task so far, on this host; null without a task")
    ]
    model: Annotated[str | None, Meta(description="as asked for")]
    model_id: Annotated[str | None, Meta(description="as the agent's program named it")]
    difficulty: str
    input_tokens: Annotated[int | None, Meta(description="neither read from a cache nor written to it")]
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None


class PromptOpened(OfTask):
    """A decision is needed; the runner waits for `hpm answer`, or for the person at its terminal."""

    event: Literal["prompt_opened"]
    prompt: str
    question: str
    choices: list[str]
    default_choice: str


class PromptAnswered(OfTask):
    """The runner goes on as it was told."""

    event: Literal["prompt_answered"]
    prompt: str
    choice: str
    by: str
    seconds: Seconds


class Tampering(OfTask):
    """The agent changed git's own files or refs; nothing of that was acted on."""

    event: Literal["tampering"]
    what: str


class WorkOutside(OfTask):
    """The agent made something outside its place: a stash entry, a branch or a worktree of its own; it is kept."""

    event: Literal["work_outside"]
    what: str


class LimitWait(Event):
    """The usage window is closed until ``until``; lock and session are kept."""

    event: Literal["limit_wait"]
    task: NotRequired[TaskId]
    until: Annotated[float, Meta(description="seconds since 1970")]


class BudgetReached(Event):
    """A budget of the day is spent: no agent starts before ``until``."""

    event: Literal["budget_reached"]
    scope: Annotated[Literal["agent", "host"], Meta(description="whose budget")]
    day: Annotated[str, Meta(description="the local day, as 2026-11-25")]
    spent_usd: float
    limit_usd: float
    until: Annotated[float, Meta(description="when the next local day begins, seconds since 1970")]


class LimitOver(Event):
    """The usage window is open again, after ``seconds`` of waiting."""

    event: Literal["limit_over"]
    task: NotRequired[TaskId]
    seconds: Seconds


class BackingOff(OfTask):
    """The service failed; the agent is tried again after ``seconds``."""

    event: Literal["backing_off"]
    seconds: Seconds


class BoardUnreachable(Event):
    """The board does not answer; it is tried again after ``seconds``."""

    event: Literal["board_unreachable"]
    seconds: Seconds


class Waiting(Event):
    """A step finds something held by somebody else; it is tried again after ``seconds``."""

    event: Literal["waiting"]
    seconds: Seconds


class Regained(OfTask):
    """The board had let go of the lock; it was taken again, and the task goes on."""

    event: Literal["regained"]


class Lost(Outcome):
    """The board says that the task is not ours any more: the work is kept, nothing is reported."""

    event: Literal["lost"]


class Reported(Outcome):
    """The board was told how it ended."""

    event: Literal["reported"]
    status: str
    branch: str | None
    commit: str | None


class Parked(Outcome):
    """The task waits for a person, as pending."""

    event: Literal["parked"]
    reason: str
    again: Annotated[str, Meta(description="what offers the task again, as a sentence with the command")]


class GivenBack(Outcome):
    """The task has the status again that it had when it was taken."""

    event: Literal["given_back"]
    status: str
    reason: str


class Salvaged(OfTask):
    """What was left uncommitted is kept under a ref."""

    event: Literal["salvaged"]
    ref: Salvage


class TaskFinished(OfTask):
    """The task is over and its place cleaned up."""

    event: Literal["task_finished"]
    ending: EndingKind
    status: Annotated[str, Meta(description="the status that was reported; empty for other endings")]
    no_change: bool
    branch: Annotated[str, Meta(description="empty where there is no work")]
    commit: Annotated[str, Meta(description="empty where there is no work")]
    seconds: Seconds


class HealthFailed(Event):
    """health_check failed: nothing is taken until it passes."""

    event: Literal["health_failed"]


class HealthRestored(Event):
    """health_check passes again."""

    event: Literal["health_restored"]


class PickupPaused(Event):
    """What fails looks like this host's fault: nothing is taken until ``until``, then one task, to try."""

    event: Literal["pickup_paused"]
    kind: Annotated[
        Literal["nonstart", "no_outcome", "refused", "setup", "away", "auth"],
        Meta(
            description="nonstart: the agent's program does not begin; no_outcome: it ends with 0 and says nothing; "
            "refused: task after task fails without a word of its agent and without a change; "
            "setup: the set-up of worktrees fails; away: the agent's program is not there, and is looked for without "
            "a task; auth: the agent's login is refused"
        ),
    ]
    reason: str
    since: Annotated[float, Meta(description="seconds since 1970")]
    until: Annotated[float, Meta(description="seconds since 1970")]
    tries: Annotated[int, Meta(ge=0, description="tasks that were tried since, in vain")]


class PickupResumed(Event):
    """A task showed that agents work again: tasks are taken."""

    event: Literal["pickup_resumed"]


class Ended(Event):
    """The runner ends after ``tasks`` tasks."""

    event: Literal["ended"]
    tasks: int


class Stopped(Event):
    """The runner ends although its plan is not fulfilled: a signal or an error."""

    event: Literal["stopped"]
    exit_code: int


class Notified(Event):
    """A message went out that tells of ``count`` notices."""

    event: Literal["notified"]
    count: int
    services: Annotated[dict[str, bool], Meta(description="whether each took it; named by place and kind")]
    problem: Annotated[str, Meta(description="what any of them had to object; empty when all is well")]


class Serving(Event):
    """The board answers at ``url``."""

    event: Literal["serving"]
    url: str
    db: str
    upstream: bool


class ServingDashboard(Event):
    """The dashboard answers at ``url``, which opens it once; programs send ``token`` (Authorization: Bearer)."""

    event: Literal["serving_dashboard"]
    url: str
    token: str


class Locked(OfTask):
    """`lock --local` wrote a record; the board was not asked."""

    event: Literal["locked"]
    holder: Holder


class PutBack(OfTask):
    """A task is offered again that was parked, or under_work and held by nobody: by `retry`, or after a pause of pick-up."""

    event: Literal["put_back"]
    status: Annotated[str, Meta(description="the board's status of the task now")]


class LockForced(OfTask):
    """`lock --force` took a task that the board does not offer to the agent's role."""

    event: Literal["lock_forced"]
    status: Annotated[str, Meta(description="the board's status of the task when it was taken")]


class Unlocked(OfTask):
    """`unlock` gave the task back, by hand."""

    event: Literal["unlocked"]
    status: Annotated[str | None, Meta(description="the board's status now; null: it was not touched")]
    forced: bool


class StatusSet(OfTask):
    """`pm.status` set a task's status."""

    event: Literal["status_set"]
    status: str


class StepDone(Event):
    """A step of a task (docs/architecture.md) was done, or broken off."""

    event: Literal["step"]
    task: TaskId
    step: Step
    seconds: Seconds
    outcome: Annotated[str, Meta(description="done, or the code of the error that broke it off")]


class HookRan(Event):
    """A hook was run. Nothing is wrong where there is none: ``ending`` is missing, and it is ok."""

    event: Literal["hook_ran"]
    task: NotRequired[TaskId]
    name: str
    path: NotRequired[Annotated[str, Meta(description="the hook's file")]]
    ok: bool
    ending: str
    seconds: Seconds


class AgentProgress(OfTask):
    """What an agent is doing, every few seconds at most; kept for a day."""

    event: Literal["agent_progress"]
    turns: int
    cost_usd: Annotated[float | None, Meta(description="of this run so far, estimated")]
    doing: str
    seconds: Annotated[float, Meta(ge=0, description="since the agent was started")]


class BoardCalls(Event):
    """How quickly the board answered since the last event of this kind, waiting for tasks left out."""

    event: Literal["board_calls"]
    count: int
    failed: Annotated[int, Meta(description="without an answer, or with one of 500 and above")]
    seconds: Annotated[float, Meta(description="of all calls together")]
    slowest: Seconds
    within: Annotated[
        list[int], Meta(description=f"calls by duration: up to {', '.join(map(str, BOUNDS))} s, and longer")
    ]


class EventsLost(Event):
    """So many events could not be written down just before this one."""

    event: Literal["events_lost"]
    count: int
