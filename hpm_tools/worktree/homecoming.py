"""Bringing home what strays.py found: onto the task's branch, into a salvage, back into the main checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import filters
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git
from hpm_tools.worktree.salvage import Extra, save, save_stored
from hpm_tools.worktree.specials import Unsound
from hpm_tools.worktree.status import Status, take_status
from hpm_tools.worktree.stored import holds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.worktree.place import Place
    from hpm_tools.worktree.strays import Branch, Stash, Strays


def only_branch(git: Git, found: Strays) -> Branch | None:
    """The branch that holds all the work that was found, and contains the checkout's HEAD; None if there is none."""
    branches = [branch for branch in found.branches if branch.work]
    if not branches or len(found.work) != len(branches):
        return None
    tops = git.text("merge-base", "--independent", *(branch.commit for branch in branches)).split()
    top = next((branch for branch in branches if [branch.commit] == tops), None)
    if top is None or git.run("merge-base", "--is-ancestor", "HEAD", top.commit, check=False).returncode != 0:
        return None
    return top


def fast_forward(git: Git, branch: Branch) -> bool:
    """Move the checkout, and the branch that it is on, forward to ``branch``; False if git will not."""
    args = ("merge", "--ff-only", "--no-autostash", "--quiet", branch.commit)
    return git.run(*args, timeout=CHECKOUT_TIMEOUT, check=False).returncode == 0


def keep_stash(git: Git, found: Stash, *, agent_id: str, task_id: int) -> str:
    """A salvage ref of a stash entry, which `hpm worktree.restore` brings back; the entry stays."""
    status = Status(head=found.base, branch=found.branch)
    return save_stored(git, status, found.entries, Extra([found.commit]), agent_id=agent_id, task_id=task_id)


def keep_commits(
    git: Git, commits: Sequence[str], head: str | None, *, agent_id: str, task_id: int
) -> str | None:
    """A salvage ref that leads to ``commits``, which are on no branch."""
    return save(git, Status(head=head), Extra(commits), agent_id=agent_id, task_id=task_id)


def give_back(checkout: Place, found: Stash) -> bool:
    """Put what was stashed in the main checkout back there; whether all of it is there now. The entry stays.

    Only where that is safe beyond doubt: HEAD is the commit that it was made on, and none of its paths has been
    touched since. So nothing of anybody's can be overwritten, and a second call does nothing.
    """
    git = Git(checkout)
    try:
        filters.refuse_unsound(git)
    except Unsound:
        return False
    if holds(git, found.entries):
        return True
    status = take_status(git)
    if status.head != found.base or set(status.dirty) & set(found.entries):
        return False
    args = ("stash", "apply", "--index", "--quiet", found.commit)
    applied = git.run(*args, timeout=CHECKOUT_TIMEOUT, check=False)
    return applied.returncode == 0 and holds(git, found.entries)
