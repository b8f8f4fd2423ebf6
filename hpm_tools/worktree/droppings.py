"""What agents' programs leave behind for themselves, whether they did anything or not: no work, and never committed.

Only files that are in no commit count as such. aider (0.86) writes its history beside them into the
repository's .gitignore, so lines there that ignore nothing but such files are none either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.worktree.archive import is_regenerable
from hpm_tools.worktree.git import CHECKOUT_TIMEOUT, Git, decode
from hpm_tools.worktree.place import read_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpm_tools.worktree.status import Status

patterns: list[str] = []
"""Those of the operator's ``worktree.droppings``: one setting for every git of this process, as ``git.approved`` is."""

IGNORES = ".gitignore"
ALSO_IGNORED = frozenset({".env"})
"""What aider ignores besides its own files."""
ABSENT = "000000"
LONGEST = 64 << 10


def uncommitted(git: Git, found: Status) -> frozenset[str]:
    """The paths of ``found`` that hold nothing but droppings."""
    untracked = [*found.untracked, *(entry.path for entry in found.changed if entry.mode_head == ABSENT)]
    left = {path for path in untracked if _is_one(path)}
    if IGNORES in found.dirty and IGNORES not in found.unmerged:
        before = _lines(git, found.head) if IGNORES not in untracked else []
        now = read_part(git.place.root / IGNORES, 0, LONGEST) or b""
        if _only_ignores(before, decode(now).splitlines()):
            left.add(IGNORES)
    return frozenset(left)


def committed(git: Git, base: str | None, head: str, paths: Iterable[str]) -> frozenset[str]:
    """Those of ``paths``, which differ between two commits, that hold nothing but droppings."""
    paths = list(paths)
    left = [path for path in paths if _is_one(path)]
    if left and base is not None:
        args = ("ls-tree", "-z", "--name-only", base, "--", *left)
        known = decode(git.run(*args, timeout=CHECKOUT_TIMEOUT).out).split("\0")
        left = [path for path in left if path not in known]
    if IGNORES in paths and _only_ignores(_lines(git, base), _lines(git, head)):
        left.append(IGNORES)
    return frozenset(left)


def _is_one(path: str) -> bool:
    return is_regenerable(path, patterns)


def _lines(git: Git, commit: str | None) -> list[str]:
    if commit is None:
        return []
    shown = git.run("cat-file", "blob", f"{commit}:{IGNORES}", check=False)
    return decode(shown.out).splitlines() if shown.returncode == 0 else []


def _only_ignores(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether ``after`` is ``before`` with lines more, which ignore droppings alone."""
    added = [line.strip() for line in after[len(before) :] if line.strip()]
    mine = {*patterns, *(f"{pattern}/" for pattern in patterns), *ALSO_IGNORED}
    return [*after[: len(before)]] == [*before] and bool(added) and all(line in mine for line in added)
