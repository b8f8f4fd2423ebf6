"""Where a checkout's HEAD stands after an agent, and whether its task's work may be committed there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.text import one_line
from hpm_tools.worktree import attribution, reachability
from hpm_tools.worktree.branches import HEADS

if TYPE_CHECKING:
    from hpm_tools.worktree.evidence import Snapshot
    from hpm_tools.worktree.git import Git
    from hpm_tools.worktree.status import Status

MOST_COMMITS = 1000


class Standing(NamedTuple):
    """``descends``: nothing that HEAD had was taken off it. ``moved``: why nothing may be committed here, or
    None. ``home``: how HEAD was put back on the task's branch, or None."""

    commits: list[str]
    descends: bool
    moved: str | None = None
    home: str | None = None


def judge(git: Git, snapshot: Snapshot, found: Status, companions: frozenset[str]) -> Standing:
    """Compare HEAD with the snapshot's.

    In a task's own worktree only its agent moves HEAD: where it made a branch of its own, the task's
    branch is moved on to that work. In a checkout that people use, a move that cannot be the agent's
    means that nothing may be committed; ``companions`` are the runs that worked there since, one at a time, as while
    the snapshot's runner was dead.
    """
    base, head = snapshot.head, found.head
    commits, descends = commits_between(git, base, head)
    unfinished = reachability.in_progress(git.place.git_dir)
    if unfinished:
        return Standing(commits, descends, f"a {unfinished} was left unfinished")
    if git.place.linked and snapshot.branch is None:
        return Standing(commits, descends)
    stranger = _stranger(git, snapshot, companions) or _past_the_checkout(git, snapshot, found)
    if stranger:
        return Standing(commits, descends, f"HEAD was moved by someone else ({stranger})")
    own = git.place.linked or snapshot.attributed
    if found.branch != snapshot.branch:
        was, now = snapshot.branch or "a commit", found.branch or "a commit"
        if own and head is not None and snapshot.branch is not None and _bring_home(git, snapshot, found):
            return Standing(
                commits,
                descends,
                home=f"the agent switched from {was} to {now}; undone: {was} has its commits",
            )
        return Standing(commits, descends, f"the checkout was switched from {was} to {now}")
    if head is None and base is not None:
        return Standing(commits, descends, f"the branch {snapshot.branch} was removed")
    if not descends and not own:
        return Standing(
            commits, descends, f"{snapshot.branch or 'HEAD'} was moved away from {(base or '')[:12]}"
        )
    return Standing(commits, descends)


def commits_between(git: Git, base: str | None, head: str | None) -> tuple[list[str], bool]:
    """The commits that HEAD has and ``base`` has not, oldest first, and whether nothing of ``base`` is lost."""
    if head is None or head == base:
        return [], True
    limit = f"--max-count={MOST_COMMITS}"
    if base is None:
        return git.text("rev-list", "--topo-order", limit, head).splitlines()[::-1], True
    compared = git.run("rev-list", "--topo-order", "--left-right", limit, f"{base}...{head}", check=False)
    if compared.returncode != 0:
        return [], False  # the commit that it began with is gone for good
    listed = compared.text.splitlines()
    return [line[1:] for line in listed if line[0] == ">"][::-1], not any(line[0] == "<" for line in listed)


def _stranger(git: Git, snapshot: Snapshot, companions: frozenset[str]) -> str | None:
    if git.place.linked or not snapshot.attributed:
        return None
    reasons = attribution.strangers(git.place.git_dir, snapshot.reflog, companions | {snapshot.run_id})
    return one_line(reasons[0], 80) if reasons else None


def _past_the_checkout(git: Git, snapshot: Snapshot, found: Status) -> str | None:
    """How the branch of a shared checkout came where no command in that checkout put it.

    Git writes to the reflog of the HEAD of the worktree that it runs in, and of no other one (refs.c, "symref").
    """
    if git.place.linked or not snapshot.attributed or found.branch != snapshot.branch:
        return None
    values = attribution.values_since(git.place.git_dir, snapshot.reflog, snapshot.head, None)
    return "past this checkout" if values is not None and values[-1] != found.head else None


def _bring_home(git: Git, snapshot: Snapshot, found: Status) -> bool:
    """Move the task's branch on to HEAD, which must contain it, and put HEAD on it; False if it does not."""
    ref = f"{HEADS}{snapshot.branch}"
    now = git.text("for-each-ref", "--format=%(objectname) %(worktreepath)", ref).strip()
    if " " in now or found.head is None:
        return False
    if now and git.run("merge-base", "--is-ancestor", now, found.head, check=False).returncode != 0:
        return False
    args = ("update-ref", "-m", "hpm: the agent's work", ref, found.head, now or "0" * len(found.head))
    if git.run(*args, check=False).returncode != 0:
        return False  # its name is taken: `a/b` cannot be beside `a`
    git.run("symbolic-ref", "-m", "hpm: back on the task's branch", "HEAD", ref)
    return True
