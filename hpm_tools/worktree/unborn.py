"""Why a checkout's HEAD leads to no commit: nothing was committed yet, or its branch was deleted; and the way out."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.worktree import refs
from hpm_tools.worktree.log_lines import log_lines

if TYPE_CHECKING:
    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.repository import Repository

MOST_READ = 64 << 10


class Unborn(NamedTuple):
    """``what`` goes on after the checkout's path; ``way_out`` is what to do about it."""

    what: str
    way_out: str


def explain(repository: Repository) -> Unborn:
    """Say it of the main checkout of ``repository``, which has no commit."""
    git = repository.git
    ref = refs.main_head(git).get(refs.MAIN_HEAD, "").removeprefix(refs.SYMBOLIC)
    if not ref.startswith(refs.HEADS) or not git.text("rev-list", "--max-count=1", "--all", "--reflog"):
        return Unborn("has no commit yet", "commit something first")
    what = f"is on the branch {ref.removeprefix(refs.HEADS)}, which is not there any more"
    commit = _last_of(git, ref)
    if commit is None:
        branches = shlex.join(["git", "-C", str(repository.root), "branch", "--all"])
        return Unborn(what, f"check out a branch that is there: {branches} lists them")
    make_again = ["git", "-C", str(repository.root), "update-ref", ref, commit]
    return Unborn(what, f"to make it again where it was last: {shlex.join(make_again)}")


def _last_of(git: Git, ref: str) -> str | None:
    """The newest commit at which a run, the reflog of HEAD or the remote has the branch ``ref``."""
    branch = ref.removeprefix(refs.HEADS)
    patterns = (f"{refs.BEFORE}*/heads/{branch}", f"{refs.REMOTES}origin/{branch}")
    found = git.text("for-each-ref", "--format=%(objectname)", *patterns).split()
    lines = log_lines(git.place.common_dir / "logs" / "HEAD", -MOST_READ, MOST_READ)
    # The deletion itself may be logged, with an id of zeros.
    found += next(([oid] for line in reversed(lines) for oid in (line.new, line.old) if oid.strip("0")), [])
    if not found:
        return None
    args = ("rev-list", "--no-walk=sorted", "--max-count=1", "--ignore-missing", *found)
    return git.run(*args, check=False).text or None
