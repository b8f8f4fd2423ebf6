"""What a repository can be: each part changes the checkout before any runner comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.repos import make_repo
from tests.worlds.declared import Register

if TYPE_CHECKING:
    from tests.worlds.site import Site

REPOSITORY: Register[..., None] = Register("repository")


@REPOSITORY.declare(rows=("C1", "B5", "E7"))
def submodule(site: Site) -> None:
    """It has a submodule."""
    lib = make_repo(site.directory / "lib")
    site.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib.root), "lib")
    site.git("commit", "--quiet", "-m", "Add a submodule")


@REPOSITORY.declare()
def dirty(site: Site) -> None:
    """Somebody's uncommitted changes are in the checkout."""
    (site.repo / "mine.txt").write_text("do not touch\n", encoding="utf-8")
    (site.repo / "README.md").write_text("mine too\n", encoding="utf-8")


@REPOSITORY.declare(rows=("C5",))
def operators_stash(site: Site) -> None:
    """The operator has two stashes."""
    for number in range(2):
        (site.repo / "README.md").write_text(f"stashed {number}\n", encoding="utf-8")
        site.git("stash", "push", "--quiet")
