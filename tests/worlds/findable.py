"""Where a byte can be found again: in what refs and reflogs reach, in archives, and in files on the disk."""

from __future__ import annotations

import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.worlds.ledger import GIT, blob, git_directories, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.worlds.site import Site


class Findable:
    """Every object and file below a site's directory, by git's name of it."""

    def __init__(self, site: Site) -> None:
        self.names: set[str] = set()
        for place in git_directories(site.directory):
            stored = reachable(place)
            self.names |= stored | smudged(place, stored, site.smudges)
        for top in (site.repo, site.state, site.elsewhere, *site.stores):
            self.names |= {found for _, found in walk(top)}
        for path in site.directory.rglob("*.tar"):
            self.names |= in_archive(path)

    def holds(self, name: str) -> bool:
        return name in self.names


def reachable(place: str) -> set[str]:
    """All objects that refs and reflogs of the repository at ``place`` reach."""
    # As it is, not as a replace ref or a graft shows it; what a partial clone never had is not asked for.
    words = ["rev-list", "--objects", "--no-object-names", "--all", "--reflog"]
    words += ["--ignore-missing", "--missing=allow-any"]
    done = subprocess.run([*GIT, "-C", place, *words], capture_output=True, check=False)
    return set(done.stdout.decode().split())


def smudged(place: str, stored: set[str], smudges: Sequence[Callable[[bytes], bytes]]) -> set[str]:
    """The names of the files that ``smudges`` make of the ``stored`` blobs of the repository at ``place``."""
    if not smudges:
        return set()
    words = ["cat-file", "--batch", "--batch-all-objects", "--unordered"]
    said = subprocess.run([*GIT, "-C", place, *words], capture_output=True, check=False).stdout
    names, at = set(), 0
    while (end := said.find(b"\n", at)) >= 0:
        name, kind, size = said[at:end].split()
        text = said[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
        if kind == b"blob" and name.decode() in stored:
            names |= {blob(smudge(text)) for smudge in smudges}
    return names


def in_archive(path: Path) -> set[str]:
    """The blob names of the files in a tar archive."""
    found = set()
    with tarfile.open(path) as tar:
        for member in tar:
            if (content := tar.extractfile(member)) is not None:
                found.add(blob(content.read()))
            elif member.issym():
                found.add(blob(member.linkname.encode("utf-8", "surrogateescape")))
    return found
