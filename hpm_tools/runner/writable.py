"""Whether a runner can write where it will: by writing there, for modes and owners say too little.

Root passes every mode, and a disk that is mounted read-only shows in none (access(2) knows both, but not a full disk
or a quota). A directory that is not there yet is tried at the one that it will be made in.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.runner.toolbox import Toolbox

STATE_HINT = "make it writable, or set HEADLESS_PM_HOME to another directory"
CLAUDE_HINT = "make it writable, or set CLAUDE_CONFIG_DIR to another directory (and log in there)"
WORKTREE_HINT = "make it writable, or set worktree_base to another directory"
GIT_HINT = "agents commit there: make it writable, or give the runners a clone of their own"
TEMPORARY_HINT = "make it writable, or set TMPDIR to another directory"


@dataclass(frozen=True, slots=True)
class Unwritable:
    """``what`` is at ``path`` and cannot be written, for the reason ``why``."""

    what: str
    path: str
    why: str
    hint: str


def unwritable(tools: Toolbox) -> list[Unwritable]:
    """The places of a runner that cannot be written; each is tried."""
    found = []
    for what, path, hint in _places(tools):
        why = refusal(path)
        if why is not None:
            found.append(Unwritable(what, path, why, hint))
    return found


# no failpoint: a file of a moment that nothing reads
def refusal(path: str) -> str | None:
    """Why no file can be made in the directory ``path`` (or where it will be made); None if one was."""
    while not os.path.isdir(path):
        if os.path.lexists(path):
            return f"{path} is no directory"
        path = os.path.dirname(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=".hpm-probe-", dir=path)
        try:
            os.write(descriptor, b"hpm")
        finally:
            os.close(descriptor)
            os.unlink(name)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _places(tools: Toolbox) -> Iterator[tuple[str, str, str]]:
    state = tools.state
    yield "state directory", state.home, STATE_HINT
    for part in (state.locks, state.tasks, state.runs, state.limits, state.spending):
        if os.path.isdir(part):
            yield "state directory", part, STATE_HINT
    yield "temporary directory", os.environ.get("TMPDIR") or tempfile.gettempdir(), TEMPORARY_HINT
    if tools.config.executor == "claude":
        home = os.environ.get("HOME") or os.path.expanduser("~")
        own = os.environ.get("CLAUDE_CONFIG_DIR")
        yield "the Claude CLI's directory", own or os.path.join(home, ".claude"), CLAUDE_HINT
        if not own:  # ~/.claude.json is replaced, so the directory around it must be writable, too
            yield "home directory", home, CLAUDE_HINT
    if tools.config.repo is not None:
        yield "worktree directory", str(tools.worktrees.base), WORKTREE_HINT
        yield "git directory", str(tools.repository.common_dir / "objects"), GIT_HINT
