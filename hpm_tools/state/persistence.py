"""An agent's record on this host: taken, journalled, read back after a crash, released."""

from __future__ import annotations

import os
import time

from hpm_tools import names
from hpm_tools.errors import Held, HpmError
from hpm_tools.state import files, guard
from hpm_tools.state.holder import ALIVE, UNPROVEN, holder_alive, holder_fields
from hpm_tools.state.paths import StateDir
from hpm_tools.state.record import HAND, READ_LIMIT, SCHEMA, CorruptRecord, Record, parse, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hpm_tools.state.holder import Liveness

__all__ = ["RecordChanged", "RecordView", "TaskPersistence", "all_records", "holder_alive", "holder_fields"]

PREFIX = "agent-"
SUFFIX = ".lock"
CORRUPT = ".corrupt-"
SETTLED = ".settled"


class RecordChanged(Held):
    """The record was released, or taken over, by somebody else since this process last saw it."""

    code = "record_changed"


class TaskPersistence:
    """The record of one agent. Every write is atomic, durable, 0600 and excludes other writers.

    Whoever writes holds the agent's guard (``state.guard.agent_guard``), or is the record's owner; this
    class does not take it. ``home`` as for StateDir.
    """

    def __init__(self, agent_id: str, home: str | os.PathLike[str] | None = None) -> None:
        self.agent_id = names.agent_id(agent_id)
        self.state = StateDir(home)
        self.path = os.path.join(self.state.locks, f"{PREFIX}{self.agent_id}{SUFFIX}")
        self.guard_path = os.path.join(self.state.locks, f"{PREFIX}{self.agent_id}{guard.SUFFIX}")
        self._own: str | None = None
        self._seen: str | None = None

    def lock_task(
        self,
        task: Mapping[str, Any],
        *,
        holder: str = HAND,
        owner_pid: int | None = None,
        worktree_path: str | os.PathLike[str] | None = None,
        branch_name: str | None = None,
        rebuilt: bool = False,
        **fields: Any,
    ) -> Record:
        """Record that this agent takes ``task`` (the board's object; ``id`` is needed).

        ``fields`` are further fields of the record, such as ``step`` and ``board``. Raises Held if the
        agent has a record, CorruptRecord if it had one that nobody has settled yet (``rebuilt`` says that
        this is its successor), UsageError if ``owner_pid`` does not run.
        """
        self.state.prepare()
        files.sweep(self.state.locks)
        if not rebuilt:
            self._refuse_unsettled()
        record = Record(
            {
                "task_id": names.task_id(task.get("id", task.get("task_id", 0))),
                "task_title": str(task.get("title") or task.get("task_title") or ""),
                "agent_id": self.agent_id,
                "locked_at": _now(),
                "worktree_path": None if worktree_path is None else os.fspath(worktree_path),
                "branch_name": branch_name,
                "schema": SCHEMA,
                "run_id": os.urandom(16).hex(),
                "token": os.urandom(16).hex(),
                **holder_fields(holder, owner_pid),
                **_plain(fields),
                "task_data": dict(task),
            }
        )
        try:
            files.atomic_write(self.path, record.to_bytes(), exclusive=True)
        except FileExistsError:
            raise self._held() from None
        self._own = self._seen = record.token
        self.settle_corrupt()
        return record

    def get_locked_task(self) -> Record | None:
        """The agent's record; None if it has none.

        A corrupt one is moved aside as ``*.corrupt-<time>`` and raises CorruptRecord, now and at every
        later call until ``lock_task(rebuilt=True)`` or ``settle_corrupt`` has answered for it. Raises
        NewerSchema and Unreadable, and then changes nothing.
        """
        if not self.state.check():
            return None
        try:
            record = read(self.path, self.agent_id)
        except CorruptRecord as error:
            moved = self._quarantine()
            raise CorruptRecord(f"{error.message}; it is kept as {moved}", error.hint, error.hints) from error
        if record is None:
            self._refuse_unsettled()
            return None
        self._seen = record.token
        return record

    def is_locked(self) -> bool:
        """Whether there is a record, readable or not, or a corrupt one that nobody has settled."""
        return self.state.check() and (os.path.lexists(self.path) or bool(self._unsettled()))

    def update(self, **fields: Any) -> Record:
        """Journal ``fields`` in the record, durably, and return it as it is now.

        Fields with a ``holder`` make that one the holder, here and now, with a new token. Raises
        RecordChanged when the record is no longer the one this object wrote or last read.
        """
        with files.Exclusive(self.path) as file:
            record = self._current(file)
            changes = _plain(fields)
            if "holder" in fields:
                changes = self._new_holder(changes)
            if changes.get("step", record.step) != record.step:
                changes["step_at"] = _now()
            record = Record({**record.fields, **changes})
            files.atomic_write(self.path, record.to_bytes())
        self._seen = record.token
        if "holder" in fields:
            self._own = record.token
        return record

    def adopt(self, holder: str, owner_pid: int | None = None, **fields: Any) -> Record:
        """Make ``holder`` the record's holder, with a new token; who may is the caller's decision."""
        return self.update(holder=holder, pid=owner_pid, **fields)

    def release_lock(self, token: str | None = None, *, force: bool = False) -> Record | None:
        """Remove the record and return it; None if there is none.

        The record of a living holder, and one for which a wrong token is given, raises Held, unless this
        object wrote it or ``force`` is given; a forced release is noted in the history.
        """
        if not self.state.check():
            return None
        record = self._readable(force)
        if record is None:
            return None
        with files.Exclusive(self.path) as file:
            if not file.exists:
                return None
            record = parse(file.read(READ_LIMIT), self.agent_id)
            refusal = self._refusal(record, token)
            if refusal and not force:
                raise refusal
            os.unlink(self.path)
            files.sync_directory(self.state.locks)
        self._own = self._seen = None
        files.sweep(self.state.locks)
        if refusal:
            self._note_forced(record)
        return record

    def age(self) -> float | None:
        """Seconds since the task was locked; None without a record. For display only."""
        record = self.get_locked_task()
        return None if record is None else record.age()

    get_lock_age_seconds = age
    update_lock = update

    def settle_corrupt(self) -> list[str]:
        """Mark the quarantined records as answered for; they are kept. Returns their new names."""
        settled = []
        for name in self._unsettled():
            os.rename(os.path.join(self.state.locks, name), os.path.join(self.state.locks, name + SETTLED))
            settled.append(name + SETTLED)
        return settled

    def _new_holder(self, changes: dict[str, Any]) -> dict[str, Any]:
        named = holder_fields(changes["holder"], changes.get("pid"))
        given = {name: value for name, value in changes.items() if name not in named}
        return {"token": os.urandom(16).hex(), **named, **given}

    def _current(self, file: files.Exclusive) -> Record:
        if not file.exists:
            raise RecordChanged(f"agent {self.agent_id} has no record any more", "somebody else released it")
        record = parse(file.read(READ_LIMIT), self.agent_id)
        expected = self._own or self._seen
        if expected is not None and record.token != expected:
            raise RecordChanged(
                f"the record of agent {self.agent_id} is now that of another run (task {record.task_id})",
                "this run must not go on",
            )
        return record

    def _held(self) -> HpmError:
        try:
            record = read(self.path, self.agent_id)
        except CorruptRecord as error:
            return error
        if record is None:
            return Held(f"agent {self.agent_id} was just locked and released by another process", "try again")
        return Held(
            f"agent {self.agent_id} already has task {record.task_id}",
            f"finish it, or: hpm unlock --agent-id {self.agent_id}",
            task_id=record.task_id,
            agent_id=self.agent_id,
            holder=record.holder,
        )

    def _readable(self, force: bool) -> Record | None:
        try:
            return self.get_locked_task()
        except CorruptRecord:
            if not force:
                raise
            self.settle_corrupt()
            return None

    def _refusal(self, record: Record, token: str | None) -> Held | None:
        if token is not None:
            if token == record.token:
                return None
            return Held(f"this is not the token of agent {self.agent_id}'s task {record.task_id}")
        if self._own is not None and self._own == record.token:
            return None
        if holder_alive(record, guard.held_by_other(self.guard_path)) != ALIVE:
            return None
        return Held(
            f"agent {self.agent_id} is working on task {record.task_id} (process {record.pid})",
            "pass its token, end that process, or use --force",
        )

    def _note_forced(self, record: Record) -> None:
        from hpm_tools.state import history

        history.append(
            self.state,
            "forced_unlock",
            agent=self.agent_id,
            task=record.task_id,
            holder=record.holder,
            step=record.step,
        )

    def _quarantine(self) -> str:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        moved = f"{os.path.basename(self.path)}{CORRUPT}{stamp}-{os.urandom(2).hex()}"
        os.rename(self.path, os.path.join(self.state.locks, moved))
        files.sync_directory(self.state.locks)
        return moved

    def _unsettled(self) -> list[str]:
        prefix = os.path.basename(self.path) + CORRUPT
        try:
            found = os.listdir(self.state.locks)
        except FileNotFoundError:
            return []
        return sorted(name for name in found if name.startswith(prefix) and not name.endswith(SETTLED))

    def _refuse_unsettled(self) -> None:
        for name in self._unsettled():
            try:
                hints = _hints_of(os.path.join(self.state.locks, name))
            except HpmError:
                hints = {}
            raise CorruptRecord(f"agent {self.agent_id} had a record that was corrupt: {name}", hints=hints)


def _hints_of(path: str) -> dict[str, str]:
    try:
        read(path)
    except CorruptRecord as error:
        return error.hints
    return {}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Paths as text: the earlier runner left a torn record because JSON knows no paths."""
    return {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in fields.items()
    }


class RecordView:
    """One agent's record as seen from outside; ``problem`` says why ``record`` is None."""

    __slots__ = ("agent_id", "guard_held", "problem", "record")

    def __init__(self, agent_id: str, record: Record | None, problem: str, guard_held: bool) -> None:
        self.agent_id = agent_id
        self.record = record
        self.problem = problem
        self.guard_held = guard_held

    @property
    def liveness(self) -> Liveness:
        """Whether the holder lives; ``unknown`` for a record that cannot be read, unless its guard is held."""
        if self.record is None:
            return ALIVE if self.guard_held else UNPROVEN
        return holder_alive(self.record, self.guard_held)


def all_records(state: StateDir) -> list[RecordView]:
    """Every agent's record on this host, by agent id. Changes nothing, and quarantines nothing."""
    if not state.check():
        return []
    try:
        found = os.listdir(state.locks)
    except FileNotFoundError:
        return []
    agents = set()
    for name in found:
        stem, _, rest = name.partition(SUFFIX + CORRUPT)
        if rest and name.startswith(PREFIX) and not name.endswith(SETTLED):
            agents.add(stem[len(PREFIX) :])
        elif name.startswith(PREFIX) and name.endswith(SUFFIX):
            agents.add(name[len(PREFIX) : -len(SUFFIX)])
    return [_view(state, agent) for agent in sorted(agents)]


def _view(state: StateDir, agent: str) -> RecordView:
    record, problem, held = None, "", False
    try:
        names.agent_id(agent)
        base = os.path.join(state.locks, PREFIX + agent)
        held = guard.held(base + guard.SUFFIX)
        record = read(base + SUFFIX, agent)
        if record is None:
            problem = "its record was corrupt and has not been rebuilt"
    except HpmError as error:
        problem = error.message
    return RecordView(agent, record, problem, held)
