"""What waits on the board: tasks that an agent could take, and those that wait for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.board.models import moment
from hpm_tools.board.offering import OFFERED, OFFERED_TO_QA
from hpm_tools.board.unheld import unheld
from hpm_tools.text import one_line

if TYPE_CHECKING:
    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Task

SHOWN = 25
LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task in the queue: ``role`` may take it; ``since`` is Unix time."""

    id: int
    title: str
    role: str
    difficulty: str
    since: float


@dataclass(frozen=True, slots=True)
class Queue:
    """``tasks`` are the first of ``count`` that are offered; ``pending`` the ids of those that nobody is offered.

    ``unheld`` are those under work that nobody holds.
    """

    tasks: tuple[Waiting, ...]
    count: int
    pending: frozenset[int]
    unheld: tuple[Task, ...] = ()


def look(board: Board) -> Queue:
    """The queue in the order in which the board offers it: the oldest first."""
    offered = [task for status in OFFERED for task in board.tasks(status) if task.locked_by is None]
    offered.sort(key=lambda task: task.created_at)
    pending = frozenset(task.id for task in board.tasks(names.PARKED))
    return Queue(
        tuple(_waiting(task) for task in offered[:SHOWN]), len(offered), pending, tuple(unheld(board))
    )


def _waiting(task: Task) -> Waiting:
    role = "qa" if task.status in OFFERED_TO_QA else task.target_role
    title = one_line(task.title)[:LONGEST_TITLE]
    return Waiting(task.id, title, role, task.difficulty, moment(task.updated_at).timestamp())
