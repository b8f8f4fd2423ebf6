from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.errors import BadData
from hpm_tools.state import tasklog
from hpm_tools.state.guard import task_guard
from hpm_tools.state.paths import StateDir
from hpm_tools.state.tasklog import TaskLog

BOARD, CREATED = "localhost-6969", "2026-11-22T10:58:53.088328"


@pytest.fixture
def state() -> StateDir:
    return StateDir()


@pytest.fixture
def log(state: StateDir) -> TaskLog:
    return TaskLog(state, BOARD, 13, CREATED)


def test_an_unknown_task_has_nothing_done_yet(log: TaskLog) -> None:
    assert (log.attempts, log.failures, log.cost_usd, log.session_costs, log.sessions) == (0, 0, 0, {}, [])
    assert log.skip is None
    assert log.skipped("now") is None
    assert log.salvage == []
    assert log.of_a_later_version is None
    assert not os.path.exists(log.path)


def test_what_is_recorded_outlives_the_object(log: TaskLog, state: StateDir) -> None:
    log.update(attempts=2, session_costs={"s1": 0.5}, of_a_later_version=[1])
    log.add(attempts=1, cost_usd=0.25)
    log.note(salvage="refs/hpm/salvage/1", sessions={"id": "s1"})
    again = TaskLog(state, BOARD, 13, CREATED)
    assert (again.attempts, again.cost_usd, again.session_costs) == (3, 0.25, {"s1": 0.5})
    assert (again.salvage, again.sessions) == (["refs/hpm/salvage/1"], [{"id": "s1"}])
    assert again.of_a_later_version == [1]
    assert stat.S_IMODE(os.stat(log.path).st_mode) == 0o600


def test_a_reused_id_is_another_task(log: TaskLog, state: StateDir) -> None:
    log.update(attempts=3)
    assert TaskLog(state, BOARD, 13, "2026-11-23T00:00:00").attempts == 0
    assert TaskLog(state, "other-80", 13, CREATED).attempts == 0
    assert TaskLog(state, BOARD, 14, CREATED).attempts == 0


def test_a_log_found_under_another_tasks_name_is_not_believed(log: TaskLog, state: StateDir) -> None:
    log.update(attempts=3)
    other = TaskLog(state, BOARD, 14, CREATED)
    os.rename(log.path, other.path)
    assert other.attempts == 0
    assert "corrupt" in other.update(attempts=1)["damaged"]
    assert other.attempts == 1


def test_counting_by_several_runners_loses_nothing(state: StateDir) -> None:
    threads = [
        threading.Thread(
            target=lambda: [TaskLog(state, BOARD, 13, CREATED).add(attempts=1) for _ in range(5)]
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert TaskLog(state, BOARD, 13, CREATED).attempts == 30


def test_noting_the_same_twice_is_once(log: TaskLog) -> None:
    log.note(salvage="a")
    log.note(salvage="a")
    log.note(salvage="b")
    assert log.salvage == ["a", "b"]


def test_lists_do_not_grow_for_ever(log: TaskLog) -> None:
    log.update(sessions=list(range(1000)), session_costs={str(n): 1.0 for n in range(1000)})
    assert log.sessions == list(range(800, 1000))
    assert len(log.session_costs) == 200
    assert "999" in log.session_costs


@pytest.mark.fault("clock-set")
def test_a_skipped_task_is_left_alone_until_it_changes_or_its_time_comes(log: TaskLog) -> None:
    log.update(skip={"reason": "its commit is not here", "updated_at": "t1"})
    assert log.skipped("t1") == "its commit is not here"
    assert log.skipped("t2") is None
    log.update(skip={"reason": "later", "until": 1000.0})
    assert log.skipped("t9", now=999.0) == "later"
    assert log.skipped("t9", now=1000.0) is None
    assert log.skipped("t9", now=1000.0 - 86_400) is None, "the clock was set back by a day"
    log.update(skip=None)
    assert log.skip is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"attempts": 5}', b"x" * (2 << 20)]
)
def test_a_damaged_log_is_set_aside_and_begun_again(log: TaskLog, state: StateDir, content: bytes) -> None:
    log.update(attempts=5)
    Path(log.path).write_bytes(content)
    assert log.attempts == 0
    facts = log.add(attempts=1)
    assert log.attempts == 1
    if content:
        assert Path(facts["damaged"]).read_bytes() == content
    assert len(os.listdir(state.tasks)) == 1 + bool(content)


@settings(deadline=None, max_examples=40)
@given(st.binary())
def test_hostile_bytes_never_raise(data: bytes) -> None:
    log = TaskLog(StateDir(), BOARD, 13, CREATED)
    log.update(attempts=1)
    Path(log.path).write_bytes(data)
    assert log.attempts >= 0
    log.update(attempts=1)
    assert log.attempts == 1


@pytest.mark.parametrize("value", [None, True, "3", [], float("inf"), {"x": 1}, -1e300])
def test_a_figure_that_is_none_counts_as_nothing(log: TaskLog, value: Any) -> None:
    log.update(attempts=1)
    facts = (
        Path(log.path)
        .read_text()
        .replace('"attempts": 1', f'"attempts": {_json(value)}, "cost_usd": {_json(value)}')
    )
    Path(log.path).write_text(facts)
    assert (log.attempts, log.cost_usd) == (0, 0)


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def test_what_is_no_json_is_refused_and_changes_nothing(log: TaskLog) -> None:
    log.update(attempts=1)
    for value in (float("nan"), object(), Path("/x")):
        with pytest.raises(BadData):
            log.update(cost_usd=value)
    assert log.attempts == 1


def test_old_logs_and_free_guards_are_pruned_and_nothing_else(state: StateDir) -> None:
    old, new = TaskLog(state, BOARD, 1, CREATED), TaskLog(state, BOARD, 2, CREATED)
    old.update(attempts=1)
    new.update(attempts=1)
    guards = [task_guard(state, BOARD, number, CREATED) for number in (1, 2, 3)]
    for guard in guards:
        assert guard.acquire()
    guards[0].release()
    guards[1].release()
    for path in (old.path, guards[0].path, guards[2].path):
        os.utime(path, (0, 0))
    assert sorted(tasklog.prune(state, days=90)) == sorted((old.path, guards[0].path))
    assert sorted(os.listdir(state.tasks)) == sorted(
        map(os.path.basename, (new.path, guards[1].path, guards[2].path))
    )
    guards[2].release()


def test_pruning_nothing(tmp_path: Path) -> None:
    assert tasklog.prune(StateDir(tmp_path / "none")) == []
