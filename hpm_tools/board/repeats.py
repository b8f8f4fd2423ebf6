"""Writes whose answer may be lost: look at the board before doing them again.

Locking, setting a status, commenting and creating are not repeatable: done twice they tell a second
story (a second row in the changelog, a second task), or the wrong one (a finished task that the next
agent has taken already would be reported again over its head).
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from hpm_tools.board import history
from hpm_tools.board.backoff import Backoff
from hpm_tools.board.errors import BadAnswer, LockLost, LostAnswer, Refusal
from hpm_tools.board.models import Epic, Feature, Task, moment
from hpm_tools.errors import Held, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hpm_tools.board.client import Board

T = TypeVar("T")


class StatusReply(msgspec.Struct):
    """Of the reply to a status, the task; the next one that it offers is not looked at."""

    task: Task


CLOCK_SLACK = 2.0
NEW = "pending"
FLICKERS = 3


def _until_known(board: Board, what: str, act: Callable[[], T], done: Callable[[], T | None]) -> T:
    """``act()`` until its outcome is known; before each repetition ``done()`` tells what came of the last.

    Bounded by the transport's retries and patience. Raises what ``act`` or ``done`` raise; LostAnswer,
    or the BadAnswer, when the last repetition stays unknown too.
    """
    policy: Backoff | None = Backoff.of(board.calls.transport.retries)
    give_up = time.monotonic() + board.calls.transport.patience
    while True:
        try:
            return act()
        except (LostAnswer, BadAnswer) as error:
            lost = error
        policy = policy.after_failure("", what) if policy is not None else None
        pause = policy.pause({}) if policy is not None else 0.5
        # The board may still be carrying it out.
        time.sleep(pause)
        outcome = done()
        if outcome is not None:
            return outcome
        if policy is None or time.monotonic() >= give_up:
            raise lost


class LockAnswer(NamedTuple):
    """A task that the board says is locked by the agent.

    ``seconds``: the longest that one request for it took; ``asked``: how many there were; ``refused``: the last was.
    """

    task: Task
    seconds: float
    asked: int
    refused: bool


def lock(
    board: Board, task_id: int, agent_id: str, seen: Task | None = None, *, expect_free: bool = False
) -> LockAnswer:
    """Ask for the lock. ``expect_free``: our board then refuses it, as the real one does, to the agent that has it.

    A refusal is read back: the real board refuses the holder too, and so it does a repetition of a
    request whose answer was lost.
    """
    longest = 0.0
    asked = 0

    def act() -> Task:
        nonlocal longest, asked
        started = time.monotonic()
        asked += 1
        try:
            params = {"agent_id": agent_id, **({"expect_free": "true"} if expect_free else {})}
            return board.calls.write("POST", f"/tasks/{task_id:d}/lock", params, None, Task)
        finally:
            longest = max(longest, time.monotonic() - started)

    def held_by_me() -> Task | None:
        task = _existing(board, task_id, seen)
        if task.locked_by is not None and task.locked_by != agent_id:
            raise Held(f"task {task_id} is held by {task.locked_by}", "take another, or try again later")
        return task if task.locked_by else None

    for _ in range(FLICKERS):
        try:
            task = _until_known(board, "lock", act, held_by_me)
            return LockAnswer(task, longest, asked, refused=False)
        except Refusal:
            mine = held_by_me()
            if mine is not None:
                return LockAnswer(mine, longest, asked, refused=True)
    raise Held(f"task {task_id} changes hands: refused, then free again", "try again later")


def set_status(
    board: Board,
    task_id: int,
    agent_id: str,
    status: str,
    notes: str | None,
    *,
    expect_lock: tuple[str, str] | None,
    since: str | None,
) -> Task:
    """PUT a status exactly once; see `Board.set_status`."""
    params: dict[str, str | int] = {"agent_id": agent_id}
    if expect_lock is not None:
        params["expect_lock"] = ",".join(expect_lock)
    body: dict[str, Any] = {"status": status}
    if notes is not None:
        body["notes"] = notes
    started = time.monotonic()
    repeated = False

    def act() -> Task:
        try:
            reply = board.calls.write("PUT", f"/tasks/{task_id:d}/status", params, body, StatusReply)
            return reply.task
        except Refusal as error:
            # After a lost answer this may be the refusal of a repetition that came too late.
            applied = _applied() if repeated else None
            if applied is not None:
                return applied
            raise LockLost(
                f"task {task_id} is no longer locked by {agent_id} as it was: {error.message}"
            ) from None

    def _applied() -> Task | None:
        after = since or _board_time(board, started)
        if not was_set(board, task_id, agent_id, status, after):
            return None
        return _existing(board, task_id)

    def done() -> Task | None:
        nonlocal repeated
        repeated = True
        applied = _applied()
        if applied is not None:
            return applied
        task = _existing(board, task_id)
        if task.status == status:
            return task
        if expect_lock is not None and (task.locked_by, task.locked_at) != expect_lock:
            raise LockLost(f"task {task_id} is now {_held(task)}, and was not set to {status}")
        return None

    return _until_known(board, "status", act, done)


def was_set(board: Board, task_id: int, agent_id: str, status: str, since: str | None) -> bool:
    """Whether the changelog says that ``agent_id`` set the task to ``status`` at ``since`` or later.

    Only this tells a status that was set and moved on (the next agent is quick) from one never set.
    """
    earliest = moment(since) if since is not None else None
    return any(
        row.task_id == task_id
        and row.changed_by == agent_id
        and row.new_status == status
        and (earliest is None or moment(row.changed_at) >= earliest)
        for row in history.changes(board, since).rows
    )


def comment(board: Board, task_id: int, agent_id: str, text: str) -> None:
    """Append a comment once: the board writes it into the notes as ``agent: text``."""

    def act() -> bool:
        path, params = f"/tasks/{task_id:d}/comment", {"agent_id": agent_id}
        board.calls.write("POST", path, params, {"comment": text}, dict[str, msgspec.Raw])
        return True

    def done() -> bool | None:
        return has_comment(_existing(board, task_id), agent_id, text) or None

    _until_known(board, "comment", act, done)


def has_comment(task: Task, agent_id: str, text: str, *, since: str = "") -> bool:
    """Whether the task has the comment, and below the last one with ``since`` in it if there is one."""
    notes = task.notes or ""
    return f"{agent_id}: {text}" in (notes[max(0, notes.rfind(since)) :] if since else notes)


def create_epic(board: Board, agent_id: str, body: Mapping[str, Any]) -> Epic:
    started = time.monotonic()

    def made() -> Epic | None:
        earliest = moment(_board_time(board, started))
        same = [
            epic
            for epic in board.epics()
            if (epic.name, epic.description) == (body["name"], body["description"])
            and moment(epic.created_at) >= earliest
        ]
        return max(same, key=lambda epic: epic.id, default=None)

    return _until_known(board, "epic", lambda: _post(board, "/epics", agent_id, body, Epic), made)


def create_feature(board: Board, agent_id: str, body: Mapping[str, Any]) -> Feature:
    """The board gives features no time: one of the same epic, name and description is as good as new."""

    def made() -> Feature | None:
        same = [
            feature
            for feature in board.features(body["epic_id"])
            if (feature.name, feature.description) == (body["name"], body["description"])
        ]
        return max(same, key=lambda feature: feature.id, default=None)

    return _until_known(board, "feature", lambda: _post(board, "/features", agent_id, body, Feature), made)


def create_task(board: Board, agent_id: str, body: Mapping[str, Any]) -> Task:
    started = time.monotonic()

    def made() -> Task | None:
        earliest = moment(_board_time(board, started))
        same = [task for task in _like(board, agent_id, body) if moment(task.created_at) >= earliest]
        return max(same, key=lambda task: task.id, default=None)

    return _until_known(board, "task", lambda: _post(board, "/tasks/create", agent_id, body, Task), made)


def never_offered(board: Board, agent_id: str, body: Mapping[str, Any]) -> Task | None:
    """A task like ``body`` that the agent made and nobody ever set to another status, or None."""
    pending = [task for task in _like(board, agent_id, body, status=NEW) if task.locked_by is None]
    if not pending:
        return None
    oldest = min(pending, key=lambda task: moment(task.created_at))
    known = history.changes(board, oldest.created_at)
    if not known.whole:
        # One that was offered and finished must not be taken for a new one: rather a second one.
        return None
    offered = [row for row in known.rows if row.new_status != NEW]

    def was_offered(task: Task) -> bool:
        return any(
            row.task_id == task.id and moment(row.changed_at) >= moment(task.created_at) for row in offered
        )

    return next((task for task in pending if not was_offered(task)), None)


def _like(board: Board, agent_id: str, body: Mapping[str, Any], status: str | None = None) -> list[Task]:
    return [
        task
        for task in board.tasks(status=status, role=body["target_role"])
        if task.created_by == agent_id and all(getattr(task, name) == value for name, value in body.items())
    ]


def _post(board: Board, path: str, agent_id: str, body: Mapping[str, Any], type_: type[T]) -> T:
    return board.calls.write("POST", path, {"agent_id": agent_id}, body, type_)


def _board_time(board: Board, started: float) -> str:
    """What the board's own clock said at ``started`` (monotonic), or a little before: ours may differ.

    The epoch if the board tells no time.
    """
    try:
        now = board.health().timestamp
    except BadAnswer:
        now = None
    if now is None:
        return "1970-01-01T00:00:00"
    return (moment(now) - timedelta(seconds=time.monotonic() - started + CLOCK_SLACK)).isoformat()


def _existing(board: Board, task_id: int, seen: Task | None = None) -> Task:
    look_first = (seen.status, seen.target_role) if seen else (None, None)
    task = board.find_task(task_id, status=look_first[0], role=look_first[1])
    if task is None:
        raise NotFound(f"the board has no task {task_id}", "see what there is: hpm pm.tasks")
    return task


def _held(task: Task) -> str:
    return f"held by {task.locked_by}" if task.locked_by else "held by nobody"
