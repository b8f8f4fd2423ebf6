"""What a worktree differed in from its commit before any agent: its set-up's doing, and nobody's work.

It is kept as the id that git would store for each such path, filters applied, so that it compares with what
a commit holds as well as with a file. No object is written: an agent's `git gc` can take nothing away.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from hpm_tools.errors import BadData
from hpm_tools.worktree import droppings
from hpm_tools.worktree.bounds import ALLOWED, MOST_FILES, Bounds
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.salvage import hash_paths
from hpm_tools.worktree.status import take_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hpm_tools.worktree.status import Changed, Status

MOST_KNOWN = MOST_FILES
"""Paths whose ids are remembered; where a set-up leaves more, they count as the agent's, and are too much to be committed."""
MOST_COMPARED = 1000
MOST_CHECKED_OUT = 64 << 20
"""Bytes of a file above which its content is not compared with what a checkout writes."""
ROOM = 4096
GONE = ""


def entries(git: Git, paths: Iterable[str], bounds: Bounds = ALLOWED) -> dict[str, str]:
    """``mode id`` of each path as `git add` would store it, GONE where there is no file.

    Repositories inside the checkout, whose paths end in a slash, are left out. Empty where that were more
    than ``bounds`` let git read.
    """
    wanted = [path for path in paths if not path.endswith("/")]
    if not bounds.allows(git.place, wanted):
        return {}
    found = hash_paths(git, wanted, write=False, filtered=True, heed=bounds.heed)
    return {path: f"{entry.mode} {entry.oid}" if entry else GONE for path, entry in found.items()}


def take(git: Git) -> dict[str, str]:
    """The entries of all that is uncommitted now; none if that is more than MOST_KNOWN paths."""
    dirty = take_status(git).dirty
    return entries(git, dirty) if len(dirty) <= MOST_KNOWN else {}


def worked_on(git: Git, found: Status, known: Mapping[str, str], bounds: Bounds = ALLOWED) -> list[str]:
    """The uncommitted paths of ``found`` that an agent changed: not as the set-up, or a checkout, left them, and
    not its program's droppings.
    """
    now = entries(git, [path for path in found.dirty if path in known], bounds)
    own = [path for path in found.dirty if path not in known or now.get(path) != known[path]]
    as_checked_out = {entry.path for entry in found.changed[:MOST_COMPARED] if _as_checked_out(git, entry)}
    left_out = as_checked_out | droppings.uncommitted(git, found)
    return [path for path in own if path not in left_out]


def as_committed(git: Git, found: Status, bounds: Bounds = ALLOWED) -> list[str]:
    """The paths of ``found`` whose file is what HEAD has, though the index says otherwise: no commit would differ.

    An agent staged a change and took it back in the file alone, or its index is gone.
    """
    staged = {entry.path: entry for entry in found.changed if entry.index != "."}
    now = entries(git, staged, bounds)
    return [path for path, entry in now.items() if entry == _in_head(staged[path])]


def _in_head(entry: Changed) -> str:
    return GONE if entry.mode_head == "000000" else f"{entry.mode_head} {entry.id_head}"


def _as_checked_out(git: Git, entry: Changed) -> bool:
    """Whether a file that counts as modified has the very bytes that a checkout writes.

    Git says so of files that their own attributes would store otherwise (gitattributes(5), "End-of-line
    conversion"), as soon as their times differ from the index's.
    """
    if (entry.index, entry.worktree) != (".", "M") or entry.mode_index != entry.mode_worktree:
        return False
    path = git.place.root / entry.path
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MOST_CHECKED_OUT:
            return False
        written = git.run(
            "cat-file",
            "--filters",
            f"--path={entry.path}",
            entry.id_index,
            timeout=CHECKOUT_TIMEOUT,
            check=False,
            # Room for a complaint: an answer that is longer than the file cannot be equal to it.
            limit=facts.st_size + ROOM,
        )
        same_size = written.returncode == 0 and len(written.out) == facts.st_size
        return same_size and written.out == path.read_bytes()
    except (OSError, BadData):
        return False


def committed(git: Git, base: str | None, head: str | None, known: Mapping[str, str]) -> list[str]:
    """The paths whose content in ``head`` is neither that of ``base``, nor what the set-up left, nor droppings."""
    if head is None or head == base:
        return []
    stored = {path: after for path, (_, after) in sides(git, base, head).items()}
    own = [path for path, entry in stored.items() if path not in known or known[path] != entry]
    left_out = droppings.committed(git, base, head, own)
    return [path for path in own if path not in left_out]


def sides(git: Git, base: str | None, head: str | None) -> dict[str, tuple[str, str]]:
    """Path → its entries in ``base`` and in ``head``, of all that differs between two commits; None has no files."""
    if base is None or head is None:
        listed = decode(git.run("ls-tree", "-r", "-z", head or base or "").out).split("\0")
        rows = [line.partition("\t") for line in listed if line]
        there = {path: " ".join(facts.split(" ")[::2]) for facts, _, path in rows}
        return {path: (GONE, entry) if base is None else (entry, GONE) for path, entry in there.items()}
    output = git.run("diff-tree", "-r", "-z", "--no-renames", base, head, timeout=CHECKOUT_TIMEOUT).out
    fields = decode(output).split("\0")
    found = {}
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        mode_before, mode, before, oid, letter = facts.removeprefix(":").split(" ")
        found[path] = (
            GONE if letter == "A" else f"{mode_before} {before}",
            GONE if letter == "D" else f"{mode} {oid}",
        )
    return found


def unstage(git: Git, changed: Sequence[Changed]) -> None:
    """Put HEAD's entries of ``changed`` into the index: what a set-up staged is not to be committed."""
    staged = [entry for entry in changed if entry.index != "."]
    lines = [
        f"{entry.mode_head.replace('000000', '0')} {entry.id_head}\t{entry.path}\0".encode(
            errors="surrogateescape"
        )
        for entry in staged
    ]
    if lines:
        git.run("update-index", "-z", "--index-info", stdin=b"".join(lines))
