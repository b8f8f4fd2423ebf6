"""The task record: what an agent has taken, who holds it, and how far it got.

It keeps the fields of the guide (``task_id task_title agent_id locked_at worktree_path branch_name
task_data``), so a record without ``schema``, written by the earlier runner or by hand, is understood.
"""

from __future__ import annotations

import time

from hpm_tools import names
from hpm_tools.errors import BadData, Misconfigured
from hpm_tools.state import quickjson
from hpm_tools.state.fields import complete, validate
from hpm_tools.state.files import NotARegularFile, TooLarge, atomic_write, read_capped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

__all__ = ["CorruptRecord", "NewerSchema", "Record", "atomic_write", "parse", "read", "seconds_since_epoch"]

SCHEMA = 1
READ_LIMIT = 4 << 20
"""Bytes; nothing larger is read, or written."""

RUNNER = "runner"
PROCESS = "process"
HAND = "hand"
UNKNOWN = "unknown"
HOLDERS = (RUNNER, PROCESS, HAND)

HINTS = ("task_id", "run_id", "agent_id", "created_at", "worktree_path", "branch_name", "session_id")
"""What is made out in a corrupt record."""

BOM = b"\xef\xbb\xbf"
_LONG_TEXT = 64 << 10


class CorruptRecord(BadData):
    """A record that says nothing reliable. It never means that there was no task.

    ``hints`` holds what can still be made out in it (``task_id``, ``run_id``…): where to look, no proof.
    """

    kind = "corrupt_record"

    def __init__(self, message: str, hint: str = "", hints: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint or "hpm recover --agent-id A rebuilds it from the board")
        self.hints = dict(hints or {})


class NewerSchema(Misconfigured):
    """A record written by a newer version: nothing is done with it or about it."""

    kind = "newer_schema"


class OtherAgentsRecord(Misconfigured):
    """Two agent ids that differ only in case share one file: neither may act on the other's record."""

    kind = "other_agents_record"


class Record:
    """A record's fields as attributes; an absent one is None. Fields that this version does not know are kept.

    Reads like the guide's dictionary too: ``record["task_id"]``, ``record.get("branch_name")``, ``dict(record)``.
    """

    __slots__ = ("fields",)

    if TYPE_CHECKING:
        schema: int | None
        task_id: int
        task_title: str
        agent_id: str
        locked_at: str | None
        worktree_path: str | None
        branch_name: str | None
        salvage: str | None
        stays: str | None
        switch_back: str | None
        run_id: str
        token: str
        step: str
        step_at: str | None
        host: str | None
        boot_id: str | None
        pid: int | None
        pid_start: str | None
        child: dict[str, Any] | None
        session_id: str | None
        base: str | None
        board: str | None
        board_status_before: str
        board_locked_at: str | None
        role: str | None
        level: str | None
        repo: str | None
        checkout: str
        in_place: bool | None
        checkout_at: float | None
        entries: dict[str, Any] | None
        taken_at: float | None

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.fields.get(name)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __contains__(self, name: object) -> bool:
        return name in self.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __eq__(self, other: object) -> bool:
        return self.fields == other.fields if isinstance(other, Record) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def keys(self) -> Any:
        return self.fields.keys()

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(name, default)

    def __repr__(self) -> str:
        return f"Record(agent_id={self.agent_id!r}, task_id={self.task_id!r}, step={self.step!r})"

    @property
    def holder(self) -> str:
        """``runner``, ``process``, ``hand``, or ``unknown`` for a record without ``schema``."""
        named = self.fields.get("holder")
        return named if self.schema is not None and named in HOLDERS else UNKNOWN

    @property
    def task_data(self) -> dict[str, Any]:
        """The board's task as it was when it was taken; empty if the record has none."""
        return self.fields.get("task_data") or {}

    @property
    def created_at(self) -> str | None:
        """When the board made the task, in the board's own words; with ``task_id`` it names the task."""
        found = self.fields.get("created_at") or self.task_data.get("created_at")
        return found if isinstance(found, str) else None

    def age(self, now: float | None = None) -> float | None:
        """Seconds since the task was locked, never negative; None if the record does not say. For display only."""
        taken_at = self.fields.get("taken_at")
        then = taken_at if isinstance(taken_at, int | float) else seconds_since_epoch(self.locked_at or "")
        return None if then is None else max(0.0, (time.time() if now is None else now) - then)

    def to_json(self) -> dict[str, Any]:
        """The fields for people and ``--json``: the token, which lets its bearer unlock, left out."""
        return {name: value for name, value in self.fields.items() if name != "token"}

    def to_bytes(self) -> bytes:
        """The record as it is stored; raises BadData when it is none, or is too large even with texts cut."""
        validate(self.fields, _bad_field)
        data = _dump(self.fields)
        if len(data) > READ_LIMIT:
            data = _dump(_cut(self.fields))
        if len(data) > READ_LIMIT:
            raise BadData(f"the record of task {self.task_id} would be {len(data)} bytes large")
        return data


def _dump(fields: Mapping[str, Any]) -> bytes:
    # ASCII: whatever a title holds, `cat` of the record sends no control character to a terminal.
    try:
        return quickjson.dumps(fields)
    except ValueError as error:
        raise BadData(f"the record cannot be written as JSON: {error}") from error


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONG_TEXT:
        return f"{value[:_LONG_TEXT]}\n[{len(value) - _LONG_TEXT} more characters are on the board]"
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value


def parse(data: bytes, agent_id: str | None = None) -> Record:
    """The record in ``data``.

    ``agent_id`` is whose record it should be: another's is corrupt, a missing one is filled in. Raises
    CorruptRecord, NewerSchema, and OtherAgentsRecord when the ids differ only in case.
    """
    fields = _decode(data)
    schema = fields.get("schema")
    if type(schema) is int and schema > SCHEMA:
        raise NewerSchema(
            f"a record has schema {schema}; this version knows {SCHEMA}",
            "use the newer hpm-tools that wrote it",
        )
    fault = _Fault(data)
    if schema is not None and (type(schema) is not int or schema != SCHEMA):
        fault("schema", "is no schema")
    complete(fields, agent_id)
    validate(fields, fault)
    if agent_id is not None and fields["agent_id"] != agent_id:
        if fields["agent_id"].casefold() == agent_id.casefold():
            raise OtherAgentsRecord(
                f"agent {fields['agent_id']} has its record where {agent_id} would keep one",
                "this file system does not tell their case apart: choose ids that differ in more than case",
            )
        fault("agent_id", f"is {names.shown(fields['agent_id'])}, not {agent_id}")
    return Record(fields)


def read(path: str, agent_id: str | None = None) -> Record | None:
    """The record stored at ``path``; None if there is none. Raises as ``parse``, and Unreadable."""
    try:
        data = read_capped(path, READ_LIMIT)
    except (NotARegularFile, TooLarge) as error:
        raise CorruptRecord(error.message) from error
    return None if data is None else parse(data, agent_id)


def _decode(data: bytes) -> dict[str, Any]:
    try:
        fields = quickjson.loads(data.removeprefix(BOM))
    except ValueError as error:
        why = "is empty" if not data.strip() else f"is no JSON: {error.args[0] if error.args else ''}"
        raise CorruptRecord(f"the record {names.shown(why, 120)[1:-1]}", hints=_hints(data)) from None
    if not isinstance(fields, dict):
        raise CorruptRecord("the record is no JSON object")
    return fields


def _hints(data: bytes) -> dict[str, str]:
    """What a torn record still shows; the earlier runner left truncated ones."""
    import re

    text = data[:READ_LIMIT].decode("utf-8", "replace")
    found = {}
    for name in HINTS:
        match = re.search(rf'"{name}"\s*:\s*"?([A-Za-z0-9_./:+-]{{1,200}})"?', text)
        if match and match[1] != "null":
            found[name] = match[1]
    return found


class _Fault:
    """Raises CorruptRecord for one field."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __call__(self, field: str, why: str) -> NoReturn:
        raise CorruptRecord(f"the record's {field} {why}", hints=_hints(self._data))


def _bad_field(field: str, why: str) -> NoReturn:
    raise BadData(f"the record's {field} {why}")


def seconds_since_epoch(text: str, *, naive_is_utc: bool = False) -> float | None:
    """The Unix time of an ISO 8601 timestamp; None if it is none. Without a zone it is local time.

    The board's own timestamps are without a zone and in UTC (docs/headless-pm.md, Conventions): ``naive_is_utc``.
    """
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and naive_is_utc:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return None
