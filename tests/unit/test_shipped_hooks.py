from __future__ import annotations

import fcntl
import http.server
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.executor.cli_places import OF_THE_MACHINE
from hpm_tools.hook.finding import shipped_hooks
from hpm_tools.hook.runner import HookRunner
from hpm_tools.process.identity import boot_id, start_time
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOKS = Path(__file__).parents[2] / "hooks"
NAMES = ("pre_task", "post_task", "health_check")


def run(
    name: str, data: object = None, *, directory: Path = HOOKS, options: tuple[str, ...] = (), **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a hook alone, as ``echo … | python hooks/…`` does."""
    return subprocess.run(
        [sys.executable, *options, str(directory / f"{name}.py")],
        input=data if isinstance(data, str) else json.dumps({} if data is None else data),
        env={**os.environ, **environ},
        cwd=os.environ["HOME"],
        capture_output=True,
        text=True,
        timeout=600,
    )


def line_about(what: str, output: str) -> tuple[str, str]:
    """(ok, warn or fail; the rest) of the one line about ``what``."""
    lines = [line for line in output.splitlines() if line[5:].startswith(f"{what}: ")]
    assert len(lines) == 1, output
    return lines[0][:4].strip(), lines[0].partition(": ")[2]


@pytest.fixture
def cli(isolated: Path) -> str:
    """Something executable where the Claude CLI is looked for."""
    path = isolated / ".local" / "bin" / "claude"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\necho 9.9.9\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    return path


class TestEachAlone:
    @pytest.mark.parametrize("name", NAMES)
    def test_with_the_standard_library_only(self, name: str, cli: str) -> None:
        answer = run(name, options=("-I", "-S"))
        assert answer.stderr == ""
        assert answer.stdout
        assert answer.returncode in (0, 1)

    @pytest.mark.parametrize("name", NAMES)
    def test_copied_elsewhere(self, name: str, cli: str, tmp_path: Path) -> None:
        shutil.copy(HOOKS / f"{name}.py", tmp_path)
        answer = run(name, directory=tmp_path)
        assert answer.stderr == ""
        if name == "health_check":
            assert line_about("disk, git, agent", answer.stdout)[0] == "warn"

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("stdin", ["nonsense", "[1]", '"x"', "\x00"])
    def test_bad_input_is_one_line_and_no_traceback(self, name: str, stdin: str) -> None:
        answer = run(name, stdin)
        assert answer.returncode == 1
        assert answer.stdout == ""
        assert answer.stderr.startswith("stdin ")
        assert answer.stderr.count("\n") == 1

    @pytest.mark.parametrize("name", NAMES)
    def test_no_input_is_no_error(self, name: str, cli: str) -> None:
        assert run(name, "").stderr == ""

    def test_nothing_is_written_beside_them(self, cli: str, tmp_path: Path) -> None:
        for name in NAMES:
            shutil.copy(HOOKS / f"{name}.py", tmp_path)
        before = sorted(tmp_path.iterdir())
        answer = run("health_check", directory=tmp_path)
        assert line_about("git", answer.stdout)[0] == "ok"
        assert sorted(tmp_path.iterdir()) == before

    @pytest.mark.parametrize("name", NAMES)
    def test_through_the_hook_runner(self, name: str, cli: str, tmp_path: Path) -> None:
        outcome = HookRunner([shipped_hooks()], api_url="embedded", cwd=tmp_path).run(name, {"task_id": 1})
        assert outcome.ok, outcome.reason


class TestPreTask:
    def test_a_fit_machine(self, cli: str, repo: Path) -> None:
        answer = run("pre_task", {"repo": str(repo), "worktree_path": str(repo)})
        assert answer.returncode == 0, answer.stdout
        assert line_about("git", answer.stdout) == ("ok", f"{repo} is usable")
        assert line_about("agent", answer.stdout)[0] == "ok"
        assert "fail" not in answer.stdout

    def test_too_little_disk_space(self, cli: str) -> None:
        answer = run("pre_task", {"min_disk_gb": 10**9})
        assert answer.returncode == 1
        assert all("needed" in line for line in answer.stdout.splitlines() if "disk:" in line)

    def test_git_missing(self, cli: str, tmp_path: Path) -> None:
        answer = run("pre_task", PATH=str(tmp_path))
        assert answer.returncode == 1
        assert line_about("git", answer.stdout) == ("fail", "not on the PATH")

    def test_no_repository(self, cli: str, tmp_path: Path) -> None:
        for place, fault in ((tmp_path, "no work tree"), (tmp_path / "gone", "does not exist")):
            answer = run("pre_task", {"repo": str(place)})
            assert answer.returncode == 1
            assert fault in line_about("git", answer.stdout)[1]

    def test_a_lock_of_git_that_is_old_is_a_warning(self, cli: str, repo: Path) -> None:
        lock = repo / ".git" / "index.lock"
        lock.touch()
        assert line_about("git", run("pre_task", {"repo": str(repo)}).stdout)[0] == "ok"
        os.utime(lock, (time.time() - 3600,) * 2)
        answer = run("pre_task", {"repo": str(repo)})
        assert line_about("git", answer.stdout)[0] == "warn"
        assert answer.returncode == 0

    def test_what_the_repository_configures_is_not_executed(
        self, cli: str, repo: Path, tmp_path: Path
    ) -> None:
        flag = tmp_path / "executed"
        for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "alias.rev-parse"):
            subprocess.run(
                ["git", "-C", str(repo), "config", key, f"!touch {flag}; touch {flag}"], check=True
            )
        run("pre_task", {"repo": str(repo)})
        assert not flag.exists()

    def test_the_cli_named_missing_or_not_needed(self, tmp_path: Path, cli: str) -> None:
        missing = str(tmp_path / "claude")
        for answer in (run("pre_task", {"cli": missing}), run("pre_task", HEADLESS_PM_CLAUDE_PATH=missing)):
            assert answer.returncode == 1
            assert line_about("agent", answer.stdout)[0] == "fail"
        answer = run("pre_task", {"executor": "command", "cli": missing})
        assert answer.returncode == 0
        assert line_about("agent", run("pre_task", HEADLESS_PM_CLAUDE_PATH=cli).stdout) == ("ok", cli)

    def test_no_cli_anywhere(self, tmp_path: Path) -> None:
        (tmp_path / "git").symlink_to(str(shutil.which("git")))
        answer = run("pre_task", options=("-I", "-S"), PATH=str(tmp_path))
        if not any(Path(place, "claude").exists() for place in OF_THE_MACHINE):
            assert line_about("agent", answer.stdout)[0] == "fail"
            assert answer.returncode == 1


TASK = {"task_id": 7, "task_title": "Tïtle", "agent_id": "dev_001", "success": True, "cost_usd": 0.25}


class TestPostTask:
    def log(self) -> Path:
        return Path(os.environ["HEADLESS_PM_HOME"]) / "logs" / "task_completions.jsonl"

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().read_text(encoding="utf-8").splitlines()]

    def test_one_line_for_each_task(self) -> None:
        for task in (1, 2):
            assert run("post_task", TASK | {"task_id": task, "api_key": "secret"}).returncode == 0
        first, second = self.entries()
        assert first.pop("completed_at") <= second.pop("completed_at")
        assert first == TASK | {"task_id": 1}
        assert second["task_id"] == 2

    def test_the_file_is_private_whatever_the_umask(self) -> None:
        old = os.umask(0o002)
        try:
            run("post_task", TASK)
        finally:
            os.umask(old)
        assert stat.S_IMODE(self.log().stat().st_mode) == 0o600
        assert stat.S_IMODE(self.log().parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(self.log().parent.parent.stat().st_mode) == 0o700

    def test_long_and_strange_values_make_a_short_valid_line(self) -> None:
        run(
            "post_task",
            TASK | {"task_title": "x" * 900_000, "verdict": {"a": [1, "\n"]}, "branch": "\x1b\ud800"},
        )
        assert len(self.log().read_bytes()) < 2000
        assert self.entries()[0]["task_title"].endswith("x…")

    def test_nothing_without_a_task(self) -> None:
        answer = run("post_task", {})
        assert (answer.returncode, answer.stdout) == (0, "nothing to log: the data names no task_id\n")
        assert not self.log().exists()

    def test_runners_that_log_at_once_lose_no_line(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda task: run("post_task", TASK | {"task_id": task}), range(1, 17)))
        assert {answer.returncode for answer in answers} == {0}
        assert sorted(entry["task_id"] for entry in self.entries()) == list(range(1, 17))

    def test_a_file_that_has_grown_is_put_aside(self) -> None:
        self.log().parent.mkdir(parents=True)
        with self.log().open("wb") as file:
            file.truncate(10 * 2**20)
        run("post_task", TASK)
        run("post_task", TASK | {"task_id": 8})
        assert [entry["task_id"] for entry in self.entries()] == [8]
        assert self.log().with_name("task_completions.jsonl.1").stat().st_size > 10 * 2**20

    def test_a_link_in_its_place_is_not_written_through(self, tmp_path: Path) -> None:
        self.log().parent.mkdir(parents=True)
        self.log().symlink_to(tmp_path / "target")
        assert run("post_task", TASK).returncode == 1
        assert not (tmp_path / "target").exists()

    def test_a_log_that_cannot_be_written_is_said_in_one_line(self) -> None:
        answer = run("post_task", TASK, HEADLESS_PM_HOME="/dev/null/home")
        assert answer.returncode == 1
        assert answer.stderr.count("\n") == 1
        assert "cannot be written" in answer.stderr


@contextmanager
def server(
    status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()
) -> Iterator[tuple[str, list[Any]]]:
    """A real HTTP server on loopback that gives one answer; yields its URL and the requests it saw."""
    requests: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, dict(self.headers)))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}", requests
        finally:
            httpd.shutdown()
            thread.join()


class TestHealthCheck:
    def test_a_healthy_machine(self, cli: str, repo: Path) -> None:
        with server(200, b'{"status":"healthy"}') as (url, requests):
            answer = run("health_check", {"repo": str(repo)}, HEADLESS_PM_API_URL=url)
        assert answer.returncode == 0, answer.stdout
        for what in ("disk", "git", "agent", "memory", "board", "agents"):
            assert f"{what}: " in answer.stdout
        assert line_about("board", answer.stdout)[1].endswith("answers (healthy)")
        assert [path for path, _ in requests] == ["/health"]

    @pytest.mark.parametrize("body", [b'{"status":"degraded"}', b"<html>", b"", b'["x"]', b"\xff"])
    def test_any_200_counts(self, body: bytes, cli: str) -> None:
        with server(200, body) as (url, _):
            assert line_about("board", run("health_check", {"api_url": url}).stdout)[0] == "ok"

    @pytest.mark.parametrize("status", [500, 503, 401, 404])
    def test_other_answers_do_not(self, status: int, cli: str) -> None:
        with server(status) as (url, _):
            answer = run("health_check", {"api_url": url + "/"})
        assert answer.returncode == 1
        assert line_about("board", answer.stdout) == ("fail", f"{url}/ answers {status}")

    def test_a_redirect_is_not_followed_and_no_key_is_sent(self, cli: str) -> None:
        with server(200) as (other, seen), server(302, headers=(("Location", other),)) as (url, requests):
            answer = run("health_check", {"api_url": url}, HEADLESS_PM_API_KEY="board-key")
        assert line_about("board", answer.stdout) == ("fail", f"{url} answers 302")
        assert seen == []
        assert "board-key" not in str(requests)

    def test_a_board_that_is_down(self, cli: str, closed_port: int) -> None:
        answer = run("health_check", {}, HEADLESS_PM_API_URL=f"http://127.0.0.1:{closed_port}")
        assert answer.returncode == 1
        assert "cannot be reached" in line_about("board", answer.stdout)[1]

    def test_a_server_that_speaks_no_http(self, cli: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"

            def greet() -> None:
                with listener.accept()[0] as connection:
                    connection.sendall(b"SSH-2.0-x\r\n")

            thread = threading.Thread(target=greet)
            thread.start()
            answer = run("health_check", {"api_url": url})
            thread.join()
        assert answer.stderr == ""
        assert line_about("board", answer.stdout)[0] == "fail"

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:6969", "http://[", "http://x y"])
    def test_a_bad_address_is_said(self, url: str, cli: str) -> None:
        answer = run("health_check", {"api_url": url})
        assert line_about("board", answer.stdout)[0] == "fail"
        assert answer.stderr == ""

    def test_an_embedded_board_lives_with_the_runner(self, cli: str) -> None:
        assert line_about("board", run("health_check", HEADLESS_PM_API_URL="embedded").stdout)[0] == "ok"

    def test_too_little_memory(self, cli: str) -> None:
        answer = run("health_check", {"min_memory_mb": 10**9, "api_url": "embedded"})
        assert answer.returncode == 1
        assert line_about("memory", answer.stdout)[0] == "fail"

    def test_a_machine_that_pre_task_finds_unfit_is_not_healthy(self, cli: str) -> None:
        answer = run("health_check", {"min_disk_gb": 10**9, "api_url": "embedded"})
        assert answer.returncode == 1


@contextmanager
def agent_of(run_id: str) -> Iterator[subprocess.Popen[bytes]]:
    """A live process that carries a run's cookie, started by this one."""
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, "HPM_RUN_ID": run_id})
    try:
        wait_until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
class TestStrayAgents:
    RUN = "0badc0de"

    def record(self, **fields: object) -> Path:
        """A task record of the run, beside a guard that nobody holds; returns the guard's path."""
        locks = Path(os.environ["HEADLESS_PM_HOME"]) / "locks"
        locks.mkdir(parents=True)
        record = {"schema": 1, "run_id": self.RUN, "holder": "runner", **fields}
        (locks / "agent-dev_001.lock").write_text(json.dumps(record), encoding="utf-8")
        (locks / "agent-dev_001.guard").touch()
        return locks / "agent-dev_001.guard"

    def about(self, run_id: str = RUN) -> str:
        """The line about the run, if there is one; other tests' processes may be seen too."""
        data = {"api_url": "embedded", "min_disk_gb": 0, "min_memory_mb": 0}
        answer = run("health_check", data, HEADLESS_PM_CLAUDE_PATH="/bin/sh")
        assert answer.returncode == 0, answer.stdout
        return "".join(line for line in answer.stdout.splitlines() if run_id in line)

    def test_one_whose_runner_is_gone_is_reported_and_left_alone(self) -> None:
        self.record()
        with agent_of(self.RUN) as agent:
            line = self.about()
            assert (
                line
                == f"warn agents: the runner of {self.RUN} is gone, but not its processes {agent.pid} (sleep)"
            )
            assert agent.poll() is None

    def test_one_whose_runner_holds_its_guard_is_none(self) -> None:
        guard = self.record()
        with guard.open() as file, agent_of(self.RUN):
            fcntl.flock(file, fcntl.LOCK_EX)
            assert self.about() == ""

    def test_one_whose_script_lives_is_none(self) -> None:
        mine = {
            "holder": "process",
            "pid": os.getpid(),
            "pid_start": start_time(os.getpid()),
            "boot_id": boot_id(),
        }
        self.record(**mine)
        with agent_of(self.RUN):
            assert self.about() == ""

    def test_one_whose_script_is_gone_is_reported_whoever_has_its_number_now(self) -> None:
        self.record(holder="process", pid=os.getpid(), pid_start="1", boot_id=boot_id())
        with agent_of(self.RUN):
            assert "is gone" in self.about()

    def test_one_of_an_unrecorded_run_under_a_living_parent_is_none(self) -> None:
        with agent_of("unrecorded-run"):
            assert self.about("unrecorded-run") == ""

    def test_an_orphan_of_an_unrecorded_run_is_reported_where_its_adoption_shows(
        self, tmp_path: Path
    ) -> None:
        pid_file = tmp_path / "pid"
        script = f"sleep 600 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}"
        subprocess.run(["sh", "-c", script], env={**os.environ, "HPM_RUN_ID": "orphaned-run"}, check=True)
        pid = int(wait_until(lambda: pid_file.exists() and pid_file.read_text()))
        try:
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            adopted = parent == "1" or Path(f"/proc/{parent}/comm").read_text().strip() in (
                "systemd",
                "tini",
                "init",
            )
            assert bool(self.about("orphaned-run")) == adopted
        finally:
            os.kill(pid, 9)

    def test_torn_and_foreign_records_do_no_harm(self) -> None:
        guard = self.record()
        for number, content in enumerate((b"", b"{", b"[]", b'{"run_id": 7}', b"\xff\xfe")):
            (guard.parent / f"agent-x{number}.lock").write_bytes(content)
        with agent_of(self.RUN):
            assert "is gone" in self.about()
