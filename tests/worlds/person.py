"""What a person does beside the runners, in the same repository or on the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from tests.worlds.site import Site

PERSON: Register[..., None] = Register("person")


@PERSON.declare()
def commits(site: Site) -> None:
    """A person commits a file of his own in the checkout."""
    (site.repo / "person.txt").write_text("a person's\n", encoding="utf-8")
    site.plain_git("add", "person.txt")
    site.plain_git("commit", "--quiet", "-m", "A person's commit", "--", "person.txt")


@PERSON.declare()
def edits(site: Site) -> None:
    """A person edits a file in the checkout and does not commit it."""
    (site.repo / "person-edit.txt").write_text("a person's edit\n", encoding="utf-8")
