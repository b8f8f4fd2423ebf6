"""Which tasks had a shared checkout one after the other, and where HEAD was as each turn began.

Kept in the state directory, where no agent writes: a reflog says nearly the same, but it can be switched off, and an
agent can write to it. A turn lasts until the next one begins, so nobody has to live to write its end.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError
from hpm_tools.state import files, quickjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.state.paths import StateDir

READ_LIMIT = 4 << 20
MOST = 1000
"""Turns kept of a checkout, the newest ones."""
KEPT_DAYS = 30.0
"""No run lasts longer than that."""


@dataclass(frozen=True, slots=True)
class Turn:
    """``task`` (TaskKey.to_json) had the checkout from ``at``, in seconds since the epoch; HEAD was ``head`` then."""

    task: str
    head: str | None
    at: float


class Turns:
    """The turns in the main checkout of the repository whose common git directory is ``common_dir``."""

    def __init__(self, state: StateDir, common_dir: str) -> None:
        self._state = state
        name = hashlib.sha256(os.fsencode(os.path.realpath(common_dir))).hexdigest()[:16]
        self._path = os.path.join(state.home, "moves", f"{name}.turns.json")

    def begin(self, task: str, head: str | None) -> None:
        """Write down, durably, that the turn of ``task`` begins; nothing where it has the newest turn anyway.

        The caller holds the checkout's guard. Raises CannotCreate, Held.
        """
        self._state.prepare(os.path.dirname(self._path))
        with files.Exclusive(self._path, create=True) as file:
            known = _parse(file.read(READ_LIMIT))
            if known and known[-1].task == task:
                return
            now = time.time()
            kept = [turn for turn in known if turn.at > now - KEPT_DAYS * 86400.0][-MOST + 1 :]
            turns = [asdict(turn) for turn in (*kept, Turn(task, head, now))]
            files.atomic_write(self._path, quickjson.dumps({"turns": turns}))

    def since(self, at: float) -> list[Turn]:
        """The turns that began after ``at``, oldest first."""
        return [turn for turn in self._read() if turn.at > at]

    def newest(self) -> Turn | None:
        """The turn that began last; None if nothing is known of any."""
        turns = self._read()
        return turns[-1] if turns else None

    def _read(self) -> Sequence[Turn]:
        try:
            return _parse(files.read_capped(self._path, READ_LIMIT) or b"")
        except HpmError:
            return []


def _parse(data: bytes) -> list[Turn]:
    """What can be read of ``data``; where nothing can, a checkout counts as its next task's alone, as it mostly is."""
    try:
        content = quickjson.loads(data or b"{}")
    except ValueError:
        return []
    rows = content.get("turns") if isinstance(content, dict) else None
    found = []
    for row in rows if isinstance(rows, list) else []:
        try:
            head = row["head"]
            found.append(Turn(str(row["task"]), None if head is None else str(head), float(row["at"])))
        except (TypeError, KeyError, ValueError):
            continue
    return found
