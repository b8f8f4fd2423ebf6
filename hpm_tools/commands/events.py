"""Which events there are, and which of them `run`, `pm.serve` and `events` write with --json.

The declaration behind docs/schemas. Whatever the commands of a test keep is held against it.
"""

from typing import Annotated, Any, TypedDict

from msgspec import Meta

from hpm_tools.commands.event_kinds import (
    AgentEnded,
    AgentProgress,
    AgentStarted,
    BackingOff,
    BoardCalls,
    BoardUnreachable,
    BudgetReached,
    CheckoutInUse,
    Ended,
    EventsLost,
    GivenBack,
    HealthFailed,
    HealthRestored,
    HookRan,
    LimitOver,
    LimitWait,
    Locked,
    LockForced,
    Lost,
    Missed,
    Notified,
    Parked,
    PickupPaused,
    PickupResumed,
    PromptAnswered,
    PromptOpened,
    PutBack,
    Regained,
    Reported,
    Resumed,
    Salvaged,
    Serving,
    ServingDashboard,
    Started,
    StatusSet,
    StepDone,
    Stopped,
    Tampering,
    TaskFinished,
    TaskTaken,
    Unlocked,
    Waiting,
    WaitingForCheckout,
    WorkOutside,
    Workspace,
    name_of,
)

SHOWN: tuple[type, ...] = (
    Started,
    Resumed,
    TaskTaken,
    Missed,
    CheckoutInUse,
    WaitingForCheckout,
    Workspace,
    AgentStarted,
    AgentEnded,
    PromptOpened,
    PromptAnswered,
    Tampering,
    WorkOutside,
    LimitWait,
    LimitOver,
    BudgetReached,
    BackingOff,
    BoardUnreachable,
    Waiting,
    Regained,
    Lost,
    Reported,
    Parked,
    GivenBack,
    Salvaged,
    TaskFinished,
    HealthFailed,
    HealthRestored,
    PickupPaused,
    PickupResumed,
    Ended,
)
"""The kinds that `run` prints as lines, too."""

KEPT_ONLY: tuple[type, ...] = (
    Locked,
    LockForced,
    Unlocked,
    PutBack,
    StatusSet,
    StepDone,
    HookRan,
    AgentProgress,
    BoardCalls,
    EventsLost,
    Stopped,
    Notified,
)
"""The kinds that are kept and not printed."""


class Kept(TypedDict):
    """What `events` adds to each kind."""

    id: Annotated[int, Meta(ge=1, description="grows with each event of this state directory")]
    at: Annotated[float, Meta(description="seconds since 1970")]
    v: Annotated[int, Meta(ge=1, description="the version of this kind of event")]
    agent: str
    role: Annotated[str, Meta(description="empty where no role was known")]
    board: Annotated[str, Meta(description="as in the names of the state's files; localhost-6969")]
    run: Annotated[str | None, Meta(description="the take of the task that it belongs to")]
    host: str


def _kept(kind: Any) -> type:
    both: type = type(kind)(kind.__name__, (kind, Kept), {"__doc__": kind.__doc__, "__module__": __name__})
    return both


EVENTS: dict[str, tuple[type, ...]] = {
    "run": SHOWN,
    "pm.serve": (Serving,),
    "events": tuple(map(_kept, (*SHOWN, *KEPT_ONLY))),
    "dashboard": (ServingDashboard,),
}
"""Command → the events that it writes."""


def kept_kinds() -> list[str]:
    """What the kinds of events are called that `events` shows."""
    return [name_of(kind) for kind in (*SHOWN, *KEPT_ONLY)]
