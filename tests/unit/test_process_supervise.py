"""Supervised runs of real programs, well-behaved and not: how they end, what comes back, what is left (nothing)."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.process import supervise as supervise_module
from hpm_tools.process.supervise import CannotStart, Child, Clocks, Ending, Finished, supervise
from hpm_tools.process.tree import ProcessRef, own_children
from tests.support.processes import (
    STUBBORN,
    alive,
    bystander,
    cleared,
    environment,
    new_cookie,
    python,
    with_cookie,
    zombie_children,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = str(Path(supervise_module.__file__).parents[2])
SOON = 0.3
"""A limit that is meant to be reached."""


@pytest.fixture
def cookie() -> Iterator[str]:
    with cleared(new_cookie()) as value:
        yield value


@pytest.fixture(autouse=True)
def nothing_is_left(cookie: str) -> Iterator[None]:
    """After every test: no process of the run, no zombie, no thread and no open file more than before."""
    gc.collect()
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    yield
    assert with_cookie(cookie) == []
    assert zombie_children() == []
    assert threading.active_count() == threads
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files


def run(script: str | list[str], cookie: str, **options: Any) -> Finished:
    argv = script if isinstance(script, list) else ["sh", "-c", script]
    return supervise(argv, cwd=None, env=environment(**options.pop("more", {})), cookie=cookie, **options)


class TestOrdinaryRuns:
    def test_status_output_and_time_come_back(self, cookie: str) -> None:
        finished = run("echo out; echo err >&2; exit 7", cookie)
        assert (finished.returncode, finished.ending, finished.stop_reason) == (7, Ending.EXITED, "")
        assert (finished.stdout.data, finished.stderr.data) == (b"out\n", b"err\n")
        assert 0 < finished.seconds < 300
        assert finished.survivors == ()

    def test_a_signal_is_a_negative_status(self, cookie: str) -> None:
        assert run("kill -SEGV $$", cookie).returncode == -signal.SIGSEGV

    def test_the_child_leads_a_session_carries_the_cookie_dumps_no_core_and_goes_first(
        self, cookie: str
    ) -> None:
        told: list[Child] = []
        script = "read go; echo $$ $HPM_RUN_ID $(ulimit -c) $(cat /proc/self/oom_score_adj)"
        finished = run(script, cookie, on_spawn=told.append, stdin=b"go\n", more={"HPM_RUN_ID": "inherited"})
        first = finished.stdout.text().splitlines()[0].split()
        assert first == [str(told[0].pid), cookie, "0", "500"]
        assert told[0].pgid == told[0].pid

    def test_without_a_cookie_none_is_inherited(self) -> None:
        finished = supervise(["sh", "-c", "echo [$HPM_RUN_ID]"], cwd=None, env=environment(HPM_RUN_ID="x"))
        assert finished.stdout.data == b"[]\n"

    def test_the_journal_is_written_before_the_child_is_fed(self, cookie: str, tmp_path: Path) -> None:
        journal = tmp_path / "journal"

        def on_spawn(child: Child) -> None:
            assert alive(ProcessRef(child.pid, child.start))
            time.sleep(0.2)
            journal.write_text("written")

        finished = run(f"read line; cat {journal}", cookie, on_spawn=on_spawn, stdin=b"go\n")
        assert finished.stdout.data == b"written"

    def test_a_large_prompt_goes_through_stdin_while_output_comes_back(self, cookie: str) -> None:
        prompt = os.urandom(1 << 20) * 8
        assert run(["cat"], cookie, stdin=prompt, keep=32 << 20).stdout.data == prompt

    @pytest.mark.parametrize("script", ["exec <&-; echo ok", "echo ok", "head -c 10 >/dev/null; echo ok"])
    def test_a_prompt_that_is_not_read_is_no_error(self, script: str, cookie: str) -> None:
        finished = run(script, cookie, stdin=b"x" * (8 << 20))
        assert (finished.returncode, finished.stdout.data) == (0, b"ok\n")

    def test_without_a_prompt_stdin_is_empty_and_not_open(self, cookie: str) -> None:
        assert run("cat; readlink /proc/self/fd/0", cookie).stdout.data == b"/dev/null\n"

    def test_lines_arrive_while_the_child_runs_and_the_last_needs_no_newline(
        self, cookie: str, tmp_path: Path
    ) -> None:
        lines: list[bytes] = []

        def on_line(line: bytes) -> None:
            lines.append(line)
            (tmp_path / "seen").touch()

        finished = run(
            f"echo first; while ! [ -e {tmp_path}/seen ]; do sleep 0.02; done; printf last",
            cookie,
            on_line=on_line,
        )
        assert finished.returncode == 0
        assert lines == [b"first", b"last"]

    def test_it_works_outside_the_main_thread_and_many_at_a_time(self) -> None:
        cookies = [new_cookie() for _ in range(6)]
        results: dict[str, Finished] = {}

        def one(cookie: str) -> None:
            results[cookie] = run("sleep 0.1; setsid sleep 1000 & echo $HPM_RUN_ID", cookie)

        threads = [threading.Thread(target=one, args=(cookie,)) for cookie in cookies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert {cookie: finished.stdout.text().strip() for cookie, finished in results.items()} == {
            cookie: cookie for cookie in cookies
        }
        assert [with_cookie(cookie) for cookie in cookies] == [[]] * 6


class TestClocks:
    @pytest.mark.fault("agent-silent")
    @pytest.mark.parametrize(
        ("script", "clocks", "ending"),
        [
            ("sleep 1000", Clocks(total=SOON), Ending.TIMED_OUT),
            (
                "while :; do echo x; sleep 0.02; done",
                Clocks(total=1, first_event=600, stall=600),
                Ending.TIMED_OUT,
            ),
            ("sleep 1000", Clocks(first_event=SOON, stall=600), Ending.NO_START),
            ("echo noise >&2; sleep 1000", Clocks(first_event=1), Ending.NO_START),
            ("sleep 1000", Clocks(stall=SOON), Ending.NO_START),
            ("echo x; sleep 1000", Clocks(first_event=600, stall=SOON), Ending.STALLED),
            ("printf unfinished; sleep 1000", Clocks(first_event=600, stall=SOON), Ending.STALLED),
            ("echo result; sleep 1000", Clocks(first_event=600, stall=600, linger=SOON), Ending.LINGERED),
            ("echo result; while :; do echo; done", Clocks(stall=600, linger=SOON), Ending.LINGERED),
            ("echo result; sleep 1000", Clocks(total=2, stall=SOON), Ending.LINGERED),
        ],
    )
    def test_each_clock_ends_its_own_kind_of_hang(
        self, script: str, clocks: Clocks, ending: Ending, cookie: str
    ) -> None:
        finished = run(script, cookie, clocks=clocks, on_line=lambda line: line == b"result")
        assert (finished.ending, finished.returncode) == (ending, -signal.SIGTERM)

    def test_a_run_within_its_limits_is_not_touched(self, cookie: str) -> None:
        clocks = Clocks(total=600, first_event=6000, stall=6000, linger=600)
        finished = run(
            "echo x; sleep 0.1; echo result; sleep 0.1", cookie, clocks=clocks, on_line=lambda _line: True
        )
        assert (finished.ending, finished.returncode) == (Ending.EXITED, 0)

    def test_stderr_counts_as_life_only_where_no_lines_are_awaited(self, cookie: str) -> None:
        script = "for i in $(seq 25); do echo x >&2; sleep 0.1; done"
        assert run(script, cookie, clocks=Clocks(first_event=600, stall=2)).ending is Ending.EXITED
        finished = run(script, cookie, clocks=Clocks(first_event=SOON), on_line=lambda _line: None)
        assert finished.ending is Ending.NO_START

    def test_the_supervisor_s_own_absence_is_not_held_against_the_child(
        self, cookie: str, tmp_path: Path
    ) -> None:
        """A listener busy for longer than the stall limit: the child's silence of that time proves nothing."""

        def busy(line: bytes) -> None:
            if line == b"first":
                time.sleep(2.2)
                (tmp_path / "go").touch()

        script = f"echo first; while ! [ -e {tmp_path}/go ]; do sleep 0.02; done; echo second"
        finished = run(script, cookie, clocks=Clocks(first_event=600, stall=2), on_line=busy)
        assert (finished.ending, finished.stdout.data) == (Ending.EXITED, b"first\nsecond\n")

    def test_term_leaves_time_to_end_well(self, cookie: str) -> None:
        script = "trap 'echo cleaned up; exit 5' TERM; echo ready; while :; do sleep 0.02; done"
        finished = run(script, cookie, clocks=Clocks(first_event=600, stall=SOON, grace=600))
        assert (finished.returncode, finished.ending) == (5, Ending.STALLED)
        assert finished.stdout.data == b"ready\ncleaned up\n"

    def test_a_child_that_writes_much_while_it_ends_is_read_on(self, cookie: str) -> None:
        script = "trap 'head -c 1000000 /dev/zero; exit 5' TERM; echo ready; while :; do sleep 0.02; done"
        finished = run(script, cookie, clocks=Clocks(first_event=600, stall=SOON, grace=600))
        assert (finished.returncode, finished.stdout.total) == (5, 1_000_006)

    @pytest.mark.fault("agent-unending")
    def test_who_ignores_term_is_killed(self, cookie: str) -> None:
        finished = run(STUBBORN, cookie, clocks=Clocks(total=SOON, grace=SOON))
        assert (finished.returncode, finished.ending) == (-signal.SIGKILL, Ending.TIMED_OUT)

    def test_a_stopped_child_can_still_act_on_term(self, cookie: str) -> None:
        finished = run("kill -STOP $$; sleep 1000", cookie, clocks=Clocks(total=SOON, grace=600))
        assert finished.returncode == -signal.SIGTERM

    def test_without_grace_it_is_killed_at_once(self, cookie: str) -> None:
        finished = run("trap 'echo no' TERM; sleep 1000", cookie, clocks=Clocks(total=SOON, grace=0))
        assert (finished.returncode, finished.stdout.data) == (-signal.SIGKILL, b"")


class TestStopping:
    def test_a_reason_ends_the_run_and_is_reported(self, cookie: str) -> None:
        answers = iter([None, None, "lock lost"])
        finished = run("sleep 1000", cookie, should_stop=lambda: next(answers))
        assert (finished.ending, finished.stop_reason) == (Ending.STOPPED, "lock lost")
        assert finished.returncode == -signal.SIGTERM

    def test_a_flood_does_not_keep_the_question_from_being_asked(self, cookie: str) -> None:
        begun = time.monotonic()
        finished = run(
            ["yes"], cookie, should_stop=lambda: "enough" if time.monotonic() - begun > 0.5 else None
        )
        assert finished.ending is Ending.STOPPED

    def test_the_question_is_not_asked_in_a_hot_loop(self, cookie: str) -> None:
        asked: list[None] = []
        run(["yes"], cookie, clocks=Clocks(total=1), should_stop=lambda: asked.append(None))
        assert 1 <= len(asked) <= 10

    def test_a_signal_handler_that_only_sets_a_flag_and_writes_to_a_pipe_stops_it_at_once(
        self, cookie: str
    ) -> None:
        program = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from hpm_tools.process import run
from hpm_tools.process.supervise import supervise
run._ASK = 1000
flag, (reader, writer) = [], os.pipe()
def handler(number, frame):
    flag.append(number)
    os.write(writer, b"!")
signal.signal(signal.SIGTERM, handler)
finished = supervise(
    ["sh", "-c", "kill -TERM $PPID; sleep 1000"], cwd=None, env={"PATH": os.environ["PATH"]}, cookie=sys.argv[2],
    should_stop=lambda: "SIGTERM" if flag else None, wake=reader,
)
print(finished.ending, finished.stop_reason)
"""
        answer = subprocess.run(
            python(program, ROOT, cookie),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert answer.stdout == "stopped SIGTERM\n", answer.stderr

    @pytest.mark.parametrize("where", ["on_spawn", "on_line", "should_stop"])
    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
    def test_an_exception_from_a_callback_passes_on_after_everything_has_ended(
        self, where: str, failure: type[BaseException], cookie: str
    ) -> None:
        def fail(*_given: object) -> None:
            raise failure("on purpose")

        with pytest.raises(failure, match="on purpose"):
            run(
                f"({STUBBORN}) & setsid sleep 1000 & echo x; sleep 1000",
                cookie,
                clocks=Clocks(grace=SOON),
                **{where: fail},
            )

    @pytest.mark.parametrize(
        "script",
        [
            "kill -INT $PPID; while :; do sleep 0.02; done",
            "read go; kill -INT $PPID; while :; do sleep 0.02; done",
            "trap 'kill -INT $PPID' TERM; read go; kill -INT $PPID; while :; do sleep 0.02; done",
        ],
        ids=["during the start", "during the run", "again during the grace"],
    )
    def test_ctrl_c_ends_the_run_whenever_it_comes_and_a_second_one_ends_it_at_once(
        self, script: str, cookie: str
    ) -> None:
        program = """
import os, sys
sys.path.insert(0, sys.argv[1])
from hpm_tools.process.supervise import Clocks, supervise
try:
    supervise(
        ["sh", "-c", sys.argv[3]], cwd=None, env={"PATH": os.environ["PATH"]}, cookie=sys.argv[2],
        stdin=b"go\\n", clocks=Clocks(grace=1000),
    )
except KeyboardInterrupt:
    print("interrupted")
"""
        answer = subprocess.run(
            python(program, ROOT, cookie, script),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert answer.stdout == "interrupted\n", answer.stderr


class TestWhatIsLeftBehind:
    @pytest.mark.parametrize(
        "left",
        [
            "sleep 1000 &",
            f"({STUBBORN}) &",
            "setsid sleep 1000 &",
            f'setsid sh -c "{STUBBORN}" &',
            "setsid sh -c 'setsid sleep 1000 & setsid sleep 1000 & sleep 1000' &",
            "(setsid sleep 1000 >/dev/null 2>&1 </dev/null &)",
            "sh -c 'sleep 1000 & kill -STOP $!; kill -STOP $$' &",
        ],
    )
    def test_a_clean_exit_is_a_success_and_what_it_left_is_ended(self, left: str, cookie: str) -> None:
        begun = time.monotonic()
        finished = run(f"{left}\necho done", cookie, clocks=Clocks(grace=SOON))
        assert (finished.returncode, finished.ending, finished.survivors) == (0, Ending.EXITED, ())
        assert finished.stdout.data == b"done\n"
        assert time.monotonic() - begun < 300

    @pytest.mark.fault("P4")
    @pytest.mark.parametrize(
        "daemonise",
        [
            "env -i setsid -f sleep SECONDS",
            "env -i setsid sleep SECONDS &",
            "(env -i setsid sh -c 'sleep SECONDS & sleep SECONDS' &)",
            "env -i setsid sh -c \"trap '' TERM; sleep SECONDS; sleep SECONDS\" &",
        ],
    )
    def test_daemons_that_cleared_their_environment_are_ended_too(self, daemonise: str, cookie: str) -> None:
        seconds = unique_seconds()
        script = f"{daemonise.replace('SECONDS', seconds)}\nsleep 0.1; echo done"
        finished = run(script, cookie, clocks=Clocks(grace=SOON))
        assert finished.stdout.data == b"done\n"
        assert sleepers(seconds) == []

    def test_a_daemon_seen_once_stays_known_when_its_parents_are_gone(
        self, cookie: str, tmp_path: Path
    ) -> None:
        """Alone in this process or not: a second run is under way, so adoption proves nothing; descent must."""
        seconds = unique_seconds()
        program = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    os.closerange(0, 3)
    os.execve("/bin/sleep", ["sleep", "{seconds}"], {{}})
while not os.path.exists({str(tmp_path / "go")!r}):
    time.sleep(0.02)
"""
        other = new_cookie()
        with cleared(other):
            background = threading.Thread(
                target=run, args=(f"while ! [ -e {tmp_path}/over ]; do sleep 0.02; done", other)
            )
            background.start()
            looks = threading.Timer(3, (tmp_path / "go").touch)
            looks.start()
            try:
                finished = run(python(program), cookie, clocks=Clocks(grace=SOON))
            finally:
                (tmp_path / "over").touch()
                background.join()
                looks.join()
        assert finished.returncode == 0
        assert sleepers(seconds) == []

    def test_innocent_processes_survive_and_keep_their_status(self, cookie: str) -> None:
        """Children of this very process that the run did not start, alive and dead, in sessions of their own or not."""
        zombies = [
            subprocess.Popen(["sh", "-c", "exit 7"], env=environment(), start_new_session=own_session)
            for own_session in (True, False)
        ]
        with (
            bystander() as leader,
            bystander(session=False) as plain,
            bystander(cookie=new_cookie()) as other,
        ):
            wait_until(lambda: set(zombie_children()) == {process.pid for process in zombies})
            finished = run("setsid sleep 1000 & sleep 2.5; exit 3", cookie, clocks=Clocks(grace=SOON))
            assert finished.returncode == 3
            assert all(alive(process) for process in (leader, plain, other))
        assert [process.wait() for process in zombies] == [7, 7]

    def test_a_child_started_elsewhere_in_this_process_during_the_run_is_not_ours(
        self, cookie: str, tmp_path: Path
    ) -> None:
        started: list[subprocess.Popen[bytes]] = []

        def on_line(_line: bytes) -> None:
            started.append(subprocess.Popen(["sh", "-c", "sleep 0.5; exit 9"], env=environment()))

        assert run("echo x; sleep 0.2", cookie, on_line=on_line, clocks=Clocks(grace=SOON)).returncode == 0
        assert started[0].wait() == 9

    def test_orphans_that_come_and_go_do_not_pile_up_as_zombies(self, cookie: str, tmp_path: Path) -> None:
        counts = [0]

        def on_line(_line: bytes) -> None:
            counts.append(len(zombie_children()))
            if counts[-1] == 0 and max(counts) > 0:
                (tmp_path / "reaped").touch()

        orphan = "(setsid sh -c 'sleep 0.01 &' &)"
        script = f"{orphan}; {orphan}; while ! [ -e {tmp_path}/reaped ]; do sleep 0.1; echo; done"
        finished = run(script, cookie, on_line=on_line, clocks=Clocks(total=100))
        assert finished.ending is Ending.EXITED, counts

    @pytest.mark.fault("agent-unending")
    def test_a_pipe_held_by_somebody_who_is_not_ours_delays_the_end_by_seconds_only(
        self, cookie: str
    ) -> None:
        """A descriptor passed over a socket: its holder is no descendant and carries no cookie."""
        program = """
import array, os, socket, sys
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen()
print("listening", flush=True)
connection = server.accept()[0]
fds = array.array("i")
data, ancillary, *_ = connection.recvmsg(1, socket.CMSG_LEN(fds.itemsize))
fds.frombytes(ancillary[0][2])
connection.send(b"k")
sys.stdin.read()
"""
        give = """
import array, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1]))])
s.recv(1)
print("done")
"""
        path = os.path.join(os.environ["TMPDIR"], "s")
        if len(path) > 100:
            pytest.skip("the temporary directory's name is too long for a socket")
        holder = subprocess.Popen(
            python(program, path), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"listening\n"
            finished = run(python(give, path), cookie)
            assert (finished.returncode, finished.stdout.data) == (0, b"done\n")
            assert finished.seconds < 300
            assert holder.poll() is None
            assert holder.stdin is not None
            holder.stdin.close()


class TestFloods:
    def test_a_flood_keeps_its_head_and_tail(self, cookie: str) -> None:
        finished = run("echo head; head -c 50000000 /dev/zero; echo; echo tail", cookie, keep=1000)
        assert finished.stdout.total == 50_000_011
        assert finished.stdout.data.startswith(b"head\n\0")
        assert finished.stdout.data.endswith(b"\0\ntail\n")
        assert len(finished.stdout.data) < 1100
        assert "left out" in finished.stdout.text()

    def test_an_endless_flood_on_both_outputs_ends_in_time(self, cookie: str) -> None:
        begun = time.monotonic()
        finished = run(
            "yes & yes >&2", cookie, clocks=Clocks(total=0.5, grace=SOON), on_line=lambda _line: None
        )
        assert finished.ending is Ending.TIMED_OUT
        assert time.monotonic() - begun < 300

    def test_a_stubborn_flooding_grandchild_does_not_outlive_the_run(self, cookie: str) -> None:
        finished = run(
            "setsid sh -c \"trap '' TERM; while :; do yes | head -n 1000; done\" & echo x",
            cookie,
            clocks=Clocks(grace=SOON),
        )
        assert finished.returncode == 0

    def test_lines_too_long_are_dropped_and_counted_and_the_others_arrive(self, cookie: str) -> None:
        lines: list[bytes] = []
        finished = run(
            "echo before; head -c 3000000 /dev/zero; echo; echo after",
            cookie,
            max_line=1000,
            on_line=lines.append,
        )
        assert lines == [b"before", b"after"]
        assert finished.dropped_lines == 1

    def test_invalid_text_arrives_as_bytes_and_is_shown_replaced(self, cookie: str) -> None:
        lines: list[bytes] = []
        finished = run(r"printf '\377\000\033[2Jx\n'", cookie, on_line=lines.append)
        assert lines == [b"\xff\0\x1b[2Jx"]
        assert finished.stdout.text() == "\ufffd\0\x1b[2Jx\n"

    @pytest.mark.fault("agent-floods")
    def test_a_gigabyte_in_one_line_needs_little_memory(self, cookie: str) -> None:
        program = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
from hpm_tools.process.supervise import supervise
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
finished = supervise(
    ["head", "-c", str(1 << 30), "/dev/zero"], cwd=None, env={"PATH": os.environ["PATH"]}, cookie=sys.argv[2],
    on_line=lambda line: None, log=sys.argv[3], log_limit=1 << 20, secrets=["some-secret"],
)
print(finished.stdout.total, finished.dropped_lines, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
        log = os.path.join(os.environ["TMPDIR"], "log")
        answer = subprocess.run(
            python(program, ROOT, cookie, log), env=environment(), capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
        total, dropped, grown = map(int, answer.stdout.split())
        assert (total, dropped) == (1 << 30, 1)
        assert grown < 64 << 10, "in KiB"

    @pytest.mark.fault("agent-unending")
    @pytest.mark.parametrize(
        "spread",
        [
            pytest.param("", marks=pytest.mark.extended),
            pytest.param("os.setsid()", marks=pytest.mark.extended),
            "os.setsid(); os.environ.clear()",
        ],
    )
    def test_a_storm_of_forks_is_ended(self, spread: str, cookie: str, tmp_path: Path) -> None:
        """Sixty processes that do nothing but fork, each in a session of its own if told so."""
        program = f"""
import os, resource, sys
if os.getuid() == 0:
    os.setgroups([]); os.setgid(54321); os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, ({process_count()} + 60,) * 2)
print("storm", flush=True)
while True:
    try:
        if os.fork() == 0:
            {spread or "pass"}
    except OSError:
        pass
"""
        finished = run(python(program), cookie, clocks=Clocks(first_event=600, total=1, grace=1))
        assert finished.ending is Ending.TIMED_OUT
        assert finished.survivors == ()


class TestLogs:
    def test_the_log_holds_stdout_redacted_and_private(self, cookie: str, tmp_path: Path) -> None:
        log = tmp_path / "run.log"
        finished = run("echo token hunter2-secret; echo err >&2", cookie, log=log, secrets=["hunter2-secret"])
        assert finished.log_error == ""
        assert log.read_bytes() == b"token [redacted]\n"
        assert log.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("log", ["/dev/full", "/no/such/directory/log"])
    def test_a_log_that_cannot_be_written_does_not_hurt_the_run(self, log: str, cookie: str) -> None:
        finished = run("yes | head -n 100000; exit 4", cookie, log=log)
        assert (finished.returncode, finished.stdout.total) == (4, 200_000)
        assert finished.log_error


class TestStarting:
    @pytest.mark.parametrize(
        ("content", "mode"),
        [(None, 0), (b"#!/no/such/interpreter\n", 0o755), (b"no program", 0o755), (b"#!/bin/sh\n", 0o644)],
    )
    def test_what_cannot_start_is_a_configuration_error(
        self, content: bytes | None, mode: int, cookie: str, tmp_path: Path
    ) -> None:
        program = tmp_path / "program"
        if content is not None:
            program.write_bytes(content)
            program.chmod(mode)
        with pytest.raises(CannotStart) as caught:
            run(
                [str(program)],
                cookie,
                log=tmp_path / "log",
                on_spawn=lambda _child: pytest.fail("nothing was started"),
            )
        assert caught.value.exit_code == 78
        assert str(program) in caught.value.message

    def test_orphans_are_adopted_only_while_a_run_is_under_way(self, cookie: str) -> None:
        program = """
import ctypes, os, sys
sys.path.insert(0, sys.argv[1])
from hpm_tools.process.supervise import supervise
def adopting():
    value = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(value), 0, 0, 0)
    return value.value
during = []
supervise(["true"], cwd=None, env={}, cookie=sys.argv[2], on_spawn=lambda child: during.append(adopting()))
print(adopting(), *during)
"""
        answer = subprocess.run(
            [sys.executable, "-c", program, ROOT, cookie],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.stdout == "0 1\n", answer.stderr


def unique_seconds() -> str:
    """An argument for ``sleep`` that no other test uses."""
    return f"98765.{time.time_ns()}"


def sleepers(seconds: str) -> list[int]:
    """The processes ``sleep SECONDS``; they carry no cookie, so their argument names them."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"sleep") and words[1:2] == [seconds.encode()]:
                found.append(int(name))
    return found


def process_count() -> int:
    """How many processes the storm's user has already."""
    uid = os.getuid() or 54321
    return sum(
        Path(f"/proc/{name}").stat().st_uid == uid
        for name in os.listdir("/proc")
        if name.isdecimal() and os.path.exists(f"/proc/{name}")
    )


FLEEING = """
import os
for _ in range(200):
    if os.fork():
        os._exit(0)
    os.setsid()
os.execvp("sleep", ["sleep", "1000"])
"""


@pytest.mark.skipif(own_children() is None, reason="this kernel does not list a process's children")
def test_what_forks_and_ends_faster_than_we_look_does_not_get_away(cookie: str) -> None:
    for _ in range(5):
        done = supervise(python(FLEEING), cwd=None, env=environment(), cookie=cookie)
        assert (done.returncode, done.survivors) == (0, ())
        assert with_cookie(cookie) == []
