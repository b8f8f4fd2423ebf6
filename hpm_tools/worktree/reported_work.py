"""Whether a commit that is to be reported holds its task's work, told from the repository alone.

For a report that an earlier process left undone: the worktree may be detached or removed by then, and what the
record says of branch and commit may be damaged, or written by an agent with a shell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.names import is_branch
from hpm_tools.worktree import attribution, prepared
from hpm_tools.worktree.branches import HEADS, OWNER
from hpm_tools.worktree.task_key import TaskKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.own_work import OwnWork
    from hpm_tools.worktree.repository import Repository

COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
UNCHANGED = "no file differs from what the agent began with"


class ClaimedWork(NamedTuple):
    """What a record says of the work: ``known`` is what the worktree's set-up left (prepared.py).

    ``own_branch``: the runner made or chose the branch for this task. ``run_id``: of an agent that worked in the
    checkout itself with the marks of attribution.py, else None. ``beside``: what is the task's own where others had
    turns in that checkout, else None.
    """

    key: TaskKey
    branch: str | None
    base: str | None
    commit: str | None
    known: Mapping[str, str]
    own_branch: bool
    run_id: str | None
    beside: OwnWork | None = None


class Looked(NamedTuple):
    """``commit``: the one to report. ``objection``: why it does not show any work, or "". ``base``: where it began."""

    commit: str | None
    base: str | None
    objection: str = ""


def look(repository: Repository, claim: ClaimedWork) -> Looked:
    """Compare ``claim`` with the repository. Raises GitError and its kin where git cannot tell."""
    git, base, commit = repository.git, claim.base, claim.commit
    if claim.branch is not None:
        tip, objection = _tip(git, claim, claim.branch)
        if objection:
            return Looked(None, base, objection)
        commit = commit or tip
    for name in filter(None, (commit, base)):
        if not COMMIT_ID.fullmatch(name) or repository.tree(name) is None:
            return Looked(None, base, f"{name[:64]} is no commit of {repository.root}")
    if commit is None:
        return Looked(None, base, "it names neither a branch nor a commit")
    if claim.branch is not None and commit != tip and not _contains(git, tip, commit):
        return Looked(None, base, f"the commit {commit[:12]} is not on its branch {claim.branch}")
    if claim.own_branch and claim.branch is not None:
        base = _not_before(repository, claim, claim.branch)
    if claim.run_id:
        own = attribution.commits_of(repository.place.git_dir, claim.run_id, claim.key.id)
        theirs = claim.beside is not None and commit in claim.beside.others
        if theirs or (own is not None and commit not in own):
            return Looked(None, base, f"the commit {commit[:12]} was made by someone else")
    if claim.beside is not None:
        worked = bool(claim.beside.changed)
    else:
        worked = bool(prepared.committed(git, base, commit, claim.known))
    if not worked:
        return Looked(commit, base, UNCHANGED)
    return Looked(commit, base)


def _tip(git: Git, claim: ClaimedWork, branch: str) -> tuple[str, str]:
    """The branch's commit, and what speaks against taking it for this task's."""
    if not is_branch(branch):
        return "", "the name of its branch is none"
    head, owner = HEADS + branch, OWNER + branch
    # A pattern of for-each-ref may hold wildcards and matches what is below it, too: the names are compared.
    listed = git.text("for-each-ref", "--format=%(objectname) %(refname)", head, owner).splitlines()
    found = {name: oid for oid, _, name in (line.partition(" ") for line in listed)}
    if head not in found:
        return "", f"its branch {branch} is gone"
    if owner in found:
        whose = TaskKey.from_json(git.run("cat-file", "blob", found[owner], check=False).text)
        if whose is not None and not whose.same_as(claim.key):
            return "", f"the branch {branch} is task {whose.id}'s"
    elif claim.own_branch:
        return "", f"nothing says that the branch {branch} is this task's"
    return found[head], ""


def _not_before(repository: Repository, claim: ClaimedWork, branch: str) -> str | None:
    """The commit that the work began with: never one before the branch was made for the task."""
    begun = attribution.begun_at(repository.common_dir, f"{HEADS}{branch}", claim.key.id)
    if begun is None or begun == claim.base or repository.tree(begun) is None:
        return claim.base
    later = claim.base is not None and _contains(repository.git, claim.base, begun)
    return claim.base if later else begun


def _contains(git: Git, commit: str, other: str) -> bool:
    return git.run("merge-base", "--is-ancestor", other, commit, check=False).returncode == 0
