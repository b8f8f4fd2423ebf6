"""The agent of a world: does what its task's description says for its n-th run, and keeps a ledger of it.

The description is a `Task` of world.py as JSON. In the directory HPM_TEST_LOGS it leaves its ledger, ``starts``,
``overlaps`` (another agent of its task or in its place lives), ``environ`` and, for ``meet``, flags.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.worlds import gitfiles
from tests.worlds.acts import ACTS
from tests.worlds.intruders import intruders
from tests.worlds.ledger import Ledger
from tests.worlds.outcomes import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = Path(os.environ.get("HPM_TEST_LOGS", "."))
LONGEST_MEETING = 300.0
LONGEST_GIT = 10.0
"""Seconds; git hangs on a FIFO where it expects a file."""


def note(name: str, *words: object) -> None:
    """Add a line to a log; one write, so that lines of several processes do not mix."""
    with open(LOGS / name, "ab", buffering=0) as file:
        file.write((" ".join(map(str, words)) + "\n").encode("utf-8", "surrogateescape"))


def started(pid: int) -> str | None:
    """The start time of a living process, None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def starts() -> list[list[str]]:
    """pid, start time, cookie, task, run and place of every agent that was started."""
    try:
        return [line.split(" ", 5) for line in (LOGS / "starts").read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def unfinished_files(place: str) -> Iterator[Path]:
    """What a git that was killed leaves in the repository: locks, and objects that it was about to write."""
    directory = Path(gitfiles.common_directory(place) or os.devnull)
    for pattern in ("**/*.lock", "objects/**/tmp_*"):
        yield from directory.glob(pattern)


class Agent:
    """One run. Acts find ``cwd``, ``run`` (1 for the first), ``task`` and what the methods give.

    ``world``: the directory that it may not leave, with the checkout ``main`` and somebody's files ``elsewhere``.
    ``home``: the branch that it began on, "" for none. ``label`` is in the names of what no other run makes.
    """

    def __init__(self) -> None:
        self.task: dict[str, Any] = json.loads(Path(os.environ["HPM_TASK_FILE"]).read_text(encoding="utf-8"))
        script = json.loads(self.task["description"])
        self.pid = os.getpid()
        self.cwd = os.getcwd()
        number = str(self.task["id"])
        before = starts()
        self.run = sum(row[3] == number for row in before) + 1
        note("starts", self.pid, started(self.pid), os.environ["HPM_RUN_ID"], number, self.run, self.cwd)
        for pid, start, _, other, _, place in before:
            if (other == number or place == self.cwd) and started(int(pid)) == start:
                note("overlaps", f"run {self.run} of task {number} began in {self.cwd} while {pid} lived")
        mine = {row[2] for row in before if row[3] == number or row[5] == self.cwd}
        for stranger, run_id in intruders(mine, os.environ["HPM_RUN_ID"]):
            note("overlaps", f"run {self.run} of task {number} began while {stranger} of {run_id} lived")
        note("environ", *(f"{name}={value}" for name, value in os.environ.items()))
        os.environ["GNUPGHOME"] = str(LOGS / "gnupg")  # where a commit is to be signed, gpg makes files
        runs = script["runs"]
        self.script = runs[min(self.run, len(runs)) - 1]
        self.written = 0
        self.world = LOGS.parent
        self.main = self.world / "repo"
        self.elsewhere = self.world / "elsewhere"
        self.label = f"{number}-{self.run}"
        self.home = self.git("symbolic-ref", "--short", "HEAD").stdout.decode("utf-8", "replace").strip()
        self.ledger = Ledger(
            LOGS,
            "agent",
            [self.cwd],
            [str(self.main)],
            task=int(number),
            run=self.run,
            cwd=self.cwd,
            outcome=self.script.get("outcome", ["done", {}])[0],
            runner=os.getppid(),
        )

    def work(self) -> int:
        """Perform the acts; the exit code."""
        for name, facts in map(self.choice, self.script.get("acts", [])):
            if name == "meet":  # the agent does nothing, and what others do meanwhile is not its doing
                ACTS[name].does(self, **facts)
                self.ledger.look()
                note("acts", name)
                continue
            self.ledger.begin(name)
            try:
                ACTS[name].does(self, **facts)
            except OSError as error:  # what an earlier act left in the way
                note("failed", name, repr(error))
            else:
                note("acts", name)
            self.ledger.end(name)
        name, facts = self.choice(self.script.get("outcome", ["done"]))
        note("outcomes", name)
        return OUTCOMES[name].does(self, **facts)

    @staticmethod
    def choice(given: list[Any]) -> tuple[str, dict[str, Any]]:
        return given[0], given[1] if len(given) > 1 else {}

    def text(self, lines: int = 1) -> str:
        """Text that nobody else writes, so that it can be found again."""
        self.written += 1
        mine = f"task {self.task['id']} run {self.run} process {self.pid} text {self.written}"
        return "".join(f"{mine} line {number}\n" for number in range(lines))

    @property
    def is_in_checkout(self) -> bool:
        """Whether it works in the main checkout, which it must not take away: nothing could be judged then."""
        return os.path.realpath(self.cwd) == os.path.realpath(self.main)

    def git(
        self, *words: str, cwd: str | None = None, text: str | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git; an agent goes on when that fails, and ends it when it hangs. ``text`` is its input."""
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if text is None else {"input": text.encode()}
        command = ["git", *words]
        try:
            done = subprocess.run(
                command, cwd=cwd, capture_output=True, check=False, timeout=LONGEST_GIT, **given
            )
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(command, 124, b"", b"it hung")
            for path in unfinished_files(cwd or self.cwd):
                note("left", path)
        if done.returncode != 0:
            note("failed", *words, ascii(done.stderr.decode("utf-8", "replace")[-300:]))
        return done

    def said(self, *words: str, text: str | None = None) -> str:
        """What git prints, without the line's end; OSError if it fails."""
        done = self.git(*words, text=text)
        if done.returncode != 0:
            raise OSError(f"git {words[0]} ended with {done.returncode}: {done.stderr[:200]!r}")
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def commit_file(self, path: str, message: str, cwd: str | None = None) -> None:
        """Write a file of its own and commit it alone."""
        self.write(path, cwd=cwd)
        self.git("add", "-f", "--", path, cwd=cwd)
        self.git("commit", "-q", "-m", f"{message} {self.label}", "--", path, cwd=cwd)

    def write(self, path: str, text: str | None = None, cwd: str | None = None) -> None:
        """Write a file, as editors do: a new one in the place of the old, so that no link's target changes."""
        path = os.path.join(cwd or "", path)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if os.path.lexists(path) and not os.path.isdir(path):
            os.unlink(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.text() if text is None else text)

    def watch(self, root: str | Path) -> None:
        """The ledger looks at this directory or file, too: call it before anything is written there."""
        self.ledger.watch(os.path.abspath(root))

    def spare(self, directory: str | Path) -> None:
        """Nobody promises to keep what will be in this directory."""
        self.ledger.spare(os.path.abspath(directory))

    def note_spawned(self) -> None:
        """Write down this process, a child of the agent's, with the runner that has to end it."""
        note("spawned", os.getpid(), started(os.getpid()), self.ledger.facts["runner"])

    def note(self, name: str, *words: object) -> None:
        note(name, *words)

    def meet(self, name: str) -> None:
        """Say that the place ``name`` is reached, and for which task, and wait until somebody lets this go on."""
        told = LOGS / f"meeting-{name}.new"
        told.write_text(str(self.task["id"]), encoding="ascii")
        told.rename(LOGS / f"meet-{name}")
        deadline = time.monotonic() + LONGEST_MEETING
        while not (LOGS / f"go-{name}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(Agent().work())
