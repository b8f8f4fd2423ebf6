"""What an agent or a person has in place after each act: written down as it happens, outside the code under test.

A ledger is a JSON file of its own for each agent run, and for each act of a person and each fault:

- ``files``: what is new or changed since it began, as git's blob names; ``gone``: what was there and is not, or is not
  as it was. ``odd``: what is there and has no blob name: a FIFO, a device, what is too large or cannot be read.
- ``inside``: git's own files (configuration, hooks, info) that were changed, None for one that is gone.
- ``refs``: references that were moved, None for one that was deleted; HEAD among them.
- ``commits`` and ``gone_commits``: what references, reflogs and unfinished operations name, or no longer name.
- ``ignored``: those of ``files`` that git ignores there; ``nested``: the repositories inside.
- ``start``: the files as it began; ``head``: the commit that was checked out in the first of its ``roots`` then.
- ``acting``: an act that began and did not end. What the ledger says may be out of date then.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.worlds import gitfiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MOST_BYTES = 8 << 20
"""Above that no file is read: nobody promises to keep it."""

HARMLESS = frozenset({None, "meet", "outcome"})
"""Acts that change nothing: whoever dies in one leaves a ledger that is true."""


def blob(data: bytes) -> str:
    """Git's own name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def content(path: str) -> str | None:
    """The blob name of a regular file's bytes or of a link's target; None for anything else, and for too much."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            return blob(os.fsencode(os.readlink(path)))
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            return None
        with open(path, "rb") as file:
            return blob(file.read())
    except OSError:
        return None


def paths(root: str | Path) -> Iterator[str]:
    """Every file, link and special file below ``root`` that is no part of a ``.git``."""
    for top, folders, files in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]
        folders[:] = [name for name in folders if name != ".git" and name not in links]
        yield from (os.path.join(top, name) for name in (*files, *links) if name != ".git")


def walk(root: str | Path) -> Iterator[tuple[str, str]]:
    """(path, blob name) of every file below ``root`` that is no part of a ``.git``."""
    for path in paths(root):
        if (found := content(path)) is not None:
            yield path, found


def git_directories(root: str | Path) -> Iterator[str]:
    """Every directory below ``root`` in which git would find a repository of its own, ``root`` first."""
    for top, folders, files in os.walk(root):
        if ".git" in folders or ".git" in files:
            yield top
        folders[:] = [name for name in folders if name != ".git"]


def commits(git_dirs: Iterable[str]) -> set[str]:
    """The commits that refs, reflogs and unfinished operations of these repositories reach."""
    found: set[str] = set()
    for place in git_dirs:
        found |= gitfiles.reach(place, gitfiles.tips(place).values(), objects=False)
    return found


class Ledger:
    """``roots``: the directories that it looks at; more can be added while it is kept."""

    def __init__(self, logs: Path, who: str, roots: Iterable[str], **facts: Any) -> None:
        self.began = time.monotonic_ns()
        self.path = logs / f"ledger-{self.began}-{os.getpid()}.json"
        self.roots = list(roots)
        self.facts = {"who": who, "pid": os.getpid(), **facts}
        self.done: list[str] = []
        self.start, self.start_odd = self._files()
        self.start_inside, self.start_refs, self.start_commits = self._git()
        self.head = gitfiles.head(self.roots[0]) if self.roots else None
        self.write()

    def begin(self, act: str) -> None:
        self._store({**self._last, "acting": act})

    def end(self, act: str) -> None:
        self.done.append(act)
        self.write()

    def write(self) -> None:
        now, odd = self._files()
        inside, refs, known = self._git()
        new = {path: found for path, found in now.items() if self.start.get(path) != found}
        nested = [place for root in self.roots for place in git_directories(root) if place != root]
        self._last = {
            **self.facts,
            "began": self.began,
            "told": time.monotonic_ns(),
            "acting": None,
            "acts": self.done,
            "roots": self.roots,
            "start": self.start,
            "head": self.head,
            "files": new,
            "gone": {path: found for path, found in self.start.items() if now.get(path) != found},
            "odd": sorted(odd),
            "inside": _differences(self.start_inside, inside),
            "refs": _differences(self.start_refs, refs),
            "commits": sorted(known - self.start_commits),
            "gone_commits": sorted(self.start_commits - known),
            "ignored": sorted(_ignored(self.roots, nested, new)),
            "nested": nested,
        }
        self._store(self._last)

    def _files(self) -> tuple[dict[str, str], set[str]]:
        found, odd = {}, set()
        for root in self.roots:
            for path in paths(root):
                name = content(path)
                if name is None:
                    odd.add(path)
                else:
                    found[path] = name
        return found, odd

    def _git(self) -> tuple[dict[str, str], dict[str, str], set[str]]:
        places = {
            place
            for root in self.roots
            for top in git_directories(root)
            if (place := gitfiles.common_directory(top)) is not None
        }
        inside: dict[str, str] = {}
        refs: dict[str, str] = {}
        for place in sorted(places):
            inside |= gitfiles.own_files(place)
            refs |= {f"{place} {name}": commit for name, commit in gitfiles.references(place).items()}
        return inside, refs, commits(places)

    def _store(self, facts: dict[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(facts), encoding="utf-8", errors="surrogateescape")
        new.rename(self.path)


def _differences(before: dict[str, str], now: dict[str, str]) -> dict[str, str | None]:
    return {name: now.get(name) for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def _ignored(roots: Iterable[str], nested: Iterable[str], files: Iterable[str]) -> set[str]:
    """Those of ``files`` that git ignores; nothing of what lies in a repository inside, of which git says nothing."""
    found: set[str] = set()
    inner = tuple(f"{place}/" for place in nested)
    for root in roots:
        mine = [path for path in files if path.startswith(f"{root}/") and not path.startswith(inner)]
        if mine:
            done = subprocess.run(
                ["git", "-C", root, "check-ignore", "--stdin", "-z"],
                input=b"\0".join(map(os.fsencode, mine)),
                capture_output=True,
                check=False,
            )
            found |= {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}
    return found


def ledgers(logs: Path) -> list[dict[str, Any]]:
    """All that were kept, oldest first."""
    listed = sorted(logs.glob("ledger-*.json"), key=lambda path: int(path.name.split("-")[1]))
    return [json.loads(path.read_text(encoding="utf-8", errors="surrogateescape")) for path in listed]
