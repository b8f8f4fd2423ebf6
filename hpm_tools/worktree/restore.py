"""Bringing salvaged work back: which there is, and putting one into a checkout that has room for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.errors import CannotCreate, NotFound
from hpm_tools.worktree import archive, files
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.index_entries import GITLINK
from hpm_tools.worktree.layout import SALVAGE
from hpm_tools.worktree.salvage import Entry, dirty_entries
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NO_MODE = "000000"
LINK = "120000"
EXECUTABLE = "100755"
SHOWN = 5
OID = "[0-9a-f]{40}(?:[0-9a-f]{24})?"
ROW = re.compile(
    rf"(?P<ref>{SALVAGE}[^\0]+)\0(?P<commit>{OID})\0(?P<when>[0-9]*)\0(?P<parents>[0-9a-f ]*)\0(?P<body>[^\0]*)"
)
ARCHIVE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*\.tar) sha256=(?P<digest>[0-9a-f]{64})")
LARGEST = 4 << 30


@dataclass(frozen=True, slots=True)
class Salvaged:
    """One salvage ref: whose it was, when it was made (seconds since 1970), and what it holds.

    ``head`` is the commit that the work was based on, ``archive`` (file name, digest) its ignored files,
    ``merged`` whether a branch contains it.
    """

    ref: str
    commit: str
    agent_id: str
    task_id: str
    made_at: float
    head: str | None
    branch: str | None
    archive: tuple[str, str] | None
    merged: bool


def salvages(git: Git, pattern: str = SALVAGE) -> list[Salvaged]:
    """The salvage refs below ``pattern``, or the one so called; oldest first."""
    fields = "%(refname)%00%(objectname)%00%(creatordate:unix)%00%(parent)%00%(contents:body)%01"
    entries = decode(git.run("for-each-ref", f"--format={fields}", pattern).out).split("\1")
    rows = [row for entry in entries if (row := ROW.fullmatch(entry.strip("\n")))]
    if not rows:
        return []
    stdin = "".join(f"{row['commit']}\n" for row in rows).encode()
    unmerged = set(git.run("rev-list", "--stdin", "--not", "--branches", stdin=stdin).text.splitlines())
    found = [_salvaged(row, merged=row["commit"] not in unmerged) for row in rows]
    return sorted(found, key=lambda salvaged: (salvaged.made_at, salvaged.ref))


def _salvaged(row: re.Match[str], *, merged: bool) -> Salvaged:
    """What a ref says, as far as it can be believed: an agent can make such refs, and write such messages."""
    ref, commit, when, parents, body = row.group("ref", "commit", "when", "parents", "body")
    facts = dict(line.split(": ", 1) for line in body.splitlines() if ": " in line)
    kept = ARCHIVE.fullmatch(facts.get("archive", ""))
    agent, _, rest = ref.removeprefix(SALVAGE).partition("/")
    head, branch = facts.get("head"), facts.get("branch")
    return Salvaged(
        ref=ref,
        commit=commit,
        agent_id=agent,
        task_id=rest.partition("/")[0],
        made_at=float(when or 0),
        head=head if head in parents.split() else None,
        branch=None if branch == "(detached)" else branch,
        archive=(kept["name"], kept["digest"]) if kept else None,
        merged=merged,
    )


def find(git: Git, ref: str) -> Salvaged:
    """The salvage called ``ref``, with or without ``refs/hpm/salvage/``. Raises NotFound."""
    name = ref if ref.startswith(SALVAGE) else SALVAGE + ref
    for salvaged in salvages(git, name):
        if salvaged.ref == name:
            return salvaged
    raise NotFound(f"there is no salvage {ref}", "hpm worktree.list shows which there are")


def apply(directory: Path, ref: str) -> list[str]:
    """Put the salvaged changes into the checkout at ``directory``, uncommitted; the paths restored.

    The salvage stays. Repeating it after a crash is safe. Raises NotFound, and CannotCreate if the
    checkout has other changes, or if its HEAD changed the same files since: then nothing is touched.
    """
    git = Git(directory)
    salvaged = find(git, ref)
    changes = _changes(git, salvaged)
    for path in changes:
        _refuse_elsewhere(path)
    ignored = _archived(git, *salvaged.archive) if salvaged.archive else []
    for path in (*changes, *(member.path for member in ignored)):
        files.drop_half(directory, path)
    _refuse_overlap(git, salvaged, changes)
    try:
        # Deletions first: a file may go where a directory was.
        for path, entry in sorted(changes.items(), key=lambda item: item[1] is not None):
            _put(git, directory, path, entry)
        restored = [*changes, *_put_ignored(directory, ignored)]
    except OSError as error:
        raise CannotCreate(f"cannot restore into {directory}: {error}", "run it again once mended") from error
    return restored


def _refuse_elsewhere(path: str) -> None:
    try:
        files.parts(path)
    except OSError as error:
        raise CannotCreate(
            f"the salvage holds {path!r}, which is no path in a checkout",
            "this program makes no such salvage: look who did",
        ) from error


def _changes(git: Git, salvaged: Salvaged) -> dict[str, Entry | None]:
    """What the salvage has that its head has not: path → entry, None for a deletion."""
    return _differences(git, salvaged.head, salvaged.commit)


def _differences(git: Git, old: str | None, new: str) -> dict[str, Entry | None]:
    """What ``new`` has that ``old`` (None: nothing at all) has not."""
    old = old or git.text("hash-object", "-t", "tree", "-w", "--stdin")
    fields = decode(git.run("diff-tree", "-r", "-z", "--no-renames", "--raw", old, new).out).split("\0")
    found: dict[str, Entry | None] = {}
    for facts, path in zip(fields[0::2], fields[1::2], strict=False):
        _, mode, _, oid, _ = facts.lstrip(":").split(" ")
        if GITLINK not in facts:
            found[path] = None if mode == NO_MODE else Entry(mode, oid)
    return found


def _refuse_overlap(git: Git, salvaged: Salvaged, changes: dict[str, Entry | None]) -> None:
    status = take_status(git)
    dirty = dirty_entries(git, status)
    foreign = [path for path, entry in dirty.items() if path not in changes or changes[path] != entry]
    if foreign:
        raise CannotCreate(
            f"{git.place.root} has uncommitted changes: {_some(foreign)}",
            "commit them first, or leave --to away: then a worktree is made",
        )
    if status.head is None or status.head == salvaged.head:
        return
    since = _differences(git, salvaged.head, status.head)
    overlap = [path for path in changes if path in since and since[path] != changes[path]]
    if overlap:
        raise CannotCreate(
            f"{git.place.root} has since changed the same files: {_some(overlap)}",
            f"leave --to away: then a worktree is made; merge it by hand (git merge {salvaged.ref})",
        )


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(sorted(paths)[:SHOWN]) + more


def _put(git: Git, directory: Path, path: str, entry: Entry | None) -> None:
    if entry is None:
        files.drop(directory, path)
        return
    content = git.run("cat-file", "blob", entry.oid, limit=LARGEST, timeout=CHECKOUT_TIMEOUT).out
    if entry.mode == LINK:
        files.put_link(directory, path, content)
    else:
        files.put(directory, path, content, 0o755 if entry.mode == EXECUTABLE else 0o644)


def _archived(git: Git, name: str, digest: str) -> list[archive.Member]:
    path = git.place.common_dir / "hpm" / "archive" / name
    if not path.exists() and archive.finished_mark(path).exists():
        return []  # its days were over (worktree.archive_days); the rest of the salvage is here
    return archive.read(path, digest)


def _put_ignored(directory: Path, members: Sequence[archive.Member]) -> list[str]:
    """The ignored files; one that is there already and differs is somebody's and stays."""
    restored = []
    for member in members:
        there = directory / member.path
        if there.is_symlink() or there.exists():
            continue
        if member.content is None:
            files.put_link(directory, member.path, member.target)
        else:
            files.put(directory, member.path, member.content, member.mode)
        restored.append(member.path)
    return restored
