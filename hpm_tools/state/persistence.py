"""An agent's record on this host: taken, journalled, read back after a crash, released."""

from __future__ import annotations

import os
import time

from hpm_tools import names
from hpm_tools.errors import Held, HpmError, UsageError
from hpm_tools.state import files, guard, quarantine
from hpm_tools.state.holder import ALIVE, holder_alive, holder_fields
from hpm_tools.state.paths import StateDir
from hpm_tools.state.record import (
    HAND,
    HINTS,
    PROCESS,
    READ_LIMIT,
    SCHEMA,
    CorruptRecord,
    Record,
    parse,
    read,
)
from hpm_tools.state.views import RecordView, all_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["RecordChanged", "RecordView", "TaskPersistence", "all_records", "holder_alive", "holder_fields"]


class RecordChanged(Held):
    """The record was released, or taken over, by somebody else since this process last saw it."""

    kind = "record_changed"


class TaskPersistence:
    """The record of one agent. Every write is atomic, durable, 0600 and excludes other writers.

    Whoever writes holds the agent's guard (``state.guard.agent_guard``), or is the record's owner; this
    class does not take it. ``objection`` says of a record that was read back, and that
    this object did not write itself, why it cannot be true ("" if it can): such a one is corrupt, too. ``tell``
    is given a sentence when somebody changed the record that this object holds.

    ``store`` is where records are kept: a StateDir, or the path of one (default: as for StateDir). Raises
    UsageError for an ``agent_id`` that cannot be one, and Misconfigured if it cannot be told where the store is.
    """

    def __init__(
        self,
        agent_id: str,
        store: StateDir | str | os.PathLike[str] | None = None,
        *,
        objection: Callable[[Record], str] = lambda _: "",
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.agent_id = names.agent_id(agent_id)
        self.state = store if isinstance(store, StateDir) else StateDir(store)
        self.path = self.state.record_file(self.agent_id)
        self.guard_path = self.state.guard_file(self.agent_id)
        self._own: str | None = None
        self._seen: str | None = None
        self._told_of_corrupt = False
        self._corrupt: CorruptRecord | None = None
        self._objection = objection
        self._tell = tell
        self._written: tuple[Record, ...] = ()
        """The record as this object, its holder, wrote it last; before that the one that it has just replaced."""

    def lock_task(
        self,
        task: Mapping[str, Any],
        worktree_path: str | os.PathLike[str] | None = None,
        branch_name: str | None = None,
        *,
        holder: str = HAND,
        owner_pid: int | None = None,
        **fields: Any,
    ) -> Record:
        """Record that this agent takes ``task`` (the board's object; ``id`` is needed), and return the record.

        ``holder`` says whose lock it is: a person's ("hand"), or that of the process ``owner_pid``, which ends with it.
        ``fields`` are further fields of the record, such as ``step`` and ``board``.

        Raises Held if the agent has a record, UsageError if the task has no usable id or ``owner_pid`` does not
        run or ``holder`` is no process, BadData for what no record can hold, Misconfigured or CannotCreate if the store
        cannot be written, and CorruptRecord if the agent had a record that nobody has answered for; where ``record``
        of this object has said so, this is the answer.
        """
        if not hasattr(task, "keys"):  # to import Mapping costs `hpm lock` too much
            raise TypeError(
                f"lock_task() argument 'task' must be the board's object, not {type(task).__name__}"
            )
        if settled := {"agent_id", "schema"} & fields.keys():
            raise TypeError(f"lock_task() got an unexpected keyword argument {min(settled)!r}")
        if owner_pid is not None and holder != PROCESS:
            raise UsageError(f"owner_pid is given, but the holder is {holder!r}", f"pass holder={PROCESS!r}")
        self.state.prepare()
        files.sweep(self.state.locks)
        if not self._told_of_corrupt:
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
                "taken_at": time.time(),
                **holder_fields(holder, owner_pid),
                "step_at": _now() if "step" in fields else None,
                **_plain(fields),
                "task_data": dict(task),
            }
        )
        data = record.to_bytes()
        written = parse(data, self.agent_id)  # before it is there: what cannot be read again is never written
        try:
            files.atomic_write(self.path, data, exclusive=True)
        except FileExistsError:
            raise self._held() from None
        self._own = self._seen = record.token
        self._written = (written,)
        self.settle_corrupt()
        return record

    def get_locked_task(self) -> dict[str, Any] | None:
        """The agent's record as a plain dictionary of its own; None if it has none.

        The board's task is in ``task_data``; ``task_id``, ``task_title``, ``agent_id``, ``locked_at``,
        ``worktree_path`` and ``branch_name`` are always there. Raises what ``record`` raises.
        """
        from copy import deepcopy  # so that no change to it reaches what this object compares its file with

        record = self.record()
        return None if record is None else deepcopy(record.fields)

    def record(self) -> Record | None:
        """The agent's record; None if it has none.

        A corrupt one is moved aside as ``*.corrupt-<time>`` and raises CorruptRecord, now and at every
        later call, in other processes too, until ``lock_task`` or ``settle_corrupt`` has answered for it: a
        crash between finding it and rebuilding it must not turn it into "no task". Raises NewerSchema,
        OtherAgentsRecord and Unreadable, and then changes nothing.
        """
        if not self.state.check():
            return None
        try:
            record = self._read()
        except CorruptRecord as error:
            self._told_of_corrupt = True
            moved = quarantine.set_aside(self.path)
            self._corrupt = CorruptRecord(f"{error.message}; it is kept as {moved}", error.hint, error.hints)
            raise self._corrupt from error
        if record is None:
            self._told_of_corrupt = True
            self._refuse_unsettled()
            self._told_of_corrupt = False
            return None
        self._seen = record.token
        return record

    def _read(self) -> Record | None:
        """The record; what its holder wrote where somebody changed it since, which the next `update` mends."""
        try:
            record = read(self.path, self.agent_id)
        except CorruptRecord:
            if not self._written or not os.path.lexists(self.path):
                raise
            return self._written[-1]
        if record is None:
            return None
        if self._written and record.token == self._written[-1].token:
            return record if record in self._written else self._written[-1]
        why = self._objection(record)
        if why:
            raise CorruptRecord(f"the record's {why}", hints=_hints_in(record))
        return record

    def is_locked(self) -> bool:
        """Whether there is a record, readable or not, or a corrupt one that nobody has settled.

        Raises Misconfigured if others may write to the store.
        """
        return self.state.check() and (os.path.lexists(self.path) or bool(quarantine.unsettled(self.path)))

    def update(self, **fields: Any) -> Record:
        """Journal ``fields`` in the record, durably, and return it as it is now.

        Fields with a ``holder`` make that one the holder, here and now, with a new token. Raises
        RecordChanged when the record is no longer the one this object wrote or last read, BadData for a value
        that no record can hold, and CannotCreate if it cannot be written; the record is then as it was.
        """
        with files.Exclusive(self.path) as file:
            record, altered = self._current(file)
            changes = _plain(fields)
            if "holder" in fields:
                changes = self._new_holder(changes)
            if changes.get("step", record.step) != record.step:
                changes["step_at"] = _now()
            before, record = record, Record({**record.fields, **changes})
            data = record.to_bytes()
            # A crash in between leaves a record that is set aside and unsettled: it is rebuilt from the board.
            moved = quarantine.set_aside(self.path) if altered else ""
            if self._own is not None or "holder" in fields:
                # First: another thread may read it as soon as it is there, and what fails may be there all the same.
                self._written = (before, parse(data, self.agent_id))
            files.atomic_write(self.path, data)
            self._seen = record.token
            if "holder" in fields:
                self._own = record.token
        if altered:
            self._tell(
                f"somebody changed the record of agent {self.agent_id}; it goes on as it was, and what it was "
                f"changed to is kept as {moved}"
            )
            quarantine.settle(self.path)
        return record

    def adopt(self, holder: str, owner_pid: int | None = None, **fields: Any) -> Record:
        """Make ``holder`` the record's holder, with a new token; who may is the caller's decision."""
        return self.update(holder=holder, pid=owner_pid, **fields)

    def release_lock(self, token: str | None = None, *, force: bool = False) -> Record | None:
        """Remove the record and return it; None if there is none.

        The record of a living holder needs its ``token``; one that a person holds, or that this object wrote, does
        not. ``force`` removes it all the same, and a corrupt one, too, which returns None. Worktree and branch stay.

        Raises Held if the holder lives or the token is another's, RecordChanged, even with ``force``, if this object
        wrote a record and this is another, what ``record`` raises, and CannotCreate if the file cannot be removed.
        """
        if not self.state.check():
            return None
        record = self._readable(force)
        if record is None:
            return None
        with files.Exclusive(self.path) as file:
            if not file.exists:
                return None
            record, _ = self._as_written(file)
            if self._own is not None and self._own != record.token:
                raise self._changed(record)
            refusal = self._refusal(record, token)
            if refusal and not force:
                raise refusal
            files.remove(self.path)
        self._own = self._seen = None
        self._written = ()
        files.sweep(self.state.locks)
        return record

    def age(self) -> float | None:
        """Seconds since the task was locked; None without a record. For display only."""
        record = self.record()
        return None if record is None else record.age()

    get_lock_age_seconds = age
    update_lock = update

    def settle_corrupt(self) -> list[str]:
        """Mark the quarantined records as answered for; they are kept. Returns their paths."""
        self._told_of_corrupt = False
        self._corrupt = None
        return quarantine.settle(self.path)

    def _new_holder(self, changes: dict[str, Any]) -> dict[str, Any]:
        named = holder_fields(changes["holder"], changes.get("pid"))
        given = {name: value for name, value in changes.items() if name not in named}
        return {"token": os.urandom(16).hex(), **named, **given}

    def _current(self, file: files.Exclusive) -> tuple[Record, bool]:
        """The record to be changed, and whether the file says something else, which nobody had any business to write."""
        if not file.exists:
            raise RecordChanged(f"agent {self.agent_id} has no record any more", "somebody else released it")
        record, altered = self._as_written(file)
        expected = self._own or self._seen
        if expected is not None and record.token != expected:
            raise self._changed(record)
        return record, altered

    def _as_written(self, file: files.Exclusive) -> tuple[Record, bool]:
        """What is in the file; where this object holds the record, what it wrote, and whether that is not there any more."""
        try:
            record = parse(file.read(READ_LIMIT), self.agent_id)
        except (CorruptRecord, files.TooLarge):
            if not self._written:
                raise
            return self._written[-1], True
        if record in self._written or not self._written or record.token != self._written[-1].token:
            return record, False
        return self._written[-1], True

    def _changed(self, record: Record) -> RecordChanged:
        return RecordChanged(
            f"the record of agent {self.agent_id} is now that of another run (task {record.task_id})",
            "this run must not go on",
        )

    def _held(self) -> HpmError:
        try:
            record = read(self.path, self.agent_id)
        except HpmError as error:
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
            return self.record()
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
        if self._own is not None:
            return None
        if holder_alive(record, guard.held_by_other(self.guard_path), self.state.home) != ALIVE:
            return None
        return Held(
            f"agent {self.agent_id} is working on task {record.task_id} (process {record.pid})",
            "pass its token, end that process, or use --force",
        )

    def _refuse_unsettled(self) -> None:
        if self._corrupt is not None and quarantine.unsettled(self.path):
            raise self._corrupt
        for moved in quarantine.unsettled(self.path):
            raise CorruptRecord(
                f"agent {self.agent_id} had a record that was corrupt: {moved}", hints=_hints_of(moved)
            )


def _hints_of(path: str) -> dict[str, str]:
    try:
        record = read(path)
    except CorruptRecord as error:
        return error.hints
    except HpmError:
        return {}
    return _hints_in(record) if record is not None else {}


def _hints_in(record: Record) -> dict[str, str]:
    """What a record that cannot be true still shows, as of a torn one."""
    return {name: str(record[name]) for name in HINTS if record.get(name) is not None}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Paths as text: the earlier runner left a torn record because JSON knows no paths."""
    return {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in fields.items()
    }
