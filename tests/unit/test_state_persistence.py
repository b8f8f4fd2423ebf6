from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from hpm_tools.errors import BadData, Held, Misconfigured, UsageError
from hpm_tools.state import guard
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.persistence import RecordChanged, TaskPersistence, all_records, holder_alive
from hpm_tools.state.record import CorruptRecord, NewerSchema, OtherAgentsRecord
from hpm_tools.state.tasklog import TaskLog
from hpm_tools.state.tidy import tidy
from tests.support.children import run, running

TASK: dict[str, Any] = {
    "id": 13,
    "title": "Add a login page",
    "created_at": "2026-11-22T10:58:53.088328",
    "status": "created",
    "branch": "feature/login",
}
LEGACY: dict[str, Any] = {
    "task_id": 13,
    "task_title": "Add a login page",
    "agent_id": "dev_001",
    "locked_at": "2026-02-04T10:58:53.088328",
    "worktree_path": None,
    "branch_name": None,
    "task_data": TASK,
}


@pytest.fixture
def persistence() -> TaskPersistence:
    return TaskPersistence("dev_001")


def put(persistence: TaskPersistence, content: bytes | dict[str, Any]) -> Path:
    """Write a record as another program, or a hand, would."""
    persistence.state.prepare()
    path = Path(persistence.path)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def locks(persistence: TaskPersistence) -> list[str]:
    return sorted(os.listdir(persistence.state.locks))


def test_a_task_is_locked_read_and_released(persistence: TaskPersistence, isolated: Path) -> None:
    assert persistence.record() is None
    assert not persistence.is_locked()
    assert persistence.release_lock() is None
    assert persistence.age() is None
    assert not (isolated / ".headless-pm").exists(), "looking makes nothing"

    locked = persistence.lock_task(TASK, step="locking", board="localhost-6969", worktree_path=Path("/w"))
    assert persistence.path == str(isolated / ".headless-pm" / "locks" / "agent-dev_001.lock")
    assert stat.S_IMODE(os.stat(persistence.path).st_mode) == 0o600
    found = TaskPersistence("dev_001").record()
    assert found == locked
    assert found.task_data == TASK
    assert (found.task_id, found.task_title, found.agent_id) == (13, "Add a login page", "dev_001")
    assert (found.holder, found.step, found.worktree_path, found.schema) == ("hand", "locking", "/w", 1)
    assert persistence.is_locked()
    assert 0 <= (persistence.age() or 0) < 3600

    released = persistence.release_lock()
    assert released == locked
    assert locks(persistence) == []
    assert not persistence.is_locked()


def test_the_guides_readers_find_their_fields(persistence: TaskPersistence) -> None:
    persistence.lock_task(TASK, branch_name="feature/login")
    raw = json.loads(Path(persistence.path).read_bytes())
    assert {name: raw[name] for name in LEGACY if name != "locked_at"} == {
        **{name: value for name, value in LEGACY.items() if name != "locked_at"},
        "branch_name": "feature/login",
    }


def test_tokens_and_run_ids_are_never_the_same(persistence: TaskPersistence) -> None:
    seen = set()
    for _ in range(5):
        record = persistence.lock_task(TASK)
        seen |= {record.token, record.run_id}
        persistence.release_lock()
    assert len(seen) == 10
    assert all(len(value) == 32 for value in seen)


def test_an_agent_holds_one_task(persistence: TaskPersistence) -> None:
    mine = persistence.lock_task(TASK)
    for other in (persistence, TaskPersistence("dev_001")):
        with pytest.raises(Held, match="already has task 13") as caught:
            other.lock_task({"id": 14})
        assert caught.value.details["task_id"] == 13
        assert mine.token not in str(caught.value.details)
    assert persistence.record() == mine
    TaskPersistence("dev_002").lock_task(TASK)


def test_one_of_many_lockers_wins() -> None:
    won: list[str] = []
    start = threading.Barrier(12)

    def contend() -> None:
        start.wait()
        try:
            won.append(TaskPersistence("dev_001").lock_task(TASK).token)
        except Held:
            pass

    threads = [threading.Thread(target=contend) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = TaskPersistence("dev_001").record()
    assert record is not None
    assert won == [record.token]


@pytest.mark.parametrize("task", [{}, {"id": 0}, {"id": "x"}, {"id": True}, {"id": 2**63}])
def test_what_is_no_task_is_not_locked(persistence: TaskPersistence, task: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        persistence.lock_task(task)
    assert locks(persistence) == []


def test_an_owner_that_does_not_run_is_refused(persistence: TaskPersistence) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, 0, -1, None):
        with pytest.raises(UsageError, match="no process"):
            persistence.lock_task(TASK, holder="process", owner_pid=pid)
    with pytest.raises(UsageError, match="unknown holder"):
        persistence.lock_task(TASK, holder="nobody")


def test_the_journal_keeps_what_it_is_not_told_to_change(persistence: TaskPersistence) -> None:
    first = persistence.lock_task(TASK, step="locking", of_a_later_version=[1])
    changed = persistence.update(step="working", child={"pid": 4712, "pgid": 4712, "start": "9"}, outages=2)
    assert changed.step_at is not None
    assert dict(changed) == {
        **dict(first),
        "step": "working",
        "step_at": changed.step_at,
        "child": {"pid": 4712, "pgid": 4712, "start": "9"},
        "outages": 2,
    }
    assert persistence.update(child=None).child is None
    last = persistence.update(worktree_path=Path("/w/x"))
    assert last.worktree_path == "/w/x"
    assert persistence.record() == last


def test_journal_entries_of_several_threads_are_all_kept(persistence: TaskPersistence) -> None:
    persistence.lock_task(TASK)
    threads = [
        threading.Thread(
            target=lambda number=number: [persistence.update(**{f"f{number}_{i}": i}) for i in range(5)]
        )
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = persistence.record()
    assert record is not None
    assert sum(name.startswith("f") for name in record) == 30


def test_a_bad_entry_is_refused_and_changes_nothing(persistence: TaskPersistence) -> None:
    before = persistence.lock_task(TASK, step="locking")
    for fields in ({"child": {"pid": -1}}, {"step": 7}, {"x": object()}, {"x": float("inf")}):
        with pytest.raises(BadData):
            persistence.update(**fields)
    assert persistence.record() == before


def test_a_run_whose_record_was_taken_over_journals_and_releases_nothing_more(
    persistence: TaskPersistence,
) -> None:
    persistence.lock_task(TASK, holder="runner", step="working")
    other = TaskPersistence("dev_001")
    assert other.record() is not None
    theirs = other.adopt("runner", step="starting")
    with pytest.raises(RecordChanged) as caught:
        persistence.update(step="reporting")
    assert caught.value.exit_code == 75
    for force in (False, True):
        with pytest.raises(RecordChanged):
            persistence.release_lock(force=force)
    assert other.record() == theirs
    other.release_lock()
    with pytest.raises(RecordChanged, match="no record any more"):
        persistence.update(step="reporting")
    assert persistence.release_lock() is None


def test_adopting_gives_a_new_token_and_names_the_holder(persistence: TaskPersistence) -> None:
    put(persistence, LEGACY)
    record = persistence.record()
    assert record is not None
    assert record.holder == "unknown"
    adopted = persistence.adopt("process", os.getpid(), schema=1, step="locking")
    assert (adopted.holder, adopted.pid) == ("process", os.getpid())
    assert adopted.pid_start
    assert adopted.boot_id
    assert adopted.token
    again = persistence.adopt("hand")
    assert again.token != adopted.token
    assert (again.holder, again.pid) == ("hand", None)


def test_a_living_holders_record_needs_its_token(persistence: TaskPersistence) -> None:
    token = persistence.lock_task(TASK, holder="process", owner_pid=os.getpid()).token
    stranger = TaskPersistence("dev_001")
    with pytest.raises(Held, match=f"process {os.getpid()}") as caught:
        stranger.release_lock()
    assert caught.value.exit_code == 75
    with pytest.raises(Held, match="not the token"):
        stranger.release_lock("0" * 32)
    assert stranger.release_lock(token) is not None


def test_a_running_runners_record_needs_its_token(persistence: TaskPersistence) -> None:
    program = """
import sys
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.persistence import TaskPersistence
persistence = TaskPersistence("dev_001")
with agent_guard(persistence.state, "dev_001"):
    print(persistence.lock_task({"id": 13}, holder="runner").token, flush=True)
    sys.stdin.readline()
"""
    with running(program) as child:
        token = child.line()
        with pytest.raises(Held):
            persistence.release_lock()
        child.kill()
    with agent_guard(persistence.state, "dev_001"):
        record = persistence.release_lock()
    assert record is not None
    assert record.token == token


@pytest.mark.parametrize("holder", ["hand", "unknown"])
def test_a_record_that_no_process_stands_for_is_released_without_a_token(
    persistence: TaskPersistence, holder: str
) -> None:
    if holder == "hand":
        persistence.lock_task(TASK)
    else:
        put(persistence, LEGACY)
    assert TaskPersistence("dev_001").release_lock() is not None


def test_a_living_holders_record_is_released_by_force(persistence: TaskPersistence) -> None:
    persistence.lock_task(TASK, holder="process", owner_pid=os.getpid(), step="working")
    assert TaskPersistence("dev_001").release_lock(force=True) is not None
    assert not persistence.is_locked()


def test_a_corrupt_record_is_set_aside_and_never_means_no_task(persistence: TaskPersistence) -> None:
    torn = json.dumps(LEGACY).encode()[:60]
    put(persistence, torn)
    assert persistence.is_locked()
    with pytest.raises(CorruptRecord, match="is kept as") as caught:
        persistence.record()
    assert caught.value.hints["task_id"] == "13"
    (kept,) = locks(persistence)
    assert kept.startswith("agent-dev_001.lock.corrupt-")
    assert (Path(persistence.state.locks) / kept).read_bytes() == torn

    # The finder was killed before it rebuilt anything: the next process is told again.
    again = TaskPersistence("dev_001")
    assert again.is_locked()
    with pytest.raises(CorruptRecord):
        TaskPersistence("dev_001").lock_task(TASK)
    with pytest.raises(CorruptRecord) as caught:
        again.record()
    assert caught.value.hints["task_id"] == "13"

    rebuilt = again.lock_task(TASK, step="locking")
    assert TaskPersistence("dev_001").record() == rebuilt
    assert kept + ".settled" in locks(persistence)
    again.release_lock()
    assert TaskPersistence("dev_001").record() is None


def test_a_corrupt_record_can_be_answered_for_without_a_new_one(persistence: TaskPersistence) -> None:
    put(persistence, b"")
    with pytest.raises(CorruptRecord):
        persistence.record()
    assert len(persistence.settle_corrupt()) == 1
    assert TaskPersistence("dev_001").record() is None
    assert not persistence.is_locked()


def test_a_corrupt_record_is_released_by_force_alone(persistence: TaskPersistence) -> None:
    put(persistence, b"{")
    with pytest.raises(CorruptRecord):
        persistence.release_lock()
    assert TaskPersistence("dev_001").release_lock(force=True) is None
    assert not persistence.is_locked()


@pytest.mark.parametrize("kind", ["directory", "fifo", "symlink", "huge"])
def test_what_is_no_record_at_all_is_set_aside_unopened(
    persistence: TaskPersistence, tmp_path: Path, kind: str
) -> None:
    persistence.state.prepare()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = Path(persistence.path)
    if kind == "directory":
        path.mkdir()
        (path / "inside").write_text("precious")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        path.symlink_to(victim)
    else:
        with path.open("wb") as file:
            file.truncate(100 << 20)
    (view,) = all_records(persistence.state)
    assert view.problem
    with pytest.raises(CorruptRecord):
        TaskPersistence("dev_001").lock_task(TASK)
    with pytest.raises(CorruptRecord):
        persistence.record()
    persistence.lock_task(TASK)
    assert victim.read_text() == "precious"


def test_a_newer_record_stops_everything_and_stays(persistence: TaskPersistence) -> None:
    path = put(persistence, {"schema": 2, "agent_id": "dev_001", "task_id": 13})
    before = path.read_bytes()
    for act in (
        persistence.record,
        persistence.release_lock,
        lambda: persistence.release_lock(force=True),
        lambda: persistence.update(step="working"),
        lambda: persistence.lock_task(TASK),
    ):
        with pytest.raises(NewerSchema):
            act()
    assert persistence.is_locked()
    assert path.read_bytes() == before
    assert locks(persistence) == ["agent-dev_001.lock"]


def test_another_agents_record_in_this_place_is_corrupt(persistence: TaskPersistence) -> None:
    put(persistence, {**LEGACY, "agent_id": "dev_002"})
    with pytest.raises(CorruptRecord, match="dev_002"):
        persistence.record()


def test_ids_that_differ_in_case_have_records_of_their_own(persistence: TaskPersistence) -> None:
    persistence.lock_task(TASK)
    other = TaskPersistence("DEV_001")
    assert other.record() is None
    other.lock_task({"id": 14})
    assert {view.agent_id for view in all_records(persistence.state)} == {"dev_001", "DEV_001"}
    os.replace(persistence.path, other.path)
    with pytest.raises(OtherAgentsRecord):
        other.record()
    assert locks(persistence) == ["agent-DEV_001.lock"], "it is not set aside"


def test_a_state_directory_that_others_can_write_stops_everything(persistence: TaskPersistence) -> None:
    persistence.lock_task(TASK)
    os.chmod(persistence.state.locks, 0o777)
    for act in (
        persistence.record,
        persistence.release_lock,
        persistence.is_locked,
        lambda: persistence.lock_task(TASK),
        lambda: all_records(persistence.state),
    ):
        with pytest.raises(Misconfigured):
            act()


def test_every_record_is_listed_and_none_is_touched(persistence: TaskPersistence) -> None:
    state = persistence.state
    assert all_records(state) == []
    persistence.lock_task(TASK)
    put(TaskPersistence("dev_002"), b"torn")
    put(TaskPersistence("dev_003"), b"torn")
    with pytest.raises(CorruptRecord):
        TaskPersistence("dev_003").record()
    put(TaskPersistence("dev_004"), {"schema": 9})
    (Path(state.locks) / "agent-\x1b[31m.lock").write_text("{}")
    (Path(state.locks) / "something else").write_text("")
    TaskPersistence("dev_005").lock_task({"id": 15}, holder="process", owner_pid=os.getpid())
    before = locks(persistence)
    with agent_guard(state, "dev_002"):
        views = {view.agent_id: view for view in all_records(state)}
    assert locks(persistence) == sorted([*before, "agent-dev_002.guard"])
    assert {agent: view.liveness for agent, view in views.items()} == {
        "\x1b[31m": "unknown",
        "dev_001": "unknown",
        "dev_002": "alive",
        "dev_003": "unknown",
        "dev_004": "unknown",
        "dev_005": "alive",
    }
    assert "schema 9" in views["dev_004"].problem
    assert "not been rebuilt" in views["dev_003"].problem
    assert views["dev_001"].record is not None
    assert all(view.problem.isprintable() for view in views.values())


FULL_DISK = """
import resource, sys
from hpm_tools.errors import CannotCreate
from hpm_tools.state.persistence import TaskPersistence
persistence = TaskPersistence("dev_001")
record = persistence.record()
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
try:
    persistence.update(step="working")
except CannotCreate:
    pass
else:
    sys.exit("written")
assert persistence.record() == record
assert persistence.release_lock() == record, "letting go needs no room"
"""


@pytest.mark.fault("full-disk")
def test_a_full_disk_keeps_the_record_as_it_was(persistence: TaskPersistence) -> None:
    persistence.lock_task(TASK, step="locking")
    with running(FULL_DISK) as child:
        assert child.wait() == 0
    assert locks(persistence) == []


READ_ONLY = """
import encodings.ascii, os, sys
from hpm_tools.errors import CannotCreate, Misconfigured
from hpm_tools.state.persistence import TaskPersistence
if os.geteuid() == 0:
    os.setgid(65433), os.setuid(65433)
persistence = TaskPersistence("dev_001", sys.argv[1] + "/state")
record = persistence.lock_task({"id": 13})
os.chmod(persistence.state.locks, 0o500)
for act, error in (
    (lambda: persistence.update(step="working"), CannotCreate),
    (persistence.release_lock, CannotCreate),
    (lambda: TaskPersistence("dev_002", sys.argv[1] + "/state").lock_task({"id": 14}), Misconfigured),
):
    try:
        act()
    except error:
        assert persistence.record() == record
    else:
        sys.exit("it was written")
os.chmod(persistence.state.locks, 0o700)
"""


@pytest.mark.fault("state-unwritable")
def test_a_read_only_directory_is_a_plain_error() -> None:
    # Outside the test's own directory, which another user than the one who runs the tests cannot reach.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="hpm-read-only-") as place:
        os.chmod(place, 0o777)
        assert run(READ_ONLY, place) == 0


CRASH = """
import json, os, signal, sys
from hpm_tools.state import persistence, tasklog
from hpm_tools.state.guard import agent_guard
EVENTS = ("open", "os.rename", "os.link", "os.remove", "os.listdir", "fcntl.flock", "os.mkdir")
TASK = {"id": 13, "created_at": "2026-11-22T10:00:00"}

def say(done):
    os.write(1, done.encode() + b"\\n")

def work(fatal):
    count = 0
    def die(event, args):
        nonlocal count
        if event in EVENTS:
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)
    mine = persistence.TaskPersistence("dev_001")
    with agent_guard(mine.state, "dev_001"):
        if mine.record() is None:
            mine.lock_task(TASK, holder="runner", step="locking")
        else:
            mine.adopt("runner", step="locking")
        say("locked")
        mine.update(step="working", child={"pid": 4712, "pgid": 4712})
        say("working")
        tasklog.TaskLog(mine.state, "b-80", 13, TASK["created_at"]).add(attempts=1)
        say("counted")
        mine.release_lock()
        say("released")

for line in sys.stdin:
    child = os.fork()
    if not child:
        work(int(line))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    say("ended" if status == 0 else "killed")
"""


def test_killed_before_any_file_operation_a_run_leaves_what_the_next_one_can_trust(
    persistence: TaskPersistence,
) -> None:
    """The sweep of every open, rename, link, removal, listing, flock and mkdir that this part does."""
    state = persistence.state
    log = TaskLog(state, "b-80", 13, "2026-11-22T10:00:00")
    attempts = 0
    reached: set[str] = set()
    with running(CRASH) as child:
        for fatal in range(1, 500):
            child.say(str(fatal))
            said: list[str] = []
            while (word := child.line()) not in ("ended", "killed"):
                said.append(word)
            attempts += "counted" in said
            if word == "ended":
                break
            reached.add(said[-1] if said else "begun")
            steps_allowed: dict[str, set[str | None]] = {
                "": {None, "locking", "working"},
                "locked": {"locking", "working"},
                "working": {"working"},
                "counted": {"working", None},
            }
            record = TaskPersistence("dev_001").record()
            assert (record.step if record else None) in steps_allowed[said[-1] if said else ""], (fatal, said)
            if record is not None:
                assert not guard.held(persistence.guard_path)
                assert holder_alive(record, guard_held=False) == "dead"
            assert log.attempts in (attempts, attempts + 1), (fatal, said)
            attempts = log.attempts
        else:
            pytest.fail("it never came to its end")
    assert fatal > 30, "the sweep did not see the operations"
    assert reached == {"begun", "locked", "working", "counted"}
    tidy(state)
    assert locks(persistence) == ["agent-dev_001.guard"]
    assert os.listdir(state.tasks) == [os.path.basename(log.path)]
