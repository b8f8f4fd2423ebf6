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


def fetched(common_dir: Path, ref: str) -> bool:
    """Whether a person's `git fetch`, `clone`, `push` or `remote` is what the reflog of ``ref`` says made it.

    A hint, not proof: a reflog is a file that an agent can write to.
    """
    first = decode(read_part(common_dir / "logs" / ref, 0, 4096) or b"").partition("\n")[0]
    return first.partition("\t")[2].startswith(FETCHES)
