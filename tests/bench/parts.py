"""What one task cannot do without, each part done alone and as plainly as possible.

The lists are the contract's, not the code's: a request, a git command or a record more than these shows up
as overhead.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from tests.bench.lab import PACKAGE
from tests.support.board_process import API

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.bench.lab import Place
    from tests.support.board_process import BoardUnderTest

RECORD = b"x" * 4096
RECORDS = 13
"""The intent to lock, one for each of eleven steps done, the agent's process, and the record's end."""

Argv = tuple[str, ...]
STATUS: Argv = ("git", "status", "--porcelain=v2", "--branch", "-z", "-uall")
REFS: Argv = ("git", "for-each-ref", "--format=%(objectname) %(refname)")
EVIDENCE: tuple[Argv, ...] = (STATUS, REFS, STATUS, REFS)
"""How things stand before the agent and after it: what every verdict rests on."""

WORKTREE: tuple[Argv, ...] = (
    ("git", "worktree", "add", "-q", "-B", "feature/part", ".worktrees/part", "main"),
    ("git", "update-ref", "refs/hpm/owner/part", "HEAD"),
    ("git", "-C", ".worktrees/part", "checkout", "-q", "--detach"),
    ("git", "worktree", "remove", ".worktrees/part"),
)


class Connection:
    """One kept connection to a board, on which requests follow each other."""

    def __init__(self, board: BoardUnderTest) -> None:
        place = urlsplit(board.url)
        self._headers = {"X-API-Key": board.key, "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ok(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON of a request that must be answered 200."""
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, f"{API}{path}?{urlencode(query)}", data, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {said!r}")
        return json.loads(said)


class Parts:
    """Measures the parts of a task at ``place``, again at each ``measure``; medians of all in ``sums``."""

    def __init__(self, place: Place, feature: int) -> None:
        self._place = place
        self._feature = feature
        self.taken: dict[str, list[float]] = {}

    def measure(self) -> None:
        for name, act in self._acts().items():
            if name == "board":
                # A task of another agent's, which the runner never sees.
                self._task = self._place.board.add_task(feature_id=self._feature, target_role="architect")
            began = time.perf_counter()
            act()
            self.taken.setdefault(name, []).append(time.perf_counter() - began)

    def median(self, name: str) -> float:
        return statistics.median(self.taken[name])

    def sum(self, *, major: bool) -> float:
        """Seconds that one task's parts take; without the agent, which is not the runner's."""
        names = ["board", "hooks", "evidence", "records", *(["worktree"] if major else [])]
        return sum(map(self.median, names))

    def _acts(self) -> Mapping[str, Callable[[], None]]:
        return {
            "board": self._board,
            "hooks": self._hooks,
            "evidence": lambda: self._run(*EVIDENCE),
            "worktree": lambda: self._run(*WORKTREE),
            "records": self._records,
            "agent": self._agent,
        }

    def _board(self) -> None:
        """Next, register, lock, read back, under_work, read back, report: the least that a task needs."""
        number, agent = self._task["id"], "part_001"
        listing = {"role": "architect"}
        with Connection(self._place.board) as board:
            board.ok("GET", "/tasks/next", role="architect", level="senior", timeout=0)
            board.ok("POST", "/register", {"agent_id": agent, "role": "architect", "level": "senior"})
            board.ok("POST", f"/tasks/{number}/lock", agent_id=agent)
            board.ok("GET", "/tasks", status="created", **listing)
            board.ok("PUT", f"/tasks/{number}/status", {"status": "under_work"}, agent_id=agent)
            board.ok("GET", "/tasks", status="under_work", **listing)
            board.ok("PUT", f"/tasks/{number}/status", {"status": "dev_done", "notes": "n"}, agent_id=agent)

    def _hooks(self) -> None:
        """The two shipped hooks, as a shell would start them."""
        for name in ("pre_task", "post_task"):
            hook = PACKAGE / "hooks" / f"{name}.py"
            data = json.dumps({"hook": name, "task_id": 1, "repo": str(self._place.repo), "success": True})
            subprocess.run(
                [sys.executable, "-B", str(hook)],
                input=data.encode(),
                cwd=self._place.repo,
                env=self._place.environment,
                capture_output=True,
                check=True,
            )

    def _run(self, *commands: Argv) -> None:
        for argv in commands:
            subprocess.run(
                argv, cwd=self._place.repo, env=self._place.environment, capture_output=True, check=True
            )

    def _records(self) -> None:
        """So many replacements of a small file that survive a power cut."""
        directory = self._place.state
        for _ in range(RECORDS):
            self._replace(directory / "part", directory / ".part.tmp")

    def _replace(self, path: Path, temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(RECORD)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def _agent(self) -> None:
        outcome = self._place.directory / "outcome"
        subprocess.run(
            [str(self._place.agent)],
            env={**self._place.environment, "HPM_OUTCOME_FILE": str(outcome)},
            check=True,
        )
