"""Keeping a lock alive, and noticing when it is lost, while something else has our attention."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Self

from hpm_tools import names
from hpm_tools.board import twins
from hpm_tools.errors import BoardUnreachable, HpmError
from hpm_tools.local_time import at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.board.client import Board

EVERY = 60.0
RETRIES = 1
PATIENCE = 20.0
JOIN_LIMIT = 1.0


class Heartbeat:
    """A thread that registers the agent every minute and looks whether the task is still locked by it.

    The board clears the locks of agents that did not register for 30 minutes, and registering is the
    only thing that counts. ``lost`` says why the task is no longer ours, once the board has said so; that
    is final. An outage, a refused key or garbled answers are no lost lock: they stand in ``problem``
    until a beat succeeds. Without ``task_id`` it only registers. Nothing is raised in the thread.

    Stop it before telling the board how the task ended, or read ``lost`` no more: the report unlocks.
    """

    def __init__(
        self,
        board: Board,
        agent_id: str,
        role: str,
        level: str,
        *,
        task_id: int | None = None,
        created_at: str | None = None,
        locked_at: str | None = None,
        likely: Sequence[str] = (names.UNDER_WORK,),
        target_role: str | None = None,
        every: float = EVERY,
    ) -> None:
        """``created_at``, ``locked_at``: the board's texts; compared where given. ``every``: seconds.

        ``likely`` and ``target_role``: the statuses that the task will have meanwhile, and its role, which
        spare the board listing all of its tasks.
        """
        self.agent_id = agent_id
        self.role = role
        self.level = level
        self.task_id = task_id
        self.created_at = created_at
        self.locked_at = locked_at
        self.likely = tuple(likely)
        self.target_role = target_role
        self.every = every
        self.lost: str | None = None
        self.twin: str | None = None
        """Why somebody else must be using the agent's id; ``lost`` then says so, too."""
        self.problem: str | None = None
        self.beats = 0
        """Beats that reached the board and found nothing wrong."""
        self._failing_since: float | None = None
        self._board = board.impatient(retries=RETRIES, patience=PATIENCE)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{agent_id}", daemon=True)

    @property
    def outage(self) -> float:
        """For how many seconds the board has not been reached; 0 after a beat that reached it."""
        since = self._failing_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Begin with a beat, at once unless this client registered the agent just now: after a crash, the
        30 minutes may almost be over."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; safe to call twice. A beat that hangs in the network is left to its own limits."""
        self._ended.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_LIMIT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def beat(self) -> None:
        """Register and look, once; what went wrong is remembered, never raised.

        Looks first whether somebody else registered the agent (``twin``): registering would hide it.
        """
        self.twin = self.twin or self._twin()
        if self.twin is not None:
            self.lost = self.twin
            return
        try:
            self._board.register(self.agent_id, self.role, self.level)
            lost = self._look()
        except BoardUnreachable as error:
            self._failing_since = self._failing_since or time.monotonic()
            self.problem = error.message
        except HpmError as error:
            self._failing_since = None
            self.problem = error.message
        except Exception as error:  # a thread that died of a bug would let the lock expire unnoticed
            self.problem = f"unexpected {type(error).__name__}: {error}"
        else:
            self._failing_since = self.problem = None
            self.beats += 1
            self.lost = self.lost or lost

    def _run(self) -> None:
        try:
            due = self._pause() - self._board.silence(self.agent_id)
            while not self._ended.wait(max(0.0, due)) and self.lost is None:
                self.beat()
                due = self._pause()
        finally:
            self._board.close()

    def _pause(self) -> float:
        return self.every * random.uniform(0.8, 1.0)  # noqa: S311

    def _twin(self) -> str | None:
        try:
            seen = twins.foreign(self._board, self.agent_id, self.every)
        except Exception:  # a list of agents that cannot be read must not keep us from registering
            return None
        return None if seen is None else twins.in_use(self.agent_id, seen)

    def _look(self) -> str | None:
        """Why the task is not ours; None if it is, or if there is none to look at."""
        if self.task_id is None:
            return None
        task = self._board.find_task(self.task_id, status=self.likely, role=self.target_role)
        if self._ended.is_set():
            return None
        if task is None:
            return f"task {self.task_id} was deleted on the board"
        self.likely, self.target_role = (task.status, *self.likely), task.target_role
        if self.created_at and task.created_at != self.created_at:
            return f"task {self.task_id} is another task on the board now"
        if task.locked_by is None:
            return f"the board no longer says that task {self.task_id} is locked ({task.status})"
        if task.locked_by != self.agent_id:
            return f"the board gave task {self.task_id} to {task.locked_by}"
        if self.locked_at and task.locked_at != self.locked_at:
            return f"task {self.task_id} was locked anew under this agent's id at {at(task.locked_at)}"
        return None
