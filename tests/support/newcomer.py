"""A new user's place: a home with nothing in it but this project, and a world that answers what pages name.

`git@example.com:you/project.git` can be cloned, the board knows the key `your-key` and has tasks 11 to 13, not yet
offered, and the Claude CLI, the real one, talks to a scripted endpoint. The agent of task 13 is blocked.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.fixtures_claude import bundled_cli
from tests.support.fixtures_desk import COMMIT, KEY
from tests.support.frontends import BIN, PROJECT
from tests.support.project_files import project_files
from tests.support.repos import make_repo
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.board_process import BoardUnderTest
    from tests.support.messages_endpoint import MessagesEndpoint

BOARD_KEY = "your-key"
WRITE = {"write": {"path": "hello.txt", "content": "hello from ${cwd}\n"}}
"""A change in each place that an agent works in."""
NEEDS_A_DATABASE = "Load the figures"
BLOCKED = {"outcome": {"status": "blocked", "summary": "there is no database"}}
SYSTEM_PATH = f"{Path(str(shutil.which('git'))).parent}:/usr/local/bin:/usr/bin:/bin"
WITHIN = 600.0
GITCONFIG = """[user]
\tname = You
\temail = you@example.com
[url "{upstream}/"]
\tinsteadOf = git@example.com:
"""
# What a terminal would have kept for the next block is kept in files.
TERMINAL = """
. "$HPM_TERMINAL/exported"
cd "$(cat "$HPM_TERMINAL/directory")"
trap 'code=$?; export -p >"$HPM_TERMINAL/exported"; pwd >"$HPM_TERMINAL/directory"; exit $code' EXIT
set -euo pipefail
"""


class Newcomer:
    """``run`` is the user's one terminal: variables and the directory stay from block to block.

    ``installed``: README was followed so far that `hpm` and `invoke` are on the PATH.
    """

    def __init__(
        self, directory: Path, board: BoardUnderTest, endpoint: MessagesEndpoint, *, installed: bool
    ) -> None:
        self.home = directory / "you"
        self.board = board
        self._task = 0
        self._terminal = directory / "terminal"
        self._terminal.mkdir()
        (self._terminal / "exported").touch()
        self.home.mkdir(mode=0o700)
        make_repo(directory / "upstream" / "you" / "project.git")
        text = GITCONFIG.format(upstream=directory / "upstream")
        (self.home / ".gitconfig").write_text(text, encoding="utf-8")
        self.project = self.home / "hpm-tools"
        copy_of_this_project(self.project)
        (self._terminal / "directory").write_text(str(self.project), encoding="utf-8")
        (self.home / ".local" / "bin").mkdir(parents=True)
        (self.home / ".local" / "bin" / "claude").symlink_to(bundled_cli())
        if installed:
            for name in ("hpm", "invoke"):
                (self.home / ".local" / "bin" / name).symlink_to(self.project / ".venv" / "bin" / name)
        endpoint.play(
            {"rules": [{"match": NEEDS_A_DATABASE, "steps": [BLOCKED]}, {"steps": [WRITE, COMMIT]}]}
        )
        self._environment = {
            "PATH": f"{self.home}/.local/bin:{SYSTEM_PATH}",
            "HOME": str(self.home),
            "TMPDIR": os.environ["TMPDIR"],
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "HPM_TERMINAL": str(self._terminal),
            "HEADLESS_PM_API_URL": board.url,
            "HEADLESS_PM_API_KEY": BOARD_KEY,
            "GIT_CONFIG_NOSYSTEM": "1",
            "ANTHROPIC_BASE_URL": endpoint.url,
            "CLAUDE_CODE_MAX_RETRIES": "0",
            **KEY,
        }
        board.sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('tasks', 10)")
        for title in ("Add a greeting", "Say hello", NEEDS_A_DATABASE):
            board.add_task("pending", title=title, complexity="major")

    def run(self, text: str, *, shell: str = "bash", until: str = "") -> tuple[int, str]:
        """The exit code and the output of a block; with ``until`` there is a task, and it is ended once that is so."""
        for number in re.findall(r"(?:hpm|invoke) lock .*--task-id (\d+)", text):
            # Until now it was kept from the runners of other blocks.
            self.board.put(int(number), self.board.pm(), "created")
        if until == "a task is reported":
            self._task = int(self.board.add_task(title="Add a greeting", complexity="major")["id"])
        if shell == "python":
            script = self._terminal / "script.py"
            script.write_text(text, encoding="utf-8")
            shell, text = "bash", f"{shlex.join([f'{self.project}/.venv/bin/python', str(script)])}\n"
        if shell == "bash":
            argv, text = ["bash", "-s"], TERMINAL + text
        else:
            argv = [shell, "-c", text]
            text = ""
        return self._finished(argv, self._environment, text, until)

    def run_as_cron_does(self, command: str) -> tuple[int, str]:
        return self._finished(
            ["/bin/sh", "-c", command], {**self._environment, "PATH": SYSTEM_PATH}, "", "", cwd=self.home
        )

    @contextmanager
    def beside(self, text: str) -> Iterator[subprocess.Popen[bytes]]:
        """The text in a second terminal, whose processes are ended with the block."""
        with _started(["bash", "-s"], self.home, self._environment, self._terminal / "beside") as process:
            assert process.stdin is not None
            try:
                process.stdin.write(text.encode())
                process.stdin.close()
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                wait_until(lambda: not lives(process), WITHIN, "the end of the second terminal")

    def _finished(
        self, argv: list[str], environment: dict[str, str], text: str, until: str, cwd: Path | None = None
    ) -> tuple[int, str]:
        log = self._terminal / "output"
        with _started(argv, cwd or self.project, environment, log) as process:
            assert process.stdin is not None
            try:
                if until:
                    process.stdin.write(text.encode())
                    process.stdin.close()
                    wait_until(lambda: self._is_so(until, log) or not lives(process), WITHIN, until)
                else:
                    process.communicate(text.encode(), timeout=WITHIN)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM if until else signal.SIGKILL)
                wait_until(lambda: not lives(process), WITHIN, "the end of all that the block started")
            code = process.wait(WITHIN)
        told = log.read_text(encoding="utf-8", errors="replace")
        return (0 if until and self._is_so(until, log) else code), told

    def _is_so(self, what: str, log: Path) -> bool:
        match what:
            case "a task is reported":
                return self._tells("dev_done")
            case "a task is checked":
                return self._tells("qa_done")
            case "it serves":
                return "http://" in log.read_text(encoding="utf-8", errors="replace")
        raise ValueError(f"nothing is known of {what!r}")

    def _tells(self, status: str) -> bool:
        """Whether the task has the status, and its runner has cleaned up after it."""
        records = (self.home / ".headless-pm" / "locks").glob("agent-*.lock")
        return bool(self.board.task(self._task)["status"] == status and not list(records))


def _started(argv: list[str], cwd: Path, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def lives(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process lives, or anything that it started in its group."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def copy_of_this_project(to: Path) -> None:
    """The files of this project, ready as ./inv leaves it, with the packages of our own .venv."""
    copy_files_of_this_project(to)
    venv = to / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = (venv / "lib").glob("python*/site-packages")
    theirs = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (packages / "sandbox.pth").write_text(f"{to}\n{theirs}\n", encoding="utf-8")
    for name in ("hpm", "invoke"):
        program = (BIN / name).read_text(encoding="utf-8").partition("\n")[2]
        (venv / "bin" / name).write_text(f"#!{venv}/bin/python\n{program}", encoding="utf-8")
        (venv / "bin" / name).chmod(0o755)
    with (to / "pyproject.toml").open("rb") as file:
        cksum = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True).stdout
    stamp = f"dev {cksum.strip().replace(' ', '-')} {to}\n"
    (venv / "inv-stamp").write_text(stamp, encoding="utf-8")


def copy_files_of_this_project(to: Path) -> None:
    """What git has or would have of this project."""
    for name in project_files():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, to / name)
