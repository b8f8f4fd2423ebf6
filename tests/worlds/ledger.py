"""What an agent or a person has in place after each act: written down as it happens, outside the code under test.

A ledger is a JSON file of its own for each agent run, and for each act of a person and each fault. Only what changed
*during* an act is its hand's: what others do between two acts (see `Ledger.look`) is not.

- ``files``: what it made or changed and has left so, as git's blob names; ``gone``: path and blob of what was there
  and is no more. ``odd``: what is there and has no blob name: a FIFO, a device, what is too large or cannot be read.
- ``inside``: git's own files (configuration, hooks, info) that it changed; ``refs``: references, HEAD among them.
- ``commits`` and ``gone_commits``: what references, reflogs and unfinished operations name since, or no longer name.
- ``ignored``: those of ``files`` that git ignores there; ``nested``: the repositories inside.
- ``spared``: files and directories that can be made again, of which it says nothing more.
- ``away``: whether the first of its ``roots`` is no more, or was moved away.
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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.worlds import gitfiles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

MOST_BYTES = 8 << 20
"""Above that no file is read: nobody promises to keep it."""

LONGEST_GIT = 10.0
NOTHING = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
"""The blob name of an empty file, which nobody misses."""

TREES = "trees"
"""A link among the logs to the directory in which tasks' worktrees are made."""

HARMLESS = frozenset({None, "meet", "outcome"})
"""Acts that change nothing: whoever dies in one leaves a ledger that is true."""


def blob(data: bytes) -> str:
    """Git's own name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def content(path: str) -> str | None:
    """The blob name of a regular file's bytes or of a link's target; None for anything else, for too much or nothing."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            return blob(os.fsencode(os.readlink(path)))
        if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= MOST_BYTES:
            return None
        with open(path, "rb") as file:
            return blob(file.read())
    except OSError:
        return None


def paths(root: str | Path, without: Collection[str] = ()) -> Iterator[str]:
    """Every file, link and special file below ``root`` that is no part of a git directory, nor in ``without``.

    ``root`` may be a file. A link is a file of its own, also as ``root``: nothing behind it is looked at.
    """
    if os.path.islink(root) or not os.path.isdir(root):
        if os.path.lexists(root):
            yield str(root)
        return
    if gitfiles.is_git_directory(str(root)) and not os.path.lexists(os.path.join(root, ".git")):
        return
    for top, folders, files in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]
        folders[:] = [
            name
            for name in folders
            if name != ".git"
            and name not in links
            and os.path.join(top, name) not in without
            and not gitfiles.is_git_directory(os.path.join(top, name))
        ]
        for name in (*files, *links):
            path = os.path.join(top, name)
            if name != ".git" and path not in without:
                yield path


def walk(root: str | Path, without: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """path and blob name of every file of ``paths`` that has one."""
    for path in paths(root, without):
        if (found := content(path)) is not None:
            yield path, found


def git_directories(root: str | Path, without: Collection[str] = ()) -> Iterator[str]:
    """Every directory below ``root`` in which git would find a repository of its own, ``root`` first."""
    for top, folders, files in os.walk(root):
        if ".git" in folders or ".git" in files:
            yield top
        folders[:] = [name for name in folders if name != ".git" and os.path.join(top, name) not in without]


def commits(git_dirs: Iterable[str]) -> set[str]:
    """The commits that refs, reflogs and unfinished operations of these repositories reach."""
    found: set[str] = set()
    for place in git_dirs:
        found |= gitfiles.reach(place, gitfiles.tips(place).values(), objects=False)
    return found


@dataclass
class Sight:
    """What a ledger sees at one moment."""

    files: dict[str, str] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)
    inside: dict[str, str] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    commits: set[str] = field(default_factory=set)


class Ledger:
    """``roots``: the directories and files that it looks at; ``repositories``: those whose commits it looks at beside
    the ones below ``roots``. `watch` and `spare` change what it looks at while it is kept.
    """

    def __init__(
        self, logs: Path, who: str, roots: Iterable[str], repositories: Iterable[str] = (), **facts: Any
    ) -> None:
        self.began = time.monotonic_ns()
        self.path = logs / f"ledger-{self.began}-{os.getpid()}.json"
        self.roots = list(roots)
        self.repositories = list(repositories)
        self.without: set[str] = set()
        self.facts = {"who": who, "pid": os.getpid(), **facts}
        self.done: list[str] = []
        self.files: dict[str, str] = {}
        self.gone: set[tuple[str, str]] = set()
        self.inside: set[str] = set()
        self.refs: set[str] = set()
        self.commits: set[str] = set()
        self.gone_commits: set[str] = set()
        self.look()
        self.start, self.head = self.known.files, gitfiles.head(self.roots[0]) if self.roots else None
        self.write()

    def begin(self, act: str) -> None:
        self._store({**self._last, "acting": act})

    def end(self, act: str) -> None:
        self.done.append(act)
        self.write()

    def look(self) -> None:
        """See what is there now: what changed since the last act was not this hand's doing."""
        self.known = self._see()

    def watch(self, root: str) -> None:
        """Look at this directory or file, too, from now on: before anything is written there."""
        self.roots.append(root)
        self.known.files |= walk(root, self._without())

    def spare(self, path: str) -> None:
        """Nobody promises to keep this file, or what is in this directory: it can be made again."""
        self.without.add(path)
        for files in (self.known.files, self.files):
            for spared in [name for name in files if name == path or name.startswith(path + os.sep)]:
                del files[spared]

    def write(self) -> None:
        """What changed since the last look is this hand's."""
        before = self.known
        self.look()
        now = self.known
        lost = {(path, found) for path, found in before.files.items() if now.files.get(path) != found}
        self.gone |= lost
        for path, found in lost:
            if self.files.get(path) == found:
                del self.files[path]
        new = {path: found for path, found in now.files.items() if before.files.get(path) != found}
        self.files |= new
        self.gone -= set(new.items())
        self.inside |= _differences(before.inside, now.inside)
        self.refs |= _differences(before.refs, now.refs)
        self.gone_commits = (self.gone_commits | (before.commits - now.commits)) - now.commits
        self.commits = (self.commits | (now.commits - before.commits)) & now.commits
        without = self._without()
        nested = [top for root in self.roots for top in git_directories(root, without) if top != root]
        self._last = {
            **self.facts,
            "began": self.began,
            "told": time.monotonic_ns(),
            "acting": None,
            "acts": self.done,
            "roots": self.roots,
            "spared": sorted(self.without),
            "start": self.start,
            "head": self.head,
            "files": self.files,
            "gone": sorted(self.gone),
            "odd": sorted(now.odd),
            "inside": sorted(self.inside),
            "refs": sorted(self.refs),
            "commits": sorted(self.commits),
            "gone_commits": sorted(self.gone_commits),
            "ignored": sorted(_ignored(self.roots, nested, self.files)),
            "nested": nested,
            "away": bool(self.roots) and not os.path.lexists(self.roots[0]),
        }
        self._store(self._last)

    def _without(self) -> set[str]:
        """Worktrees are other tasks' places: what becomes of them while this hand works in the checkout is not its."""
        own = os.path.join(self.path.parent, TREES)
        others = [os.readlink(own)] if os.path.islink(own) and os.readlink(own) not in self.roots else []
        usual = (os.path.join(root, ".worktrees") for root in self.roots)
        return {*self.without, str(self.path.parent), *others, *usual}

    def _see(self) -> Sight:
        seen, without = Sight(), self._without()
        for root in self.roots:
            for path in paths(root, without):
                name = content(path)
                if name is None:
                    seen.odd.add(path)
                else:
                    seen.files[path] = name
        tops = [*self.repositories, *(top for root in self.roots for top in git_directories(root, without))]
        places = {found for top in tops if (found := gitfiles.common_directory(top)) is not None}
        for place in sorted(places):
            seen.inside |= gitfiles.own_files(place)
            seen.refs |= {f"{place} {name}": tip for name, tip in gitfiles.references(place).items()}
        seen.commits = commits(places)
        return seen

    def _store(self, facts: dict[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(facts), encoding="utf-8", errors="surrogateescape")
        new.rename(self.path)


def _differences(before: dict[str, str], now: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def _ignored(roots: Iterable[str], nested: Iterable[str], files: Iterable[str]) -> set[str]:
    """Those of ``files`` that git ignores; nothing of what lies in a repository inside, of which git says nothing."""
    found: set[str] = set()
    inner = tuple(f"{place}/" for place in nested)
    for root in roots:
        mine = [path for path in files if path.startswith(f"{root}/") and not path.startswith(inner)]
        if mine:
            try:
                done = subprocess.run(
                    ["git", "-C", root, "check-ignore", "--stdin", "-z"],
                    input=b"\0".join(map(os.fsencode, mine)),
                    capture_output=True,
                    check=False,
                    timeout=LONGEST_GIT,
                )
            except (OSError, subprocess.TimeoutExpired):  # what an agent has put into its way
                continue
            found |= {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}
    return found


def ledgers(logs: Path) -> list[dict[str, Any]]:
    """All that were kept, oldest first."""
    listed = sorted(logs.glob("ledger-*.json"), key=lambda path: int(path.name.split("-")[1]))
    return [json.loads(path.read_text(encoding="utf-8", errors="surrogateescape")) for path in listed]
