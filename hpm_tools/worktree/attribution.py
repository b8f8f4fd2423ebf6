"""Telling an agent's moves of HEAD, and of branches, from a person's.

Git begins its reflog entries with GIT_REFLOG_ACTION where that is set. An agent that is started with
`environment` leaves its run's mark on every commit, reset and checkout; a person does not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hpm_tools.worktree.log_lines import log_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from hpm_tools.worktree.log_lines import LogLine

VARIABLE = "GIT_REFLOG_ACTION"
MARK = "hpm"
"""Our own git calls give reasons that begin so, too."""

FROM_HERE = re.compile(r"(fetch|pull)\b.* \.(git)?/? ")
"""`git fetch . mine:refs/remotes/origin/main`"""

LONGEST = 4 << 20
FETCHES = ("fetch", "pull", "clone", "remote", "update by push")
"""How git begins what it says of a remote branch that it learned of."""

BY_HAND = (
    *("commit", "merge", "pull", "rebase", "cherry-pick", "revert", "am", "reset", "fetch", "clone"),
    f"{MARK}:",
)
"""What people, and the runner, do to branches; `git branch -f` and `git update-ref` are not among it."""

LONGEST_ENTRY = 64 << 10


def environment(run_id: str) -> dict[str, str]:
    """Variables for the agent of ``run_id``; a Snapshot must then be taken with ``attributed=True``."""
    return {VARIABLE: f"{MARK} {run_id}"}


def position(git_dir: Path) -> int:
    """How long the reflog of HEAD is, in bytes."""
    try:
        return (git_dir / "logs" / "HEAD").stat().st_size
    except OSError:
        return 0


def _is_of(run_ids: Collection[str], reason: str) -> bool:
    """Whether the agent of one of ``run_ids``, or a runner, gave a reflog's entry its ``reason``."""
    return reason == MARK or reason.startswith((f"{MARK}:", *(f"{MARK} {run_id}" for run_id in run_ids)))


def strangers(git_dir: Path, since: int, run_ids: Collection[str]) -> list[str]:
    """What moved HEAD after ``position`` said ``since`` and was no agent of ``run_ids`` and no runner, as git describes it."""
    lines = log_lines(git_dir / "logs" / "HEAD", since, LONGEST)
    return [line.reason for line in lines if not _is_of(run_ids, line.reason) and not _stays(line)]


def _stays(line: LogLine) -> bool:
    """Whether a reset left HEAD where it was: `git stash push` ends with one (builtin/stash.c, do_push_stash)."""
    return line.old == line.new and line.reason.startswith("reset: ")


def values_since(
    git_dir: Path, since: int, start: str | None, run_ids: Collection[str] | None
) -> list[str] | None:
    """The commits that HEAD named one after the other since ``position`` said ``since``, from ``start`` on.

    None where its reflog does not account for them: it is missing or was cut, begins elsewhere than at ``start``, or has
    an entry of a stranger to ``run_ids``, if those are given.
    """
    if start is None or position(git_dir) < since or position(git_dir) == 0:
        return None
    values = [start]
    for line in log_lines(git_dir / "logs" / "HEAD", since, LONGEST):
        if line.old != values[-1] or (run_ids is not None and not _is_of(run_ids, line.reason)):
            return None
        values.append(line.new)
    return values


def commits_of(git_dir: Path, run_id: str, task_id: int, since: int = -LONGEST) -> list[str] | None:
    """The commits at which the run's agent, or its runner, put HEAD, oldest first, after ``position`` said ``since``.

    None without a reflog, which people can switch off.
    """
    lines = log_lines(git_dir / "logs" / "HEAD", since, LONGEST)
    own = (f"{MARK} {run_id}", f"{MARK}: task {task_id}:", f"{MARK}: task {task_id},")
    found = [line.new for line in lines if line.reason.startswith(own)]
    return list(dict.fromkeys(found)) if lines else None


def begun_at(common_dir: Path, ref: str, task_id: int) -> str | None:
    """The commit at which a runner made the branch ``ref`` for the task, by its reflog; None if that does not say."""
    for first in log_lines(common_dir / "logs" / ref, 0, LONGEST_ENTRY)[:1]:
        if first.reason == f"{MARK}: task {task_id}" and not first.old.strip("0"):
            return first.new or None
    return None


def checked_out(git_dir: Path, target: str) -> bool:
    """Whether the last that HEAD's reflog says is a checkout of ``target``, a branch's full name or a commit."""
    lines = log_lines(git_dir / "logs" / "HEAD", -LONGEST_ENTRY, LONGEST_ENTRY)
    if not lines:
        return False
    last = lines[-1]
    if last.reason.startswith(f"{MARK} "):
        return True  # git says no more of what an agent did; where nothing was checked out it does no harm
    said = last.reason.rpartition(" to ")[2] if last.reason.startswith("checkout: ") else None
    return said is not None and (said == target.removeprefix("refs/heads/") or target == last.new)


def explained(
    common_dir: Path, ref: str, old: str | None, new: str | None, *, by_agents: bool = False
) -> bool:
    """Whether the reflog of ``ref`` says that ordinary commands of a person, or of a runner, moved it from ``old`` to ``new``.

    Of a branch each step counts, for a commit holds what it was made on top of; a fetch says what the remote has, whatever
    was there; one from this very repository says nothing. ``by_agents``: what agents did by such commands counts, too.
    A hint, not proof: a reflog is a file that an agent can write to. `git update-ref` alone writes no reason.
    """
    log = log_lines(common_dir / "logs" / ref, -LONGEST_ENTRY, LONGEST_ENTRY)
    if ref == "HEAD":
        return _went_by_hand(log, (new or "").removeprefix("ref: "))
    is_branch = ref.startswith("refs/heads/")
    for line in reversed(log):
        allowed = (*(BY_HAND if is_branch else FETCHES), *((f"{MARK} ",) if by_agents else ()))
        if line.new != new or not line.reason.startswith(allowed) or FROM_HERE.search(line.reason):
            return False
        if not is_branch or line.old == old:
            return True
        new = line.old
    return False


def _went_by_hand(log: Sequence[LogLine], target: str) -> bool:
    """Whether HEAD's reflog says that a person, or a runner, put it on ``target``, a branch's full name or a commit."""
    if not target.startswith("refs/") and (not log or log[-1].new != target):
        return False  # detached: `git update-ref --no-deref HEAD` went on from there
    for line in reversed(log):
        reason = line.reason
        said = reason.rpartition(" to ")[2]
        if reason.startswith("checkout: "):
            return said == target.removeprefix("refs/heads/") or not target.startswith("refs/")
        if reason.startswith("Branch: renamed "):
            return said == target
        if not reason.startswith(BY_HAND):
            return False
    return False
