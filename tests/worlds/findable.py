"""Where a byte can be found again: in what references and reflogs reach, in archives, and in files on the disk."""

from __future__ import annotations

import functools
import io
import os
import re
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.worlds import gitfiles
from tests.worlds.ledger import blob, ledgers, walk
from tests.worlds.remains import git_directory, trees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.worlds.site import Site

NO_PLACES = frozenset({"logs", "backup", "tmp", "bin"})
"""What lies in a site's directory and is the tests' own."""

PLAIN = ("HEAD", "logs/HEAD#")
"""What a person looks at without being told, beside the checkout's branch."""


class Findable:
    """Every object and file of a site, by git's name of it.

    ``words``: all that anybody was told. ``named`` is what can be found by a person who knows these words.
    """

    def __init__(self, site: Site, words: str = "") -> None:
        self.site = site
        self.words = words
        self.places = [found for top in places(site) for found in gitfiles.git_directories(str(top))]
        self.tips = {place: gitfiles.tips(place) for place in self.places}
        here = gitfiles.references(str(git_directory(site))).get("HEAD", "").removeprefix("ref: ")
        self.plain = {"refs/heads/main", *([here] if here.startswith("refs/") else [])}
        self.beside = tuple(repositories_beside(site))

    @functools.cached_property
    def everything(self) -> set[str]:
        """Where anybody could find it who looked everywhere."""
        found: set[str] = set()
        for place, tips in self.tips.items():
            found |= self.reached(place, tips.values())
        for top in (*places(self.site), *self.site.stores):
            found |= {name for _, name in walk(top)}
        for path in self.site.directory.rglob("*.tar"):
            found |= in_archive(path)
        return found

    @functools.cached_property
    def named(self) -> set[str]:
        """What lies where a person looks first, or where somebody was told that it is."""
        found: set[str] = set()
        operators = str(git_directory(self.site))
        for place, tips in self.tips.items():
            # Who knows of another repository than the operator's own looks at all that it has, its stash, too.
            is_other = not f"{place}/".startswith(f"{operators}/")
            if self.is_plain(place):
                chosen = [commit for name, commit in tips.items() if is_other or self.is_told(name)]
                found |= self.reached(place, chosen)
        kept_aside = trees(self.site)
        for top in (*places(self.site), *self.site.stores):
            found |= {
                name
                for path, name in walk(top)
                if not path.startswith(f"{kept_aside}/") or self.is_plain(path)
            }
        for path in self.site.directory.rglob("*.tar"):
            # A salvage that is told vouches for its archive, and brings it back.
            found |= in_archive(path)
        return found

    def reached(self, place: str, commits: Iterable[str]) -> set[str]:
        """What the commits reach, and what a checkout makes of it where a filter or a line ending changes files."""
        found = gitfiles.reach(place, commits)
        smudges = self.site.smudges
        if smudges:
            found |= {blob(smudge(content)) for content in gitfiles.blobs(place, found) for smudge in smudges}
        return found

    def is_plain(self, path: str) -> bool:
        """Whether ``path`` lies in the checkout itself, or in a directory that somebody was told of."""
        own = str(trees(self.site))
        if not f"{os.path.realpath(path)}/".startswith(f"{own}/") or f"{path}/".startswith(self.beside):
            return True
        parts = Path(os.path.realpath(path)).relative_to(own).parts
        tops = [os.path.join(own, *parts[:depth]) for depth in range(1, min(len(parts), 3) + 1)]
        return any(says(self.words, top) for top in tops)

    def is_told(self, tip: str) -> bool:
        """Whether a person would find a reference: by looking at the checkout, or because its name was told."""
        name = tip.partition("#")[0].removeprefix("logs/")
        if tip.startswith(PLAIN) or name in self.plain:
            return True
        if name == "refs/stash":
            return "stash" in self.words
        if name.startswith("refs/"):
            return says(self.words, name.removeprefix("refs/heads/")) or says(self.words, name)
        # The files of a worktree that is still there, and of an operation that waits in the checkout.
        return not name.startswith("worktrees/") or says(self.words, f"/{name.split('/')[1]}", below=True)


def repositories_beside(site: Site) -> Iterator[str]:
    """Repositories of their own that agents made outside their places: no runner looks there, and none moves them."""
    for ledger in ledgers(site.logs):
        if ledger["who"] == "agent":
            for root in ledger["roots"]:
                common = gitfiles.common_directory(root) if root != ledger["cwd"] else None
                if common is not None and common.startswith(f"{root}/"):
                    yield f"{root}/"


def says(words: str, name: str, *, below: bool = False) -> bool:
    """Whether ``name`` stands in ``words``, and not as a part of a longer name; ``below``: its end may."""
    before = "" if below else r"(?<![\w/.-])"
    return re.search(rf"{before}{re.escape(name)}(?![\w-]|\.\w)", words) is not None


def places(site: Site) -> list[Path]:
    """Where people and hpm keep things: every directory of the site but the tests' own."""
    return sorted(path for path in site.directory.iterdir() if path.is_dir() and path.name not in NO_PLACES)


def in_archive(path: Path) -> set[str]:
    """The blob names of the files in a tar archive, and what the repositories reach that lie in it."""
    found, repositories = set(), False
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                repositories |= member.name.endswith("/HEAD")
                if (content := tar.extractfile(member)) is not None:
                    found.add(blob(content.read()))
                elif member.issym():
                    found.add(blob(member.linkname.encode("utf-8", "surrogateescape")))
    except (tarfile.TarError, OSError):
        return found
    return found | (in_archived_repositories(path.read_bytes()) if repositories else set())


def in_archived_repositories(data: bytes) -> set[str]:
    found: set[str] = set()
    with tempfile.TemporaryDirectory() as place, tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(place, filter="tar")
        for repository in gitfiles.git_directories(place):
            found |= gitfiles.reach(repository, gitfiles.tips(repository).values())
    return found
