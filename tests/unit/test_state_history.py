from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.state import history, runs
from hpm_tools.state.paths import StateDir
from hpm_tools.state.persistence import TaskPersistence
from hpm_tools.state.record import CorruptRecord
from hpm_tools.state.tidy import tidy
from tests.support.children import run


def test_entries_are_read_back_oldest_first() -> None:
    state = StateDir()
    assert history.read(state) == []
    for number in range(5):
        assert history.append(state, "task" if number % 2 else "hook", number=number)
    assert [entry["number"] for entry in history.read(state)] == [0, 1, 2, 3, 4]
    assert [entry["number"] for entry in history.read(state, limit=2)] == [3, 4]
    assert [entry["number"] for entry in history.read(state, kind="task")] == [1, 3]
    assert stat.S_IMODE(os.stat(state.history).st_mode) == 0o600


def test_a_torn_line_swallows_neither_its_neighbours_nor_the_reader() -> None:
    state = StateDir()
    history.append(state, "task", number=1)
    with open(state.history, "ab") as file:
        file.write(b'{"ts": 1, "kind": "task", "num')
    history.append(state, "task", number=2)
    assert [entry["number"] for entry in history.read(state)] == [1, 2]


def test_it_is_bounded_by_rotation_and_no_writer_loses_a_line() -> None:
    state = StateDir()
    history.append(state, "task", number=-1)
    with open(state.history, "ab") as file:
        file.write(b" " * (history.ROTATE_AT - 1000) + b"\n")
    threads = [
        threading.Thread(
            target=lambda first=first: [history.append(state, "task", number=first + i) for i in range(20)]
        )
        for first in (0, 100, 200, 300)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.path.getsize(state.history) < history.ROTATE_AT
    assert sorted(os.listdir(state.home)) == ["history.jsonl", "history.jsonl.1", "locks"]
    expected = {-1} | {first + i for first in (0, 100, 200, 300) for i in range(20)}
    assert {entry["number"] for entry in history.read(state)} == expected


def test_long_texts_are_cut() -> None:
    state = StateDir()
    history.append(state, "task", text="x" * 1_000_000, path=Path("/w"))
    (entry,) = history.read(state)
    assert len(entry["text"]) == 2000
    assert entry["path"] == "/w"


def test_a_full_disk_costs_the_line_and_nothing_else() -> None:
    state = StateDir()
    history.append(state, "task", number=1)
    program = """
import os, resource, sys
from hpm_tools.state import history
from hpm_tools.state.paths import StateDir
state = StateDir()
size = os.path.getsize(state.history)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
print(history.append(state, "task", number=2))
print(history.append(state, "task", number=3))
"""
    assert run(program) == 0
    history.append(state, "task", number=4)
    assert [entry["number"] for entry in history.read(state)] == [1, 4]


def test_a_history_that_cannot_be_written_or_read_raises_nothing(tmp_path: Path) -> None:
    assert history.append(StateDir("/proc/none"), "task") is False
    state = StateDir(tmp_path / "state")
    state.prepare()
    os.mkdir(state.history)
    assert history.append(state, "task") is False
    assert history.read(state) == []


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary()))
def test_hostile_lines_are_left_out(lines: list[bytes]) -> None:
    state = StateDir()
    history.append(state, "task", number=1)
    Path(state.history).write_bytes(b"\n".join([b"[" * 100_000, b'{"ts": 1, "kind": 5}', *lines]) + b"\n")
    history.append(state, "task", number=2)
    assert history.read(state)[-1]["number"] == 2
    history.summarise(state)


def test_the_summary_says_how_hooks_and_tasks_went() -> None:
    state = StateDir()
    assert history.summarise(state).tasks.count == 0
    for ok, seconds in ((True, 1.0), (True, 3.0), (False, 2.0)):
        history.append(state, "hook", name="pre_task", ok=ok, seconds=seconds)
    for seconds in range(1, 101):
        history.append(state, "task", ending="reported" if seconds < 100 else "parked", seconds=seconds)
    history.append(state, "task", ending="parked", seconds=None)
    summary = history.summarise(state)
    rate = summary.hooks["pre_task"]
    assert (rate.succeeded, rate.failed, rate.median_seconds) == (2, 1, 2.0)
    assert (summary.tasks.count, summary.tasks.median_seconds, summary.tasks.p95_seconds) == (101, 50, 95)
    assert summary.tasks.endings == {"reported": 99, "parked": 2}


def run_log(state: StateDir, run_id: str, size: int, age_days: float) -> str:
    path = state.run_log(run_id)
    with open(path, "wb") as file:
        file.truncate(size)
    changed = os.stat(path).st_mtime - age_days * 86_400
    os.utime(path, (changed, changed))
    return path


def test_old_runs_and_the_oldest_of_too_many_go() -> None:
    state = StateDir()
    assert runs.prune(state) == []
    logs = [run_log(state, f"r{age}", 1000, age) for age in (0, 1, 2, 3, 40)]
    assert runs.prune(state, days=30, keep_bytes=2500) == [logs[2], logs[3], logs[4]]
    assert sorted(os.listdir(state.runs)) == ["r0.jsonl", "r1.jsonl"]


def test_tidying_leaves_what_a_record_names() -> None:
    persistence = TaskPersistence("dev_001")
    state = persistence.state
    assert tidy(state) == []
    record = persistence.lock_task({"id": 13})
    kept = run_log(state, record.run_id, 10, 400)
    gone = run_log(state, "other", 10, 400)
    stale = os.path.join(state.locks, ".agent-dev_001.lock.1-00.tmp")
    Path(stale).touch()
    assert set(tidy(state)) == {gone, stale}
    assert os.path.exists(kept)
    assert persistence.get_locked_task() == record


def test_tidying_removes_settled_records_once_they_are_old() -> None:
    persistence = TaskPersistence("dev_001")
    persistence.state.prepare()
    Path(persistence.path).write_bytes(b"torn")
    with pytest.raises(CorruptRecord):
        persistence.get_locked_task()
    assert tidy(persistence.state, days=-1) == [], "nobody has answered for it"
    (settled,) = persistence.settle_corrupt()
    assert tidy(persistence.state) == []
    assert tidy(persistence.state, days=-1) == [settled]
