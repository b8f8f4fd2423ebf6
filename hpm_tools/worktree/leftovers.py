"""The runner's own commit of what an agent left uncommitted on its task's branch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpm_tools import failpoints
from hpm_tools.names import shown
from hpm_tools.worktree import filters, prepared, reachability
from hpm_tools.worktree.bounds import ALLOWED, Bounds
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git
from hpm_tools.worktree.place import read_small
from hpm_tools.worktree.salvage import refuse_too_much
from hpm_tools.worktree.specials import is_special
from hpm_tools.worktree.status import Status, take_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def commit_leftovers(
    directory: Path,
    message: str,
    known: Mapping[str, str] | None = None,
    bounds: Bounds = ALLOWED,
) -> str | None:
    """Commit everything uncommitted at ``directory`` on its current branch; the new commit's id.

    None if there is nothing to commit, or if conflicts or an unfinished rebase stand: such a state is nobody's
    result, and salvage keeps it. What ``known`` says of the worktree's set-up (prepared.py) stays uncommitted unless
    it was changed since; a file that was is committed whole. Repositories inside the checkout are left out. No hook
    runs, nothing is signed; the author is the configured one, or hpm-tools where none is. Raises TooMuch beyond
    ``bounds``, before anything is read, and GitError.
    """
    git = Git(directory)
    found = take_status(git)
    if _unresolved(git, found) is not None:
        return None
    own = set(prepared.worked_on(git, found, known or {}, bounds))
    paths = [path for path in found.dirty if path in own and not path.endswith("/")]
    merging = _merge_heads(git)
    if not paths and not merging:
        return None
    refuse_too_much(bounds, git.place, paths)
    prepared.unstage(git, [entry for entry in found.changed if entry.path not in own])
    _stage(git, paths, bounds)
    failpoints.reach("leftovers.staged")
    tree = git.text("write-tree")
    parents = [*([found.head] if found.head else []), *merging]
    if not merging and found.head and git.text("rev-parse", f"{found.head}^{{tree}}") == tree:
        return None
    commit = _commit_tree(git, tree, parents, message)
    failpoints.reach("leftovers.committed")
    _advance(git, found, commit, message)
    failpoints.reach("leftovers.advanced")
    return commit


def unresolved(directory: Path) -> str | None:
    """Why `commit_leftovers` makes no commit of what lies uncommitted at ``directory``, or None if it does.

    Raises GitError.
    """
    git = Git(directory)
    return _unresolved(git, take_status(git))


def _unresolved(git: Git, found: Status) -> str | None:
    # A squash merge, a patch, a stash or a branch that was switched leaves conflicts in the index alone.
    if found.unmerged:
        more = f" and {len(found.unmerged) - 1} more" if len(found.unmerged) > 1 else ""
        return f"a conflict was left unresolved in {shown(found.unmerged[0])}{more}"
    operation = reachability.in_progress(git.place.git_dir)
    return None if operation in (None, "merge") else f"a {operation} was left unfinished"


def _stage(git: Git, paths: Sequence[str], bounds: Bounds) -> None:
    # Not `git add`: it would look into submodules, running git with what an agent configured there.
    filters.refuse_unapplied(git, [path for path in paths if _is_plain_file(git.place.root / path)])
    special = [path for path in paths if _is_no_file(git.place.root / path)]
    other = set(paths).difference(special)
    how = ("--add", "--remove", "--replace")
    _update_index(git, how, [path for path in paths if path in other], bounds)
    # Git refuses what is no file (a FIFO); where a tracked file was, that file is gone.
    _update_index(git, ("--force-remove",), special, bounds)


def _is_no_file(path: Path) -> bool:
    return not path.is_symlink() and is_special(path)


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _update_index(git: Git, how: Sequence[str], paths: Sequence[str], bounds: Bounds) -> None:
    names = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if names:
        git.run(
            "update-index", *how, "-z", "--stdin", stdin=names, timeout=CHECKOUT_TIMEOUT, heed=bounds.heed
        )


def _merge_heads(git: Git) -> list[str]:
    return (read_small(git.place.git_dir / "MERGE_HEAD") or "").split()


def _commit_tree(git: Git, tree: str, parents: Sequence[str], message: str) -> str:
    args = [arg for parent in parents for arg in ("-p", parent)]
    stdin = message.encode(errors="replace")
    # Only where git knows of nobody to name as the author it has to be asked whom its configuration names.
    made = git.run("-c", "user.useConfigOnly=true", "commit-tree", tree, *args, stdin=stdin, check=False)
    if made.returncode == 0:
        return made.text
    return git.run("commit-tree", tree, *args, stdin=stdin, env=git.author()).text


def _advance(git: Git, found: Status, commit: str, message: str) -> None:
    """Move HEAD's branch, only if it is still where the commit starts from."""
    title = message.partition("\n")[0]
    git.run("update-ref", "-m", f"hpm: {title}", "HEAD", commit, found.head or "0" * len(commit))
    for name in ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE"):
        with failpoints.around("removal"):
            (git.place.git_dir / name).unlink(missing_ok=True)
