"""What an agent or a person has in place after each act: written down as it happens, outside the code under test.

A ledger is a JSON file of its own for each agent run and each act of a person. ``files`` are the files that are
new or changed since it began, as git's blob names; ``gone`` are those that were there and are no more, by the
hand that writes this; ``commits`` and ``gone_commits`` the same for commits. ``acting`` names an act that began
and did not end: what the ledger says may be out of date then.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MOST_BYTES = 8 << 20
"""Above that no file is read: nobody promises to keep it."""

GIT = ("git", "--no-replace-objects", "-c", "safe.directory=*")
"""Git that shows what there is, whosever it is."""

PSEUDO_REFS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "ORIG_HEAD", "AUTO_MERGE")


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


def walk(root: str | Path) -> Iterator[tuple[str, str]]:
    """(path, blob name) of every file below ``root`` that is no part of a ``.git``."""
    for top, folders, files in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]
        folders[:] = [name for name in folders if name != ".git" and name not in links]
        for name in (*files, *links):
            if name != ".git":
                path = os.path.join(top, name)
                if (found := content(path)) is not None:
                    yield path, found


def git_directories(root: str | Path) -> Iterator[str]:
    """Every directory below ``root`` in which git would find a repository of its own, ``root`` first."""
    for top, folders, files in os.walk(root):
        if ".git" in folders or ".git" in files:
            yield top
        folders[:] = [name for name in folders if name != ".git"]


def commits(root: str) -> set[str]:
    """The commits that refs, reflogs and unfinished operations of the repository at ``root`` name."""
    words = [*GIT, "-C", root, "rev-parse", "--git-dir", "--git-common-dir"]
    found = subprocess.run(words, capture_output=True, check=False)
    if found.returncode != 0:
        return set()
    pseudo = [name for name in PSEUDO_REFS if _has(root, found.stdout.decode().split("\n")[0], name)]
    listed = subprocess.run(
        [*GIT, "-C", root, "rev-list", "--all", "--reflog", "--ignore-missing", *pseudo, "--"],
        capture_output=True,
        check=False,
    )
    return set(listed.stdout.decode().split())


def _has(root: str, directory: str, name: str) -> bool:
    return os.path.isfile(os.path.join(root, directory, name))


class Ledger:
    """``roots``: the directories that it looks at; more can be added while it is kept."""

    def __init__(self, logs: Path, who: str, roots: Iterable[str], **facts: Any) -> None:
        self.began = time.monotonic_ns()
        self.path = logs / f"ledger-{self.began}-{os.getpid()}.json"
        self.roots = list(roots)
        self.facts = {"who": who, "pid": os.getpid(), **facts}
        self.done: list[str] = []
        self.start = self._files()
        self.start_commits = self._commits()
        self.write()

    def begin(self, act: str) -> None:
        self._store({**self._last, "acting": act})

    def end(self, act: str) -> None:
        self.done.append(act)
        self.write()

    def write(self) -> None:
        now, known = self._files(), self._commits()
        self._last = {
            **self.facts,
            "began": self.began,
            "told": time.monotonic_ns(),
            "acting": None,
            "acts": self.done,
            "roots": self.roots,
            "start": self.start,
            "files": {path: found for path, found in now.items() if self.start.get(path) != found},
            "gone": {path: found for path, found in self.start.items() if now.get(path) != found},
            "commits": sorted(known - self.start_commits),
            "gone_commits": sorted(self.start_commits - known),
        }
        self._store(self._last)

    def _files(self) -> dict[str, str]:
        return {path: found for root in self.roots for path, found in walk(root)}

    def _commits(self) -> set[str]:
        places = {place for root in self.roots for place in git_directories(root)}
        return {commit for place in places for commit in commits(place)}

    def _store(self, facts: dict[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(facts), encoding="utf-8", errors="surrogateescape")
        new.rename(self.path)


def ledgers(logs: Path) -> list[dict[str, Any]]:
    """All that were kept, oldest first."""
    paths = sorted(logs.glob("ledger-*.json"), key=lambda path: int(path.name.split("-")[1]))
    return [json.loads(path.read_text(encoding="utf-8", errors="surrogateescape")) for path in paths]
