"""Files that git was told to overlook: flags in the index by which it takes a file for unchanged, whatever becomes of it.

Flags that were there before a run are somebody's own arrangement (a local setting, a sparse checkout) and stay, with
their files. One that came with the run would hide work, so it goes, and git looks again (git-update-index(1),
--assume-unchanged and --skip-worktree).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpm_tools.text import counted
from hpm_tools.worktree import index_entries, prepared
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ASSUMED = "assume-unchanged"
SKIPPED = "skip-worktree"
MOST = 2000
"""Flagged files that a snapshot holds; a sparse checkout of a large repository has more, none of which is there."""
UNREAD = "unread"
"""In the place of what git would store: the flagged files are too large to be read."""
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Overlooked:
    """The flagged files before a run: path → what git would store of it, prepared.GONE for one that is not there.

    ``complete``: those that were not there are among them. Where there were too many, only the others are.
    ``known``: False where even those were too many (with core.ignoreStat they are all files): then ``files`` has none, and
    whose a flag is cannot be told.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True
    known: bool = True

    def to_json(self) -> dict[str, Any]:
        return {"files": dict(self.files), "complete": self.complete, "known": self.known}

    @classmethod
    def from_json(cls, data: object) -> Overlooked | None:
        """None for what is no such thing: a snapshot of an earlier version, or a damaged one."""
        files = data.get("files") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(files, dict):
            return None
        entries = {str(path): str(entry) for path, entry in files.items()}
        return cls(entries, data.get("complete") is True, data.get("known") is not False)


def tagged(git: Git) -> list[tuple[str, str]]:
    """(tag, path) of each tracked file, as `git ls-files -v` has it."""
    listed = decode(git.run("ls-files", "-v", "-z", timeout=CHECKOUT_TIMEOUT).out).split("\0")
    return [(line[0], line[2:]) for line in listed if line]


def flagged(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Path → flag of each file that git overlooks."""
    return {path: ASSUMED if tag.islower() else SKIPPED for tag, path in tags if tag.islower() or tag == "S"}


def _flagged_now(git: Git) -> dict[str, str]:
    return flagged(tagged(git)) if index_entries.may_be_flagged(git.place.git_dir / "index") else {}


def clear(git: Git, paths: Sequence[str]) -> None:
    """Have git look at ``paths`` again."""
    if paths:
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        for flag in (ASSUMED, SKIPPED):
            git.run("update-index", f"--no-{flag}", "-z", "--stdin", stdin=names, timeout=CHECKOUT_TIMEOUT)


def take(git: Git) -> Overlooked:
    """What git overlooks now."""
    paths = list(_flagged_now(git))
    complete = len(paths) <= MOST
    if not complete:
        paths = [path for path in paths if _exists(git, path)]
    if len(paths) > MOST:
        return Overlooked(complete=False, known=False)
    found = prepared.entries(git, paths)
    return Overlooked({path: found.get(path, UNREAD) for path in paths}, complete)


def look_again(git: Git, taken: object) -> list[str]:
    """Clear the flags that were not there as ``taken`` was, and say so; what had one then is compared and left alone.

    ``taken`` is the JSON of an Overlooked; without one nothing is done. Safe to repeat: what was cleared is a change like
    any other from then on.
    """
    before = Overlooked.from_json(taken)
    if before is None or not before.known:
        return []
    now = _flagged_now(git)
    if not now:
        return []
    new = [path for path in now if path not in before.files]
    hidden = [path for path in new if _exists(git, path)]
    gone = [path for path in new if not _exists(git, path)] if before.complete else []
    # What a sparse checkout leaves out is not deleted.
    left_out = [path for path in gone if now[path] == SKIPPED] if gone and _is_sparse(git) else []
    hidden += [path for path in gone if path not in left_out]
    clear(git, hidden)
    by_flag = {flag: [path for path in hidden if now[path] == flag] for flag in (SKIPPED, ASSUMED)}
    said = [
        f"{_names(paths)} had the flag {flag}, by which git overlooks changes: it was taken off"
        for flag, paths in by_flag.items()
        if paths
    ]
    if left_out:
        said.append(
            f"{_names(left_out)} {_were(left_out)} left out of the checkout by git sparse-checkout, not deleted"
        )
    return said + _changed(git, before, [path for path in now if path in before.files])


def _changed(git: Git, before: Overlooked, paths: Sequence[str]) -> list[str]:
    found = prepared.entries(git, [path for path in paths if before.files[path] != UNREAD])
    changed = [path for path, entry in found.items() if entry != before.files[path]]
    if not changed:
        return []
    said = f"{_names(changed)}, which git overlooks as before the run, {_were(changed)} changed, not committed and left"
    return [f"{said} as {'it is' if len(changed) == 1 else 'they are'} in {git.place.root}"]


def _exists(git: Git, path: str) -> bool:
    return os.path.lexists(git.place.root / path)


def _is_sparse(git: Git) -> bool:
    return git.run("config", "--type=bool", "--get", "core.sparseCheckout", check=False).text == "true"


def _were(paths: Sequence[str]) -> str:
    return "was" if len(paths) == 1 else "were"


def _names(paths: Sequence[str]) -> str:
    more = len(paths) - MOST_NAMED
    return ", ".join(paths[:MOST_NAMED]) + (f" and {counted(more, 'more file')}" if more > 0 else "")
