"""The Headless PM API, typed: what a client must know about the real server is kept here and in `repeats`.

    with Board("http://localhost:6969", key) as board:
        board.register("dev_001", "backend_dev", "senior")
        task = board.next_task("backend_dev", "senior")

Raises, all of them HpmError: BoardUnreachable (no connection, no complete answer in time, 5xx, after
bounded repetitions), BoardBusy (429), Refused (401, 403, TLS), NotFound, BadData (400, 422), BadAnswer
(not what a board answers), Held (409).
"""

from __future__ import annotations

import copy
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import msgspec

from hpm_tools.board import repeats
from hpm_tools.board.calls import Calls
from hpm_tools.board.models import (
    Agent,
    BoardHealth,
    Change,
    Context,
    Epic,
    Feature,
    Registration,
    Task,
    board_role,
    polled_roles,
)
from hpm_tools.board.sources import VARIABLES, Sources
from hpm_tools.board.transport import Transport
from hpm_tools.errors import BoardUnreachable, HpmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hpm_tools.board.transport import Answer
    from hpm_tools.board.twins import SeenLog

HEALTH_KEPT = 60.0
NEVER = -1
"""The number of no act: what followed from such a registration cannot be told."""
WAIT_SLICE = 5
log = logging.getLogger("hpm_tools.board")


class _RegisterReply(msgspec.Struct):
    agent: Agent
    repeated: bool = False


class Board:
    """One board. May be shared between threads. ``on_warning`` is told of rows that had to be left out."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        connect: float = 5.0,
        read: float = 15.0,
        total: float = 30.0,
        patience: float = 75.0,
        retries: int = 4,
        max_body: int = 32 << 20,
        insecure: bool = False,
        ca_file: str | None = None,
        on_warning: Callable[[str], None] = log.warning,
        seen: SeenLog | None = None,
        sources: Sources = VARIABLES,
    ) -> None:
        """Seconds: ``connect`` and ``read`` for one wait, ``total`` for one exchange, ``patience`` for a
        call with its repetitions. Plain http goes to loopback only, unless ``insecure`` (Misconfigured).
        ``seen``: where to note what this client does for an agent, so that others are told from it (twins.py).
        ``sources``: where address and key are set, for the hints of errors.
        """
        transport = Transport(
            url,
            key,
            connect=connect,
            read=read,
            total=total,
            patience=patience,
            retries=retries,
            max_body=max_body,
            insecure=insecure,
            ca_file=ca_file,
        )
        self.seen = seen
        self.calls = Calls(transport, on_warning, self._acting, sources)
        self._health: tuple[float, BoardHealth] | None = None
        self._registered_at: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Board {self.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return self.calls.transport.url

    def close(self) -> None:
        self.calls.transport.close()

    def impatient(self, *, retries: int, patience: float) -> Board:
        """The same board for a caller that asks again by itself and must not be kept long."""
        other = copy.copy(self)
        transport = self.calls.transport.variant(retries=retries, patience=patience)
        other.calls = Calls(transport, self.calls.on_warning, self.calls.during_act, self.calls.sources)
        return other

    # What the board is

    def health(self) -> BoardHealth:
        """The board's /health, which needs no key. Its ``status`` may be ``degraded`` without harm."""
        health = self.calls.ask("GET", "/health", self._timed_health, root=True, with_key=False)
        self._health = (time.monotonic(), health)
        return health

    def _timed_health(self, answer: Answer) -> BoardHealth:
        return msgspec.structs.replace(self.calls.decode(answer, BoardHealth), seconds=answer.seconds)

    def advertises(self) -> BoardHealth:
        """The board's health of at most a minute ago, for its flags; both are off where it has no usable one."""
        if self._health is not None and time.monotonic() - self._health[0] <= HEALTH_KEPT:
            return self._health[1]
        try:
            return self.health()
        except BoardUnreachable:
            raise
        except HpmError:
            unknown = BoardHealth(status="unknown")
            self._health = (time.monotonic(), unknown)
            return unknown

    def context(self) -> Context:
        return self.calls.get("/context", Context)

    # Agents

    def register(self, agent_id: str, role: str, level: str) -> Registration:
        """Register, or say that the agent still lives: this alone keeps its locks from expiring.

        ``fullstack_dev`` registers as ``backend_dev``. The answer's ``differs`` tells when the board keeps
        another role or level.
        """
        role = board_role(role)
        body = {"agent_id": agent_id, "role": role, "level": level, "connection_type": "client"}
        asked = time.monotonic()
        act = self.seen.acting(agent_id) if self.seen is not None else 0
        seen = None
        try:
            reply = self.calls.ask("POST", "/register", self._registered, json=body)
            # A repetition's answer tells nothing: the board may carry the first one out yet.
            seen = reply.agent.last_seen if not reply.repeated else None
        finally:
            if self.seen is not None:
                self.seen.acted(agent_id, act, seen)
        self._registered_at[agent_id] = asked
        return Registration(agent=reply.agent, asked_role=role, asked_level=level, act=act if seen else NEVER)

    @contextmanager
    def _acting(self, agent_id: str) -> Iterator[None]:
        if self.seen is None or not agent_id:
            yield
            return
        act = self.seen.acting(agent_id)
        try:
            yield
        finally:
            self.seen.acted(agent_id, act)

    def silence(self, agent_id: str) -> float:
        """For how many seconds this client has not registered the agent; infinite before the first time."""
        return time.monotonic() - self._registered_at.get(agent_id, float("-inf"))

    def _registered(self, answer: Answer) -> _RegisterReply:
        return msgspec.structs.replace(self.calls.decode(answer, _RegisterReply), repeated=answer.repeated)

    def agents(self) -> list[Agent]:
        return self.calls.rows("/agents", Agent)

    # Tasks

    def next_task(self, role: str, level: str, timeout: int = 0) -> Task | None:
        """The oldest task offered to ``role`` at ``level``: a look that claims nothing.

        ``timeout``: seconds the board may wait for one. On the real board each wait holds one of 40
        threads; ask `advertises` for ``cheap_wait`` first.
        """
        roles = polled_roles(role)
        if len(roles) == 1:
            return self._next(role, level, timeout)
        deadline = time.monotonic() + timeout
        while True:
            found = [task for polled in roles if (task := self._next(polled, level, 0)) is not None]
            if found:
                return min(found, key=lambda task: task.created_at)
            left = round(deadline - time.monotonic())
            if left < 1:
                return None
            started = time.monotonic()
            task = self._next(roles[0], level, min(WAIT_SLICE, left))
            if task is not None or time.monotonic() - started < 0.5:
                return task

    def _next(self, role: str, level: str, wait: int) -> Task | None:
        params: dict[str, str | int] = {"role": role, "level": level, "timeout": wait}
        return self.calls.ask("GET", "/tasks/next", self._task_or_none, params=params, wait=float(wait))

    def _task_or_none(self, answer: Answer) -> Task | None:
        return None if answer.body.strip() == b"null" else self.calls.decode(answer, Task)

    def tasks(self, status: str | None = None, role: str | None = None) -> list[Task]:
        """The tasks in ``status`` whose target role is ``role``, newest first. Invalid rows are left out."""
        return self._listing(status, role)

    def find_task(
        self, task_id: int, *, status: str | Sequence[str] | None = None, role: str | None = None
    ) -> Task | None:
        """The task as it is now, or None. The board has no single read (GET /tasks/{id} is 405).

        ``status`` (one, or several in the order of likelihood) and ``role`` (its target role) are where to
        look first: a short listing when they are right, all tasks (4.4 MB for 5,000) when the task moved. Our
        own board answers with the one task, however many there are.
        BadData if its row is invalid.
        """
        likely = [status] if status is None or isinstance(status, str) else dict.fromkeys(status)
        for one in likely:
            if one is not None or role is not None:
                found = self._listing(one, role, wanted=task_id)
                if found:
                    return found[0]
        return next(iter(self._listing(wanted=task_id)), None)

    def lock(self, task_id: int, agent_id: str, *, seen: Task | None = None) -> Task:
        """Ask for the board's lock; Held if another agent has it. A lock already one's own counts as taken.

        ``seen``: the task as last read, which makes reading back after a refusal cheap.

        On the real board the answer proves nothing (20 callers at once: up to 20 believed they had it);
        `lease.take` waits and reads back.
        """
        return repeats.lock(self, task_id, agent_id, seen).task

    def set_status(
        self,
        task_id: int,
        agent_id: str,
        status: str,
        notes: str | None = None,
        *,
        expect_lock: tuple[str, str] | None = None,
        since: str | None = None,
    ) -> Task:
        """Set a task's status; a lost answer is looked up in the changelog before the call is repeated.

        ``expect_lock``: (locked_by, locked_at) that must still be true, else LockLost; exact on a board
        that understands it, checked only before repetitions elsewhere. ``since``: a time of the board
        before which this agent cannot have set this status, by default judged by the board's clock.
        """
        return repeats.set_status(
            self, task_id, agent_id, status, notes, expect_lock=expect_lock, since=since
        )

    def comment(self, task_id: int, agent_id: str, text: str) -> None:
        """Append to the task's notes. Send it after the status: a later status with notes erases comments."""
        repeats.comment(self, task_id, agent_id, text)

    def changelog(self, limit: int = 50) -> list[Change]:
        """The newest ``limit`` changes of status, newest first; -1 for all."""
        return self.calls.rows("/changelog", Change, params={"limit": limit})

    # What is to be done

    def epics(self) -> list[Epic]:
        return self.calls.rows("/epics", Epic)

    def features(self, epic_id: int) -> list[Feature]:
        return self.calls.rows(f"/features/{epic_id:d}", Feature)

    def create_epic(self, agent_id: str, name: str, description: str) -> Epic:
        return repeats.create_epic(self, agent_id, {"name": name, "description": description})

    def create_feature(self, agent_id: str, epic_id: int, name: str, description: str) -> Feature:
        body = {"epic_id": epic_id, "name": name, "description": description}
        return repeats.create_feature(self, agent_id, body)

    def create_task(
        self,
        agent_id: str,
        *,
        feature_id: int,
        title: str,
        description: str,
        target_role: str,
        difficulty: str,
        branch: str,
        complexity: str = "major",
        take_up: bool = False,
    ) -> Task:
        """A new task, ``pending``: nobody is offered it before somebody sets it to ``created``.

        ``take_up``: one like it that this agent made and that never left ``pending`` is taken instead, for
        whoever made it was ended before it was offered.
        """
        body = {
            "feature_id": feature_id,
            "title": title,
            "description": description,
            "target_role": target_role,
            "difficulty": difficulty,
            "complexity": complexity,
            "branch": branch,
        }
        left = repeats.never_offered(self, agent_id, body) if take_up else None
        return left or repeats.create_task(self, agent_id, body)

    def _listing(
        self, status: str | None = None, role: str | None = None, *, wanted: int | None = None
    ) -> list[Task]:
        """The listed tasks, or of them only the ``wanted`` one, whose row must then be valid."""
        params: dict[str, str | int] = {}
        params |= {"status": status} if status is not None else {}
        params |= {"role": board_role(role)} if role is not None else {}
        # Our board then answers with that one alone; the real one ignores what it does not know.
        params |= {"task_id": wanted} if wanted is not None else {}
        tasks = self.calls.rows("/tasks", Task, params=params, wanted=wanted)
        return tasks if wanted is None else [task for task in tasks if task.id == wanted]
