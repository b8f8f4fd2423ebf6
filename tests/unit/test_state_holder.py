from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from hpm_tools.errors import UsageError
from hpm_tools.process.identity import boot_id, start_time
from hpm_tools.state.holder import holder_alive, holder_fields, machine_id, pid_namespace
from hpm_tools.state.record import Record
from tests.support.children import running
from tests.support.waiting import wait_until


def record(holder: str, owner_pid: int | None = None, **changes: Any) -> Record:
    fields = holder_fields(holder, owner_pid)
    return Record({"schema": 1, "task_id": 13, "agent_id": "dev_001", **fields, **changes})


@pytest.mark.fault("P1")
def test_a_runner_is_as_alive_as_its_guard() -> None:
    mine = record("runner")
    assert mine.pid == os.getpid()
    assert holder_alive(mine, guard_held=True) == "alive"
    assert holder_alive(mine, guard_held=False) == "dead"


def test_an_owner_process_lives_until_it_ends() -> None:
    with running("input()") as owner:
        theirs = record("process", owner.pid)
        assert holder_alive(theirs, guard_held=False) == "alive"
        assert holder_alive(theirs, guard_held=True) == "alive"
        owner.kill()
        assert holder_alive(theirs, guard_held=False) == "dead"


def test_a_zombie_owner_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    theirs = record("process", process.pid)
    process.kill()
    wait_until(lambda: start_time(process.pid) is None, what="its end")
    assert os.path.exists(f"/proc/{process.pid}"), "nobody has waited for it yet"
    assert holder_alive(theirs, guard_held=False) == "dead"
    process.communicate()


@pytest.mark.fault("P1")
def test_a_number_that_another_process_has_now_is_not_its_owner() -> None:
    assert holder_alive(record("process", os.getpid(), pid_start="1"), guard_held=False) == "dead"


def test_a_process_of_an_earlier_boot_is_dead() -> None:
    earlier = record("process", os.getpid(), boot_id="00000000-0000-0000-0000-000000000000")
    assert holder_alive(earlier, guard_held=False) == "dead"
    assert holder_alive(Record({**dict(earlier), "pid_ns": "pid:[1]"}), guard_held=False) == "dead"


@pytest.mark.fault("P1")
@pytest.mark.parametrize("there", [{"host": "elsewhere"}, {"machine": "0" * 32}, {"host": None}])
@pytest.mark.parametrize("holder", ["runner", "process"])
def test_another_hosts_record_proves_nothing(holder: str, there: dict[str, Any]) -> None:
    if "machine" in there and machine_id() is None:
        pytest.skip("this system has no machine id")
    for changes in ({}, {"pid_start": "1"}):
        theirs = record(holder, os.getpid(), **there, **changes, boot_id="other")
        assert holder_alive(theirs, guard_held=False) == "unknown"


@pytest.mark.fault("E2")
def test_guard_decides_about_a_runner_of_another_container_on_the_same_boot() -> None:
    theirs = record("runner", host="elsewhere", machine="0" * 32, pid_ns="pid:[1]")
    assert holder_alive(theirs, guard_held=True) == "alive"
    assert holder_alive(theirs, guard_held=False) == "dead"


@pytest.mark.parametrize("holder", ["runner", "process"])
def test_file_system_that_cannot_be_told_to_be_local_proves_nothing(holder: str) -> None:
    """A directory of /proc stands for one whose file system is neither a known local nor a known network one."""
    theirs = record(holder, os.getpid(), host="elsewhere", boot_id="other")
    assert holder_alive(theirs, False, "/proc/self") == "unknown"


def test_a_process_of_another_pid_namespace_proves_nothing() -> None:
    assert pid_namespace() is not None
    assert holder_alive(record("process", os.getpid(), pid_ns="pid:[1]"), guard_held=False) == "unknown"


def test_a_person_and_the_earlier_runner_prove_nothing() -> None:
    for guard_held in (True, False):
        assert holder_alive(record("hand"), guard_held) == "unknown"
        assert holder_alive(record("runner", schema=None), guard_held) == "unknown"
        assert holder_alive(Record({**dict(record("hand")), "holder": "somebody"}), guard_held) == "unknown"


@pytest.mark.parametrize("missing", ["pid", "pid_start", "boot_id"])
def test_an_owner_that_is_not_fully_named_proves_nothing(missing: str) -> None:
    assert holder_alive(record("process", os.getpid(), **{missing: None}), guard_held=False) == "unknown"


def test_a_holders_fields_name_him_fully() -> None:
    fields = holder_fields("process", os.getpid())
    assert fields["pid_start"] == start_time(os.getpid())
    assert fields["boot_id"] == boot_id()
    assert fields["host"] == os.uname().nodename
    assert holder_fields("hand")["pid"] is None
    for pid in (None, 0, -1, -5, 2**31 + 5):
        with pytest.raises(UsageError):
            holder_fields("process", pid)
