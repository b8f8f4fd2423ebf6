"""Commits of an agent's that only a tag, a remote's branch or another ref that is no branch leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.worktree import refs
from hpm_tools.worktree.git import Git, decode
from hpm_tools.worktree.stored import since, there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.worktree.evidence import Snapshot

ON_BRANCH = re.compile(r"(?:WIP on|On) (\S+): ")
MOST = 20
"""Stash entries, branches and commits that are looked at, each; the newest stash entries come first."""


@dataclass(frozen=True, slots=True)
class HeldCommit:
    """A commit of the agent's that only a tag, a remote's branch or another ref that is no branch leads to."""

    name: str
    commit: str

    def __str__(self) -> str:
        return f"the commit {self.commit[:12]}, which is on no branch but {self.name}"


def find_held(here: Git, own: set[str], snapshot: Snapshot, known: set[str]) -> Iterator[HeldCommit]:
    """Commits of the agent's, whose content is not there, that it gave a ref which is no branch of this repository."""
    before = snapshot.all_refs()
    if before is None:
        return
    fields = "%(objectname)%00%(*objectname)%00%(parent)%00%(contents:subject)%00%(refname)"
    for line in decode(here.run("for-each-ref", f"--format={fields}").out).splitlines():
        oid, peeled, parents, subject, name = line.split("\0")
        if name.startswith((refs.HEADS, refs.OURS, refs.STASH)) or before.get(name) == oid:
            continue
        commit = peeled or oid
        named = ON_BRANCH.match(subject)
        stashed = here.place.linked and named is not None and named[1] == snapshot.branch
        its_own = commit in own or (stashed and parents.partition(" ")[0] in {*own, snapshot.head})
        if not its_own or commit in known or _merged(here, snapshot.head, commit):
            continue
        known.add(commit)
        if not there(here, since(here, snapshot.head, commit)):
            yield HeldCommit(name, commit)
        if len(known) > MOST:
            return


def _merged(git: Git, head: str | None, commit: str) -> bool:
    return (
        head is not None and git.run("merge-base", "--is-ancestor", commit, head, check=False).returncode == 0
    )
