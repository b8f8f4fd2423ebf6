from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpm_tools.errors import BadData
from hpm_tools.state.record import (
    READ_LIMIT,
    CorruptRecord,
    NewerSchema,
    OtherAgentsRecord,
    Record,
    parse,
    read,
    seconds_since_epoch,
)

if TYPE_CHECKING:
    from pathlib import Path

EARLIER_RUNNER = """{
  "task_id": 13,
  "task_title": "Add a login page",
  "agent_id": "backend_dev_001",
  "locked_at": "2026-02-04T10:58:53.088328",
  "worktree_path": "/srv/project/.worktrees/task-13",
  "branch_name": "task-13",
  "task_data": {
    "id": 13, "feature_id": 1, "title": "Add a login page", "description": "…", "created_by": "pm1",
    "target_role": "backend_dev", "difficulty": "senior", "complexity": "major", "branch": "feature/login",
    "status": "created", "locked_by": null, "locked_at": null, "notes": null,
    "created_at": "2026-02-04T10:50:00", "updated_at": "2026-02-04T10:50:00"
  }
}"""

FULL = {
    **json.loads(EARLIER_RUNNER),
    "schema": 1,
    "run_id": "0f" * 16,
    "token": "1e" * 16,
    "step": "working",
    "holder": "runner",
    "host": "vm",
    "boot_id": "b",
    "pid": 4711,
    "pid_start": "99",
    "child": {"pid": 4712, "start": "100", "pgid": 4712, "cookie": "0f"},
    "in_place": False,
    "attempt": 1,
    "taken_at": 1.5,
    "verdict": {},
}


def encoded(**changes: Any) -> bytes:
    return json.dumps({**FULL, **changes}).encode()


def test_the_earlier_runners_record_is_understood() -> None:
    record = parse(EARLIER_RUNNER.encode(), "backend_dev_001")
    assert record.holder == "unknown"
    assert record.schema is None
    assert (record.task_id, record.task_title) == (13, "Add a login page")
    assert (record.worktree_path, record.branch_name) == ("/srv/project/.worktrees/task-13", "task-13")
    assert record.created_at == "2026-02-04T10:50:00"
    assert record.child is None
    assert record.a_field_of_a_later_version is None


def test_it_reads_like_the_guides_dictionary() -> None:
    record = parse(EARLIER_RUNNER.encode())
    assert record["task_data"]["id"] == 13
    assert record.get("step", "none") == "none"
    assert "branch_name" in record
    assert dict(record) == json.loads(EARLIER_RUNNER)
    with pytest.raises(KeyError):
        record["absent"]


@pytest.mark.parametrize(
    ("text", "task_id"),
    [
        ('{"task_id": 12}', 12),
        ('{"task_id": "12"}', 12),
        ('\ufeff{"task_id": 12}\r\n', 12),
        ('{"task_data": {"id": 12}}', 12),
        ('{"task_id": 12, "worktree_path": null, "branch_name": null, "task_data": null}', 12),
    ],
)
def test_the_least_that_a_hand_writes_is_understood(text: str, task_id: int) -> None:
    record = parse(text.encode(), "dev_001")
    assert (record.task_id, record.agent_id, record.holder) == (task_id, "dev_001", "unknown")
    assert record.task_data.get("id") in (None, task_id)


def test_a_holder_without_a_schema_is_still_unknown() -> None:
    assert parse(b'{"task_id": 1, "agent_id": "a", "holder": "runner"}').holder == "unknown"
    assert parse(encoded(holder="somebody")).holder == "unknown"


def test_what_is_written_reads_back_the_same_with_fields_nobody_knows() -> None:
    record = Record({**FULL, "of_a_later_version": {"a": [1, None, "ü"]}})
    assert parse(record.to_bytes(), "backend_dev_001") == record


def test_a_record_is_safe_to_show_on_a_terminal() -> None:
    hostile = "\x1b]0;owned\x07 \u202e \x9b31m \ud800"
    data = Record({**FULL, "task_title": hostile}).to_bytes()
    assert all(byte in b"\n" or 32 <= byte < 127 for byte in data)
    assert parse(data).task_title == hostile


def test_the_token_is_not_shown() -> None:
    assert "token" not in parse(encoded()).to_json()
    assert FULL["token"] not in repr(parse(encoded()))


@pytest.mark.parametrize("schema", [2, 10**30])
def test_a_newer_schema_fails_closed(schema: int) -> None:
    with pytest.raises(NewerSchema) as caught:
        parse(json.dumps({"schema": schema, "task_id": {"other": "shape"}}).encode(), "dev_001")
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\0" * 4096,
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"12",
        b"{",
        EARLIER_RUNNER[:200].encode(),
        b"{}",
        b'{"task_id": 1e999, "agent_id": "a"}',
        b'{"task_id": NaN, "agent_id": "a"}',
        b'{"task_id": 1, "agent_id": "a", "x": Infinity}',
        b'{"task_id": 1, "agent_id": "a", "x": -1e400}',
        b'{"task_id": ' + b"1" * 5000 + b"}",
        b"[" * 500_000,
        b'{"a":' * 200_000,
        encoded(task_id=0),
        encoded(task_id=-1),
        encoded(task_id=2**63),
        encoded(task_id=1.0),
        encoded(task_id=True),
        encoded(task_id="../x"),
        encoded(task_id=None, task_data=None),
        encoded(agent_id="../../etc/x"),
        encoded(agent_id=7),
        encoded(agent_id="somebody_else"),
        encoded(schema=0),
        encoded(schema=True),
        encoded(schema="1"),
        encoded(schema=1.0),
        encoded(task_title=["x"]),
        encoded(worktree_path=3),
        encoded(worktree_path="/a\0b"),
        encoded(branch_name="\ud800"),
        encoded(run_id="../x"),
        encoded(run_id=""),
        encoded(task_data=[]),
        encoded(task_data="x"),
        encoded(in_place="no"),
        encoded(attempt="1"),
        encoded(attempt=True),
        encoded(verdict="done"),
        encoded(pid=0),
        encoded(pid=-1),
        encoded(pid=2**31),
        encoded(pid="4711"),
        encoded(child=[]),
        encoded(child={"pid": -1}),
        encoded(child={"pid": 1}),
        encoded(child={"pid": 5, "pgid": 1}),
        encoded(child={"pid": 5, "pgid": 0}),
        encoded(child={"pid": 5, "pgid": 1.5}),
        encoded(child={"pid": 5, "start": 7}),
    ],
    ids=lambda data: repr(data[:40] + b"..." + data[-60:]) if len(data) > 100 else repr(data),
)
def test_what_says_nothing_reliable_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptRecord) as caught:
        parse(data, "backend_dev_001")
    assert caught.value.exit_code == 65
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


def test_a_torn_record_still_hints_at_its_task() -> None:
    with pytest.raises(CorruptRecord) as caught:
        parse(EARLIER_RUNNER[:330].encode())
    assert caught.value.hints == {
        "task_id": "13",
        "agent_id": "backend_dev_001",
        "worktree_path": "/srv/project/.worktrees/task-13",
        "branch_name": "task-13",
    }


def test_ids_that_differ_only_in_case_are_not_called_corrupt() -> None:
    with pytest.raises(OtherAgentsRecord):
        parse(encoded(), "Backend_Dev_001")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
known_names = st.sampled_from([*FULL, "pgid", "report", "session_id", "outages"])


@pytest.mark.fault("record-damaged")
@settings(deadline=None)
@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"schema": 1e5}')
def test_hostile_bytes_raise_nothing_but_the_documented(data: bytes) -> None:
    try:
        record = parse(data, "dev_001")
    except (CorruptRecord, NewerSchema, OtherAgentsRecord):
        return
    assert parse(record.to_bytes(), "dev_001") == record


@settings(deadline=None)
@given(st.dictionaries(known_names | st.text(), json_values), st.booleans())
def test_hostile_fields_raise_nothing_but_the_documented(changes: dict[str, Any], legacy: bool) -> None:
    fields = {**(json.loads(EARLIER_RUNNER) if legacy else FULL), **changes}
    try:
        record = parse(json.dumps(fields).encode(), "backend_dev_001")
    except (CorruptRecord, NewerSchema, OtherAgentsRecord):
        return
    assert record.holder in ("runner", "process", "hand", "unknown")
    assert isinstance(record.task_data, dict)
    assert record.pid is None or record.pid > 1
    assert record.created_at is None or isinstance(record.created_at, str)
    record.age()
    assert parse(record.to_bytes(), "backend_dev_001") == record


@settings(deadline=None)
@given(st.data())
def test_a_torn_write_is_never_taken_for_another_record(data: st.DataObject) -> None:
    whole = Record(FULL).to_bytes()
    cut = data.draw(st.integers(0, len(whole.rstrip()) - 1))
    with pytest.raises(CorruptRecord):
        parse(whole[:cut])


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "record"
    assert read(str(path)) is None
    path.write_bytes(encoded())
    found = read(str(path), "backend_dev_001")
    assert found is not None
    assert found.step == "working"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(CorruptRecord, match="larger"):
        read(str(path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorruptRecord, match="regular"):
        read(str(path))


def test_an_endless_description_is_cut_so_that_the_record_can_be_read_back() -> None:
    task = {"id": 13, "title": "t" * 100, "description": "\x01" * (2 << 20), "notes": ["n" * (5 << 20)]}
    data = Record({**FULL, "task_data": task}).to_bytes()
    assert len(data) <= READ_LIMIT
    record = parse(data)
    assert record.task_data["title"] == "t" * 100
    assert "more characters are on the board" in record.task_data["description"]


def test_a_record_that_could_not_be_read_is_not_written() -> None:
    for changes in (
        {"pid": -1},
        {"step": 3},
        {"x": object()},
        {"x": float("nan")},
        {"x": list(range(1 << 20))},
    ):
        with pytest.raises(BadData) as caught:
            Record({**FULL, **changes}).to_bytes()
        assert not isinstance(caught.value, CorruptRecord)


def test_times() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
    assert seconds_since_epoch("2026-11-22T12:00:00+00:00") == noon
    assert seconds_since_epoch("2026-11-22T12:00:00Z") == noon
    assert seconds_since_epoch("2026-11-22T12:00:00.000000", naive_is_utc=True) == noon
    assert seconds_since_epoch("2026-11-22T12:00:00") == time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
    for text in ("", "yesterday", "9999-99-99T00:00:00"):
        assert seconds_since_epoch(text) is None


@pytest.mark.fault("clock-set")
def test_an_age_is_never_negative() -> None:
    record = parse(encoded(locked_at="2026-11-22T12:00:00+00:00", taken_at=None))
    noon = seconds_since_epoch("2026-11-22T12:00:00Z")
    assert noon is not None
    assert record.age(noon + 90) == 90
    assert record.age(noon - 86_400) == 0, "a clock set back makes nothing younger than now"
    assert parse(encoded(locked_at="?", taken_at=None)).age() is None
    assert parse(encoded(locked_at=None, taken_at=None)).age() is None
    assert parse(encoded(locked_at="?", taken_at=100.0)).age(now=130.0) == 30
