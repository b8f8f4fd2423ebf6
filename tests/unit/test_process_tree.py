"""Ending the processes of a run, all of them, and nobody else: whatever numbers, boots and cookies claim."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.process import tree
from hpm_tools.process.identity import COOKIE, Stat, boot_id, start_time
from hpm_tools.process.tree import ProcessRef
from tests.support import dead_runner
from tests.support.processes import (
    STUBBORN,
    alive,
    bystander,
    cleared,
    environment,
    new_cookie,
    python,
    ref,
    with_cookie,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

DAEMON = "setsid sh -c 'setsid sleep 1000 & sleep 1000' >/dev/null 2>&1 &"
"""Two grandchildren in two other sessions."""


@contextmanager
def orphans(script: str, cookie: str) -> Iterator[ProcessRef]:
    """What a runner leaves behind that was killed while ``script`` ran: its first process."""
    with runner(script, cookie) as (process, first):
        process.kill()
        process.wait()
        yield first


@contextmanager
def runner(script: str, cookie: str) -> Iterator[tuple[subprocess.Popen[bytes], ProcessRef]]:
    """A runner that supervises ``script``, once the script is ready, and the script's first process."""
    with cleared(cookie):
        argv = [sys.executable, dead_runner.__file__, cookie, script]
        process = subprocess.Popen(argv, env=environment(), stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the runner ended before its script was ready"
            facts = json.loads(line)
            yield process, ProcessRef(facts["pid"], facts["start"])
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def test_carriers_are_found_and_ended_wherever_they_went() -> None:
    with (
        cleared(new_cookie()) as cookie,
        bystander() as innocent,
        bystander(cookie=new_cookie()) as other_run,
    ):
        subprocess.run(
            ["sh", "-c", f"{DAEMON} ({STUBBORN}) >/dev/null & sleep 1000 &"],
            env=environment(**{COOKIE: cookie}),
            start_new_session=True,
            check=True,
        )
        wait_until(lambda: len(with_cookie(cookie)) >= 5, what="five carriers")
        assert set(tree.carriers(cookie)) >= set(with_cookie(cookie)[:3])
        assert cookie in tree.all_carriers()
        assert tree.end_carriers(cookie, grace=0.5) == []
        assert with_cookie(cookie) == []
        assert alive(innocent)
        assert alive(other_run)


def test_a_cookie_is_compared_whole() -> None:
    cookie = new_cookie()
    with bystander(cookie=cookie + "0") as longer, bystander(cookie="x" + cookie) as other:
        assert tree.carriers(cookie) == []
        assert tree.end_carriers(cookie, grace=0) == []
        assert alive(longer)
        assert alive(other)


def test_who_carries_the_cookie_himself_spares_himself_and_his_parents() -> None:
    program = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from hpm_tools.process import tree
if len(sys.argv) == 3:
    sys.exit(subprocess.run([sys.executable, "-c", os.environ["PROGRAM"], sys.argv[1]]).returncode)
brother = subprocess.Popen(["sleep", "1000"], start_new_session=True)
assert tree.end_carriers(os.environ["HPM_RUN_ID"], 5) == []
print(brother.wait(), flush=True)
"""
    with cleared(new_cookie()) as cookie:
        root = str(Path(tree.__file__).parents[2])
        answer = subprocess.run(
            [sys.executable, "-c", program, root, "parent"],
            env=environment(PROGRAM=program, **{COOKIE: cookie}),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (answer.returncode, answer.stdout) == (0, "-15\n"), answer.stderr


def test_a_process_is_ended_by_number_start_and_boot() -> None:
    with subprocess.Popen(
        ["sh", "-c", f"trap '' TERM; echo ready; {STUBBORN}"], env=environment(), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        thread = threading.Thread(target=process.wait)
        thread.start()
        who = ref(process.pid)
        assert tree.end_process(who.pid, who.start, boot_id(), grace=0.3)
        thread.join(300)
        assert process.returncode == -signal.SIGKILL


def test_a_stopped_process_gets_its_chance_to_end_by_itself() -> None:
    process = subprocess.Popen(["sleep", "1000"], env=environment())
    process.send_signal(signal.SIGSTOP)
    thread = threading.Thread(target=process.wait)
    thread.start()
    assert tree.end_process(process.pid, ref(process.pid).start, boot_id(), grace=60)
    thread.join(300)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("number", [1, 0, -1, -4712])
def test_nothing_signals_init_or_a_group_by_its_number(number: int) -> None:
    start = start_time(number) or ""
    assert not tree.send(ProcessRef(number, start), signal.SIGCONT)


@pytest.mark.fault("reboot")
@pytest.mark.parametrize(
    ("start", "boot"), [("1", None), (None, "another-boot"), ("1", "another-boot"), ("", "")]
)
def test_a_reused_number_or_another_boot_harms_nobody(start: str | None, boot: str | None) -> None:
    cookie = new_cookie()
    with bystander() as innocent, bystander("sh", "-c", "sleep 1000; true") as leader:
        told_boot = boot_id() if boot is None else boot
        for who in (innocent, leader):
            told = ProcessRef(who.pid, who.start if start is None else start)
            assert tree.end_process(told.pid, told.start, told_boot, grace=0)
            assert tree.end_run(told, cookie, told_boot, grace=0) == []
        assert not tree.send(ProcessRef(innocent.pid, "1"), signal.SIGKILL)
        assert alive(innocent)
        assert alive(leader)


@pytest.mark.fault("reboot")
def test_after_a_reboot_not_even_carriers_are_touched() -> None:
    cookie = new_cookie()
    with bystander(cookie=cookie) as innocent:
        assert tree.end_run(None, cookie, "another-boot", grace=0) == []
        assert alive(innocent)


@pytest.mark.fault("P4")
@pytest.mark.parametrize(
    "script",
    [
        "echo ready; sleep 1000",
        f"{DAEMON} echo ready; sleep 1000",
        f"({STUBBORN}) & {DAEMON} echo ready; {STUBBORN}",
        f"{DAEMON} echo ready; setsid sh -c '{STUBBORN.replace(chr(39), chr(34))}'",
        "env -i /bin/sh -c 'exec sleep 1000' & echo ready; sleep 1000",
    ],
    ids=["plain", "daemons", "stubborn", "stubborn-daemon", "cleared-environment"],
)
def test_what_a_killed_runner_left_running_is_ended_at_the_next_start(script: str) -> None:
    cookie = new_cookie()
    with bystander() as innocent, orphans(script, cookie) as first:
        family = [first, *with_cookie(cookie)]
        assert alive(first)
        assert tree.end_run(first, cookie, boot_id(), grace=0.5) == []
        assert not any(alive(process) for process in family)
        assert with_cookie(cookie) == []
        assert alive(innocent)
        assert tree.end_run(first, cookie, boot_id(), grace=0.5) == []


@pytest.mark.parametrize("background", ["env -i /bin/sleep 1234.5 &", "(env -i /bin/sleep 1234.5 &)"])
def test_children_without_the_cookie_are_found_by_descent_and_session(background: str) -> None:
    """A member of the agent's session that cleared its environment, whether its parent still lives or not."""
    cookie = new_cookie()
    with ExitStack() as stack:
        first = stack.enter_context(orphans(f"{background}\necho ready; exec sleep 1000", cookie))

        def members() -> list[ProcessRef]:
            table = tree.process_table().values()
            session = {tree.ref_of(stat) for stat in table if stat.session == first.pid} - {first}
            return sorted(session - set(with_cookie(cookie)))

        (member,) = wait_until(members, what="the exec that clears the environment")
        stack.callback(tree.send, member, signal.SIGKILL)
        assert tree.end_run(first, cookie, boot_id(), grace=5) == []
        assert not alive(member)


def test_descendants_are_found_by_cookie_when_the_first_process_was_never_recorded() -> None:
    cookie = new_cookie()
    with orphans(f"{DAEMON} echo ready; sleep 1000", cookie) as first:
        assert tree.end_run(None, cookie, boot_id(), grace=5) == []
        assert not alive(first)
        assert with_cookie(cookie) == []


def test_descendants_are_found_when_the_first_process_has_ended_before() -> None:
    cookie = new_cookie()
    with orphans(f"{DAEMON} echo ready; sleep 1000", cookie) as first:
        os.kill(first.pid, signal.SIGKILL)
        wait_until(lambda: not alive(first))
        assert with_cookie(cookie)
        assert tree.end_run(first, cookie, boot_id(), grace=5) == []
        assert with_cookie(cookie) == []


def test_the_first_process_is_asked_before_its_tools_are_touched() -> None:
    """A TERM to the first process lets it end its own tools; they are signalled only when it is gone."""
    cookie = new_cookie()
    tool = 'trap ": > $TMPDIR/hit; exit" TERM; echo ready; while :; do sleep 0.05; done'
    busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
    script = (
        f"exec 2>/dev/null; trap '{busy}; kill -KILL $tool; exit 0' TERM; setsid sh -c '{tool}' & tool=$!; "
    )
    script += "while :; do sleep 0.05; done"
    with orphans(script.replace("$TMPDIR", os.environ["TMPDIR"]), cookie) as first:
        assert tree.end_run(first, cookie, boot_id(), grace=60) == []
        assert not alive(first)
    assert not (Path(os.environ["TMPDIR"]) / "hit").exists()


def test_what_a_process_starts_to_clean_up_after_itself_is_left_to_finish() -> None:
    cookie, mark = new_cookie(), Path(os.environ["TMPDIR"], "cleaned")
    script = f"exec 2>/dev/null; trap 'sleep 0.3; touch {mark}; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    with orphans(script, cookie) as first:
        assert tree.end_run(first, cookie, boot_id(), grace=60) == []
        assert not alive(first)
    assert mark.exists()


def test_a_runner_told_twice_kills_everything_at_once() -> None:
    cookie = new_cookie()
    with runner(f"({STUBBORN}) & {DAEMON} echo ready; {STUBBORN}", cookie) as (process, first):
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 128 + signal.SIGTERM
        wait_until(lambda: not alive(first) and not with_cookie(cookie), what="the end of the run")


def test_unkillable_processes_are_reported_and_not_waited_for_without_end() -> None:
    with bystander() as innocent:
        pauses: list[float] = []
        clock = threading.Event()

        def find() -> list[ProcessRef]:
            return [ProcessRef(innocent.pid, "1")]

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            clock.wait(seconds)

        assert [process.pid for process in tree.end_all(find, 0.1, pause=pause, patience=0.3)] == [
            innocent.pid
        ]
        assert alive(innocent)
        assert 0 < sum(pauses) < 60


def test_processes_that_multiply_are_all_stopped_before_they_are_killed() -> None:
    with ExitStack() as stack:
        born = [stack.enter_context(bystander()) for _ in range(3)]
        later = iter([2, 2, 0])

        def find() -> list[ProcessRef]:
            born.extend(stack.enter_context(bystander()) for _ in range(next(later, 0)))
            return list(born)

        assert tree._frozen(find, float("inf")) == set(born)
        assert len(born) == 7
        wait_until(lambda: all(state(who) == "T" for who in born), what="seven stopped processes")


@pytest.mark.fault("agent-unending")
def test_what_forks_whenever_one_of_it_is_killed_is_ended_all_the_same() -> None:
    with ExitStack() as stack:
        living = [stack.enter_context(bystander()) for _ in range(2)]
        running = set(living)

        def find() -> list[ProcessRef]:
            """Every one that ran when it was killed had forked once more."""
            killed = [who for who in living if not alive(who)]
            heirs = [stack.enter_context(bystander()) for who in killed if who in running]
            living[:] = [who for who in living if who not in killed] + heirs
            running.clear()
            running.update(who for who in living if state(who) != "T")
            return list(living)

        assert tree.end_all(find, 0, patience=20) == []


def state(who: ProcessRef) -> str:
    return Path(f"/proc/{who.pid}/stat").read_text().rpartition(")")[2].split()[0]


@given(
    st.binary() | st.text().map(lambda text: f"12 ({text}) R 1 2 3 {'0 ' * 40}".encode("utf-8", "replace"))
)
def test_any_bytes_are_a_process_or_a_documented_error(data: bytes) -> None:
    try:
        stat = Stat(data)
    except ValueError:
        return
    assert isinstance(stat.pid, int)
    assert stat.start


def test_a_corrupt_record_of_the_first_process_harms_nobody_and_hides_nobody() -> None:
    cookie = new_cookie()
    with orphans("echo ready; sleep 1000", cookie) as first, bystander() as innocent:
        assert tree.end_run(ProcessRef(innocent.pid, "gar\0bage"), cookie, boot_id(), grace=5) == []
        assert not alive(first)
        assert alive(innocent)


def test_a_zombie_carries_no_cookie_and_a_thread_is_no_process() -> None:
    cookie = new_cookie()
    process = subprocess.Popen(["true"], env=environment(**{COOKIE: cookie}))
    wait_until(lambda: not with_cookie(cookie))
    assert tree.carriers(cookie) == []
    assert not tree.cookie_of(process.pid)
    process.wait()
    threads = python(
        "import threading,time\nfor _ in range(8): threading.Thread(target=time.sleep, args=(1000,)).start()\nprint(1)"
    )
    busy = subprocess.Popen(threads, env=environment(**{COOKIE: cookie}), stdout=subprocess.PIPE)
    try:
        wait_until(lambda: len(list(Path(f"/proc/{busy.pid}/task").iterdir())) == 9)
        assert tree.carriers(cookie) == [ref(busy.pid)]
    finally:
        busy.kill()
        busy.wait()
        if busy.stdout is not None:
            busy.stdout.close()


LOOKS = """
import os, sys
from hpm_tools.process.supervise import supervise
looks = []
stat = f"/proc/{sys.argv[3]}/stat"
sys.addaudithook(lambda event, args: looks.append(args) if event == "open" and args[0] == stat else None)
for _ in range(2):
    done = supervise(["sh", "-c", sys.argv[2]], cwd=None, env=dict(os.environ), cookie=sys.argv[1])
    assert done.returncode == 0 and not done.survivors, done
print(len(looks))
"""


def looks_at(process: ProcessRef, script: str, cookie: str) -> int:
    """How often an older process is looked at for two supervised runs of a shell script."""
    argv = [sys.executable, "-c", LOOKS, cookie, script, str(process.pid)]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(tree.own_children() is None, reason="this kernel does not list a process's children")
def test_only_what_leaves_a_process_behind_costs_a_look_at_older_ones() -> None:
    with cleared(new_cookie()) as cookie, bystander() as older:
        assert looks_at(older, "true; (exit 3) & wait", cookie) == 0
        assert looks_at(older, DAEMON, cookie) > 0
        assert with_cookie(cookie) == []


SERVER = f"""
while :; do
    read -r run <"$0/wanted" || continue  # opened again before the one who asked had closed it
    {COOKIE}=$run setsid sh -c 'echo started >"$0"; exec sleep 1000' "$0/done" &
done
"""
"""Starts a process for whoever asks, as a build daemon does: with the environment of who asks, as its own child."""


def test_what_an_older_server_started_for_the_run_is_ended_and_the_server_is_not(tmp_path: Path) -> None:
    for name in ("wanted", "done"):
        os.mkfifo(tmp_path / name)
    ask = f"echo ${COOKIE} >{tmp_path}/wanted; read -r _ <{tmp_path}/done"
    with cleared(new_cookie()) as cookie, bystander("sh", "-c", SERVER, str(tmp_path)) as server:
        looks_at(server, ask, cookie)
        assert with_cookie(cookie) == []
        assert alive(server)


def test_own_children_are_the_living_and_the_unreaped() -> None:
    before = tree.own_children()
    if before is None:
        pytest.skip("this kernel does not list a process's children")
    with subprocess.Popen(["sleep", "1000"]) as lives, subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        seen = tree.own_children()
        lives.kill()
    assert seen is not None
    assert seen - before == {lives.pid, ended.pid}
    assert tree.own_children() == before
