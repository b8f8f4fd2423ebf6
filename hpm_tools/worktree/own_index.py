"""Trees and commits made beside a checkout: neither its index nor its HEAD has a part in them."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hpm_tools.worktree.git import Git

AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "hpm-tools"), ("EMAIL", "hpm-tools@localhost"))
}
UNDATED = {f"GIT_{who}_DATE": "2000-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}
"""The same content again gives the same commit, so that a step repeated after a crash makes no second one."""

DURABLE = ("-c", "core.fsync=committed,loose-object,reference")
"""What is about to be removed elsewhere must survive a power cut here."""

OWN_INDEX = "hpm-index-"
STALE = 3600.0


# no failpoint: nothing counts before its rename, and a crash has it swept or made anew
@contextmanager
def own_index(git: Git) -> Iterator[dict[str, str]]:
    """The environment in which git uses an index of its own, for the time of the block."""
    path = git.place.git_dir / f"{OWN_INDEX}{uuid.uuid4().hex}"
    _sweep_indexes(git.place.git_dir)
    try:
        yield {"GIT_INDEX_FILE": str(path)}
    finally:
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".lock").unlink(missing_ok=True)


def _sweep_indexes(git_dir: Path) -> None:
    """Remove the temporary indexes of killed processes."""
    for path in git_dir.glob(f"{OWN_INDEX}*"):
        try:
            if time.time() - path.stat().st_mtime > STALE:
                # no failpoint: nothing counts before its rename, and a crash has it swept or made anew
                path.unlink()
        except OSError:
            continue


def write_tree(git: Git, start: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """The tree ``start`` (``--empty``: nothing) with ``rows`` (mode, id, path) put into it."""
    lines = [f"{mode} {oid}\t".encode() + os.fsencode(path) + b"\0" for mode, oid, path in rows]
    with own_index(git) as index:
        git.run("read-tree", start, env=index)
        git.run("update-index", "-z", "--replace", "--index-info", stdin=b"".join(lines), env=index)
        return git.run(*DURABLE, "write-tree", env=index).text


def commit_tree(git: Git, tree: str, parents: Sequence[str], message: str, *, dated: bool = True) -> str:
    """A commit of ``tree``, on no branch; its id."""
    args = [arg for parent in parents for arg in ("-p", parent)]
    env = AUTHOR if dated else {**AUTHOR, **UNDATED}
    return git.run(*DURABLE, "commit-tree", tree, *args, stdin=message.encode(), env=env).text


def quoted(path: str) -> bytes:
    """A path as git reads it on a line of its own, whatever bytes it has (quote.c)."""
    return b'"' + b"".join(b"\\%03o" % byte for byte in os.fsencode(path)) + b'"'
