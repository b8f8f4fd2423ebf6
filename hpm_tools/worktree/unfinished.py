"""What an unfinished operation of git holds besides commits, made a commit that a salvage can have as a parent.

A conflict's sides stand in the index alone where a patch or a stash was applied, patches still to be applied in the git
directory alone, and so do trees and tags that only this checkout's own refs name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree import admin_files
from hpm_tools.worktree.git import Git, decode
from hpm_tools.worktree.index_entries import stages
from hpm_tools.worktree.own_index import DURABLE, commit_tree, quoted, write_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SIDES = {"1": "base", "2": "ours", "3": "theirs"}
REMADE = frozenset(
    {
        "HEAD",
        "FETCH_HEAD",
        "MERGE_RR",
        "ORIG_HEAD",
        "commondir",
        "config",
        "config.worktree",
        "description",
        "gitdir",
        "index",
        "locked",
        "packed-refs",
        "shallow",
    }
)
"""Files that hold no work: what commits they name is kept as commits."""

REMADE_BELOW = ("hpm", "info/", "logs/", "refs/", "sharedindex.")
BLOB = "100644"
LARGEST = 64 << 20


def keep_conflicts(git: Git) -> str | None:
    """A commit with the sides of each conflict, below base/, ours/ and theirs/; None without conflicts."""
    rows = [(mode, oid, f"{SIDES[stage]}/{path}") for mode, oid, stage, path in stages(git) if stage != "0"]
    if not rows:
        return None
    tree = write_tree(git, "--empty", rows)
    return commit_tree(git, tree, [], "hpm salvage: the sides of conflicts\n", dated=False)


def keep_state(git: Git, head: str | None = None) -> str | None:
    """A commit of the files in the checkout's own git directory that an operation left; None if there are none.

    Trees, blobs and tags that they name, or that refs of this checkout alone name, are below objects/; a tag is
    there as text, for `git hash-object -t tag -w`. ``head`` is known to be a commit.
    """
    rows = [*_stored(git, dict(_files(git))), *_objects(git, head)]
    if not rows:
        return None
    tree = write_tree(git, "--empty", rows)
    return commit_tree(git, tree, [], "hpm salvage: an unfinished operation\n", dated=False)


def _files(git: Git) -> Iterator[tuple[str, Path]]:
    for path in admin_files.own_files(git.place):
        name = path.relative_to(git.place.git_dir).as_posix()
        boring = name in REMADE or name.startswith(REMADE_BELOW) or name.endswith((".lock", "_EDITMSG"))
        if not boring and path.lstat().st_size > 0:
            yield name, path


def _stored(git: Git, files: Mapping[str, Path]) -> list[tuple[str, str, str]]:
    names = b"".join(quoted(str(path)) + b"\n" for path in files.values())
    args = ("hash-object", "-w", "--no-filters", "--stdin-paths")
    oids = git.run(*DURABLE, *args, stdin=names).text.splitlines() if files else []
    return [(BLOB, oid, f"files/{name}") for name, oid in zip(files, oids, strict=True)]


def _objects(git: Git, head: str | None) -> list[tuple[str, str, str]]:
    names = sorted(admin_files.object_ids(git.place) - {head})
    stdin = "".join(f"{name}\n" for name in names).encode()
    listed = (
        git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=stdin).text if names else ""
    )
    rows = []
    for line in listed.splitlines():
        oid, _, kind = line.partition(" ")
        if kind == "blob":
            rows.append((BLOB, oid, f"objects/{oid}"))
        elif kind == "tree":
            rows += _below(git, oid)
        elif kind == "tag":
            content = git.run("cat-file", "tag", oid, limit=LARGEST).out
            stored = git.run(*DURABLE, "hash-object", "-w", "--stdin", stdin=content).text
            rows.append((BLOB, stored, f"objects/{oid}.tag"))
    return rows


def _below(git: Git, tree: str) -> Iterator[tuple[str, str, str]]:
    for line in decode(git.run("ls-tree", "-r", "-z", tree).out).split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            mode, _, oid = facts.split(" ")
            yield mode, oid, f"objects/{tree}/{path}"
