"""What the index of a checkout records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

GITLINK = "160000"
"""The mode of a submodule's entry."""


def stages(git: Git) -> Iterator[tuple[str, str, str, str]]:
    """(mode, id, stage, path) of each entry. Raises GitError."""
    for line in decode(git.run("ls-files", "--stage", "-z", timeout=CHECKOUT_TIMEOUT).out).split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            mode, oid, stage = facts.split(" ")
            yield mode, oid, stage, path


def submodules(git: Git) -> dict[str, str]:
    """The submodules of a checkout: path → the commit that the index records for it. Raises GitError."""
    return {path: oid for mode, oid, _, path in stages(git) if mode == GITLINK}
