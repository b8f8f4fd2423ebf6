"""What needs a person: agents without a holder, parked tasks, failed health, work that no branch keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.board.models import moment
from hpm_tools.board.unheld import retry_command
from hpm_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from hpm_tools.board.models import Task
    from hpm_tools.dashboard.board_view import Queue
    from hpm_tools.dashboard.looks import Look
    from hpm_tools.dashboard.now import AgentNow
    from hpm_tools.dashboard.outcomes import Outcome
    from hpm_tools.dashboard.picture import Picture
    from hpm_tools.runner.health_line import Line
    from hpm_tools.worktree.restore import Salvaged

PARKED_SHOWN = 40
SALVAGE_SHOWN = 5
LONGEST_TITLE = 200
SHOWN_LIVE = ("lock ", "prompt ")
"""Checks of what the page shows by itself as it is now; the checks are up to a minute old."""
SET_ASIDE = {"damaged events", "spending", "kept"}
"""Checks that say, failing nothing, what was moved out of the way in doubt and waits for somebody to look at it."""


@dataclass(frozen=True, slots=True)
class Matter:
    """``kind`` is how bad it is (a state or result of the page), ``hint`` what to do; ``at`` since when."""

    key: str
    kind: str
    title: str
    text: str
    hint: str = ""
    at: float | None = None


def without_holder(agents: Iterable[AgentNow]) -> Iterator[Matter]:
    """Records whose holder died, or that cannot be read: nobody goes on with those tasks by himself."""
    for agent in agents:
        if agent.state == "dead":
            yield Matter(
                f"dead-{agent.id}",
                "dead",
                f"{agent.id} died",
                f"holding #{agent.task} {agent.title} at {agent.step}",
                f"start its runner again to resume it, or give it back: hpm unlock --agent-id {agent.id}",
                agent.taken_at,
            )
        elif agent.state == "unreadable":
            hint = f"hpm recover --agent-id {agent.id} rebuilds it"
            yield Matter(f"unreadable-{agent.id}", "unreadable", f"{agent.id}'s record", agent.doing, hint)


def parked(ended: Sequence[Outcome], pending: Collection[int] | None) -> Iterator[Matter]:
    """Tasks whose last end was to be parked; only those still ``pending``, if that is known."""
    last = {(outcome.board, outcome.task): outcome for outcome in ended}
    waiting = [
        outcome
        for outcome in last.values()
        if outcome.result == "parked" and (pending is None or outcome.task in pending)
    ]
    for outcome in sorted(waiting, key=lambda it: -it.at)[:PARKED_SHOWN]:
        yield Matter(
            f"parked-{outcome.id}",
            "parked",
            "parked",
            f"#{outcome.task} {outcome.title}: {outcome.reason}",
            "; ".join(filter(None, (_where(outcome), _again(outcome)))),
            outcome.at,
        )
    if len(waiting) > PARKED_SHOWN:
        yield Matter("parked-more", "parked", "parked", f"and {len(waiting) - PARKED_SHOWN} more tasks")


def _where(outcome: Outcome) -> str:
    return outcome.where or (f"it was worked on the branch {outcome.branch}" if outcome.branch else "")


def _again(outcome: Outcome) -> str:
    return outcome.again or f"{retry_command(outcome.task)} offers it again"


def held_by_nobody(tasks: Iterable[Task]) -> Iterator[Matter]:
    """Tasks under work that nobody holds: no runner will ever be offered them."""
    for task in tasks:
        yield Matter(
            f"unheld-{task.id}",
            "dead",
            "held by nobody",
            f"#{task.id} {one_line(task.title)[:LONGEST_TITLE]} is under_work, but no agent holds it",
            f"{retry_command(task.id)} puts it back to where it was taken from",
            moment(task.updated_at).timestamp(),
        )


def failed_health(lines: Iterable[Line]) -> Iterator[Matter]:
    for line in lines:
        if line.ok is False and not line.name.startswith(SHOWN_LIVE):
            name = one_line(line.name)
            yield Matter(f"health-{name}", "failing", name, one_line(line.text), one_line(line.hint))


def set_aside(lines: Iterable[Line]) -> Iterator[Matter]:
    for number, line in enumerate(lines):
        if line.ok is None and line.name in SET_ASIDE:
            yield Matter(f"aside-{number}", "warning", "set aside", one_line(line.text), one_line(line.hint))


def kept_work(salvages: Sequence[Salvaged]) -> Iterator[Matter]:
    if salvages:
        newest = sorted(salvages, key=lambda found: -found.made_at)
        shown = ", ".join(one_line(found.ref.removeprefix("refs/hpm/")) for found in newest[:SALVAGE_SHOWN])
        more = f" and {len(newest) - SALVAGE_SHOWN} more" if len(newest) > SALVAGE_SHOWN else ""
        count = f"{len(newest)} pieces of work are" if len(newest) > 1 else "1 piece of work is"
        yield Matter(
            "salvage",
            "warning",
            "salvage",
            f"{count} kept on no branch: {shown}{more}",
            "hpm worktree.list shows them; hpm worktree.restore --ref REF brings one back",
            newest[0].made_at,
        )


def unread_events(problem: str) -> Iterator[Matter]:
    if problem:
        yield Matter("events", "failing", "events", one_line(problem))


def _pending(look: Look[Queue]) -> Collection[int] | None:
    """The tasks that are pending, as the board said last; none before it was asked, None where it cannot be asked.

    Most tasks that were ever parked were taken up again since: until the board has answered, any number is wrong.
    """
    if look.found is not None:
        return look.found.pending
    return None if look.problem else ()


def find(picture: Picture) -> list[Matter]:
    """All that needs a person now, the worst first."""
    queue = picture.queue.found if not picture.queue.problem else None
    return [
        *unread_events(picture.problem),
        *without_holder(picture.agents),
        *held_by_nobody(() if queue is None else picture.unrecorded(queue.unheld)),
        *failed_health(picture.health.found or ()),
        *parked(picture.ended, _pending(picture.queue)),
        *set_aside(picture.health.found or ()),
        *kept_work(picture.salvage.found or ()),
    ]
