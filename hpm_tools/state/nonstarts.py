"""Remembers tasks whose agent never started, to tell a broken CLI from a bad task.

If the agent of the next task does not start either, the program is broken on this host (a bad update, for
example), and parking every task of the night would be wrong. There is one file per program; the runner that
sees the program start again removes it.
"""

from __future__ import annotations

import os

from hpm_tools.errors import HpmError
from hpm_tools.state import files, quickjson
from hpm_tools.state.paths import file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.state.paths import StateDir

_READ_LIMIT = 4096


class Nonstarts:
    """What this host knows of ``program``, the name of an executor."""

    def __init__(self, state: StateDir, program: str) -> None:
        self._state = state
        self._path = os.path.join(state.limits, file_name(program) + ".nonstart")

    def note(self, task: str) -> None:
        """The program began in none of the attempts at ``task``."""
        self._state.prepare(self._state.limits)
        files.atomic_write(self._path, quickjson.dumps({"task": task}))

    def besides(self, task: str) -> bool:
        """Whether the program failed to begin for another task than this one, and has not begun since."""
        try:
            found = quickjson.loads(files.read_capped(self._path, _READ_LIMIT) or b"null")
        except (ValueError, HpmError):
            return False
        return isinstance(found, dict) and found.get("task") not in (None, task)

    def forget(self) -> None:
        """The program has begun."""
        if os.path.lexists(self._path):
            try:
                files.remove(self._path)
            except FileNotFoundError:
                return
