"""The campaign's agent: does what the task's description says for its n-th run, and writes down all it does.

{"runs": [[{"write": "a.txt"}, {"commit": "Add a"}, …], …], "outcomes": [{…}, …], "exits": [3, …]}: the last
entry of each repeats.
In the directory HPM_TEST_LOGS it leaves starts, ends, overlaps (another agent of the task lives), writes
(what must never be lost) and environ (what it was given).
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

LOGS = Path(os.environ["HPM_TEST_LOGS"])
LONGEST = 600.0


def note(name: str, *words: object) -> None:
    with open(LOGS / name, "a", encoding="utf-8") as file:
        file.write(" ".join(map(str, words)) + "\n")


def started(pid: int) -> str | None:
    """The start time of a living process, None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def starts() -> list[list[str]]:
    try:
        return [line.split() for line in (LOGS / "starts").read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


class Agent:
    def __init__(self) -> None:
        self.task = json.loads(Path(os.environ["HPM_TASK_FILE"]).read_text(encoding="utf-8"))
        self.script = json.loads(self.task["description"])
        self.pid = os.getpid()
        before = [row for row in starts() if row[3] == str(self.task["id"])]
        self.run = len(before) + 1
        note("starts", self.pid, started(self.pid), os.environ["HPM_RUN_ID"], self.task["id"], self.run)
        for pid, start, *_ in before:
            if started(int(pid)) == start:
                note("overlaps", f"run {self.run} of task {self.task['id']} began while {pid} lived")
        note("environ", *(f"{name}={value}" for name, value in os.environ.items()))

    def of_this_run(self, name: str) -> Any:
        listed = self.script.get(name) or [None]
        return listed[min(self.run, len(listed)) - 1]

    def work(self) -> int:
        for act in self.of_this_run("runs") or []:
            for name, value in act.items():
                getattr(self, name)(value)
        outcome = self.of_this_run("outcomes") or {"status": "done", "summary": "did \x1b[31mas told\x07"}
        Path(os.environ["HPM_OUTCOME_FILE"]).write_text(json.dumps(outcome), encoding="utf-8")
        note("ends", self.pid)
        return int(self.of_this_run("exits") or 0)

    def write(self, name: str) -> None:
        """A file of this run's own, so that no later run may rightly overwrite it."""
        path = Path(f"{name}.{self.run}")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"task {self.task['id']} run {self.run} process {self.pid}: {name}\n"
        path.write_text(text, encoding="utf-8")
        note("writes", self.task["id"], self.run, json.dumps([str(path.resolve()), text]))

    def commit(self, message: str) -> None:
        subprocess.run(["git", "add", "-A"], check=True)
        subprocess.run(["git", "commit", "-q", "-m", message], check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        note("commits", head.stdout.strip())

    def git(self, words: list[str]) -> None:
        subprocess.run(["git", *words], check=True)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def mute(self, code: int) -> None:
        """End without a word of how it went."""
        note("ends", self.pid)
        sys.exit(code)

    def ignore_term(self, _: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def steal(self, database: str) -> None:
        """The board hands the task to somebody else."""
        with closing(sqlite3.connect(database, timeout=30)) as board, board:
            board.execute("UPDATE tasks SET locked_by = 'other_001' WHERE id = ?", (self.task["id"],))

    def placeholder(self, name: str) -> None:
        """What the CLI's sandbox leaves when it is killed."""
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o444))

    def break_pointer(self, to: str) -> None:
        """The worktree no longer says whose it is; the main checkout, where a full disk leaves no worktree, has no pointer."""
        pointer = Path(".git")
        if pointer.is_file():
            pointer.write_text(f"gitdir: {to}\n", encoding="utf-8")

    def fill(self, ballast: str) -> None:
        """Leave no room on the disk of ``ballast``."""
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait_for(self, path: str) -> None:
        deadline = time.monotonic() + LONGEST
        while not Path(path).exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def linger(self, flag: str) -> None:
        """Once for each time that the file ``flag`` is put there: work on until somebody ends us."""
        try:
            os.rename(flag, f"{flag}.seen")
        except FileNotFoundError:
            return
        subprocess.Popen(["sleep", str(LONGEST)], start_new_session=True)
        time.sleep(LONGEST)


if __name__ == "__main__":
    sys.exit(Agent().work())
