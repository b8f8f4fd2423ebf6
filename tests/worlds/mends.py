"""What was mended is taken out again, to show that the generator finds it.

A mend is a copy of the package whose functions do again what they did before a row of "Seen in real use" was mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from tests.campaign.edits import Edit

TOGETHER = " + "

UNREACHABLE = {
    "A7": "a changelog of more than 32 MiB takes minutes to make, and no world lasts as long",
    "B10": "nobody in a world runs a hook by hand, and so by a mistyped name",
    "B13": "agents must be refused at three tasks in a row, and a world has no more",
    "C4": "references in a reftable need git 2.45; an older git ignores the extension, or knows no repository there",
    "D12": "a signal is lost only while Python runs a callback, or where the kernel gives it to another thread",
    "F1": "what the Claude CLI lets an agent's shell do is the CLI's own doing",
    "F4": "nobody opens the dashboard in a browser",
    "F5": "the board of all worlds is one process of the tests' own, and nobody serves the dashboard",
    "F8": "no service receives notices",
}
"""Row → why no world comes to what it is about."""


@dataclass(frozen=True, slots=True)
class Mend:
    """The mend of ``row`` taken out by ``edits``; ``what`` says what the code does again.

    ``needs``: a world without any of these ingredients (``World.ingredients``) cannot show it; one that is several
    joined by " + " needs them all. ``objects``: the invariants that are expected to object; empty: any.
    """

    row: str
    what: str
    edits: Sequence[Edit]
    needs: tuple[str, ...]
    objects: tuple[str, ...] = ()

    def can_show(self, ingredients: AbstractSet[str]) -> bool:
        """Whether a world of these ingredients may show that the mend is gone."""
        return not self.needs or any(set(need.split(TOGETHER)) <= ingredients for need in self.needs)
