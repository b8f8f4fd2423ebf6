"""Refs that an agent may have moved, read as where they stood before: no task starts from an agent's commit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from hpm_tools.worktree.git import decode
from hpm_tools.worktree.refs import HEADS, REMOTES, SYMBOLIC

if TYPE_CHECKING:
    from hpm_tools.worktree.git import Git

Believed = Callable[[str, "str | None"], "tuple[str | None] | None"]
"""Of a ref's full name and its value (an id, ``ref: target`` or None): the value to use in its place, in a tuple; None
if it is not doubted."""

PREFIXES = (REMOTES, HEADS, "refs/tags/", "refs/", "")
"""Remote branches first: a branch or tag that an agent named `origin/main` is none."""

REMOTE_HEAD = "/HEAD"
"""`origin` alone names `refs/remotes/origin/HEAD` (gitrevisions(7))."""

REVISION = re.compile(r"(?P<name>[^~^@:]+)(?P<rest>.*)", re.DOTALL)
DEEPEST = 5


class Belief:
    """Reads refs of one repository; ``doubted`` has the names of those in whose place an older value was used."""

    def __init__(self, git: Git, believed: Believed | None) -> None:
        self._git = git
        self._believed = believed
        self.doubted: list[str] = []

    def doubts(self, name: str, now: str | None) -> bool:
        """Whether an agent may have given the ref ``name`` its value ``now``."""
        return self._believed is not None and self._believed(name, now) is not None

    def value(self, name: str, now: str | None) -> str | None:
        """What the ref ``name``, which says ``now``, is to be read as; None if it is to be read as missing."""
        instead = self._believed(name, now) if self._believed is not None else None
        if instead is None:
            return now
        if name not in self.doubted:
            self.doubted.append(name)
        return instead[0]

    def made(self, name: str, now: str) -> bool:
        """Whether an agent may have made the ref ``name``, which says ``now``."""
        instead = self._believed(name, now) if self._believed is not None else None
        return instead == (None,) and self.value(name, now) is None

    def revision(self, revision: str) -> str | None:
        """``revision``, or one that names a commit that no agent chose; None where an agent made the ref."""
        found = REVISION.fullmatch(revision)
        if self._believed is None or found is None:
            return revision
        candidates = [prefix + found["name"] for prefix in PREFIXES]
        candidates.insert(1, f"{candidates[0]}{REMOTE_HEAD}")
        now = self._read(candidates)
        doubted = False
        for name in candidates:
            value, moved = self._followed(name, now)
            doubted = doubted or moved
            if value is not None:
                return (value if doubted else name) + found["rest"]
        return None if doubted else revision

    def _followed(self, name: str, now: dict[str, str]) -> tuple[str | None, bool]:
        """What the ref ``name`` is to be read as, and whether it, or one that it names, is doubted."""
        doubted = False
        for _ in range(DEEPEST):
            value = self.value(name, now.get(name))
            doubted = doubted or value != now.get(name)
            if value is None or not value.startswith(SYMBOLIC):
                return value, doubted
            name = value.removeprefix(SYMBOLIC)
            now = now if name in now else now | self._read([name])
        return None, doubted

    def _read(self, names: list[str]) -> dict[str, str]:
        form = "--format=%(refname)%00%(objectname)%00%(symref)"
        rows = decode(self._git.run("for-each-ref", form, *filter(None, names)).out).splitlines()
        found = [row.split("\0") for row in rows]
        return {name: f"{SYMBOLIC}{target}" if target else oid for name, oid, target in found}
