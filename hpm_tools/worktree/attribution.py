"""Telling an agent's moves of HEAD from a person's in a checkout that both use.

Git begins its reflog entries with GIT_REFLOG_ACTION where that is set. An agent that is started with
`environment` leaves its run's mark on every commit, reset and checkout; a person does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree.git import decode
from hpm_tools.worktree.place import read_part

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "GIT_REFLOG_ACTION"
MARK = "hpm"
"""Our own git calls give reasons that begin so, too."""

LONGEST = 4 << 20
FETCHES = ("fetch", "pull", "clone", "remote", "update by push")
"""How git begins what it says of a remote branch that it learned of."""

BY_HAND = (
    MARK,
    "commit",
    "merge",
    "pull",
    "rebase",
    "cherry-pick",
    "revert",
    "am",
    "reset",
    "fetch",
    "branch:",
    "clone",
    "push",
    "initial pull",
)
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


def strangers(git_dir: Path, since: int) -> list[str]:
    """What moved HEAD after ``position`` said ``since`` and was not us, as git describes it."""
    lines = decode(read_part(git_dir / "logs" / "HEAD", since, LONGEST) or b"").splitlines()
    reasons = [line.partition("\t")[2] for line in lines]
    return [reason for reason in reasons if not reason.startswith(MARK)]


def values_since(git_dir: Path, since: int, start: str | None, *, marked: bool) -> list[str] | None:
    """The commits that HEAD named one after the other since ``position`` said ``since``, from ``start`` on.

    None where its reflog does not account for them: it is missing or was cut, begins elsewhere than at ``start``, or,
    if ``marked`` is asked for, has an entry of somebody who is no agent.
    """
    if start is None or position(git_dir) < since or position(git_dir) == 0:
        return None
    values = [start]
    for line in decode(read_part(git_dir / "logs" / "HEAD", since, LONGEST) or b"").splitlines():
        ids, _, reason = line.partition("\t")
        old, new = [*ids.split(" ", 2), "", ""][:2]
        if old != values[-1] or (marked and not reason.startswith(MARK)):
            return None
        values.append(new)
    return values


def put_by_others(git_dir: Path, commit: str, run_id: str, task_id: int) -> bool:
    """Whether HEAD's reflog says that others alone put HEAD at ``commit``: people, other runs, other tasks' runners.

    False also where there is no reflog, which people can switch off.
    """
    lines = decode(read_part(git_dir / "logs" / "HEAD", -LONGEST, LONGEST) or b"").splitlines()
    entries = [line.partition("\t") for line in lines]
    reasons = [reason for ids, _, reason in entries if ids.split(" ")[1:2] == [commit]]
    own = (f"{MARK} {run_id}", f"{MARK}: task {task_id}:", f"{MARK}: task {task_id},")
    return bool(lines) and not any(reason.startswith(own) for reason in reasons)


def begun_at(common_dir: Path, ref: str, task_id: int) -> str | None:
    """The commit at which a runner made the branch ``ref`` for the task, by its reflog; None if that does not say."""
    line, _, _ = decode(read_part(common_dir / "logs" / ref, 0, LONGEST_ENTRY) or b"").partition("\n")
    ids, _, reason = line.partition("\t")
    before, now = (*ids.split(" ")[:2], "", "")[:2]
    return now if reason == f"{MARK}: task {task_id}" and now and not before.strip("0") else None


def checked_out(git_dir: Path, target: str) -> bool:
    """Whether the last that HEAD's reflog says is a checkout of ``target``, a branch's full name or a commit."""
    lines = decode(read_part(git_dir / "logs" / "HEAD", -LONGEST_ENTRY, LONGEST_ENTRY) or b"").splitlines()
    ids, _, reason = lines[-1].partition("\t") if lines else ("", "", "")
    said = reason.rpartition(" to ")[2] if reason.startswith("checkout: ") else None
    return said is not None and (said == target.removeprefix("refs/heads/") or target in ids.split(" ")[1:2])


def explained(common_dir: Path, ref: str, old: str | None, new: str | None) -> bool:
    """Whether the reflog of ``ref`` says that ordinary commands of a person, or of a runner, moved it from ``old`` to ``new``.

    Of a branch each step counts, for a commit holds what it was made on top of; a fetch says what the remote has, whatever
    was there. A hint, not proof: a reflog is a file that an agent can write to. `git update-ref` alone writes no reason.
    """
    log = decode(read_part(common_dir / "logs" / ref, -LONGEST_ENTRY, LONGEST_ENTRY) or b"").splitlines()
    is_branch = ref.startswith("refs/heads/")
    for line in reversed(log):
        ids, _, reason = line.partition("\t")
        before, after = [*ids.split(" ", 2), "", ""][:2]
        if after != new or not reason.startswith(BY_HAND if is_branch else FETCHES):
            return False
        if not is_branch or before == old:
            return True
        new = before
    return False
