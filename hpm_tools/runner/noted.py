"""Sentences about one task that its record keeps and that are told once each, up to a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hpm_tools.events.versions import Kind
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record


@dataclass(frozen=True, slots=True)
class Sentences:
    """Where sentences of one sort are kept and how they are told.

    ``field`` is the record's list of them, ``event`` what a new one is told as, after ``lead``. No more than ``most`` are
    kept of a task, each cut to ``longest`` characters. ``subject`` says what one is about: it is told of that only once.
    """

    field: str
    event: Kind
    lead: str
    most: int
    longest: int
    subject: Callable[[str], str] = str

    def of(self, record: Record) -> list[str]:
        """What the record has already; nothing where somebody made the list into something else."""
        found = getattr(record, self.field)
        return [str(sentence) for sentence in found] if isinstance(found, list) else []

    def note(self, tools: Toolbox, record: Record, said: Iterable[str]) -> Record:
        """Journal what the record does not say yet, and tell it; the record as it is now."""
        known = self.of(record)
        if len(known) > self.most:  # the last one says how many more there were
            return record
        seen = {self.subject(sentence) for sentence in known}
        cleaned = dict.fromkeys(one_line(tools.clean(sentence), self.longest) for sentence in said)
        new = [sentence for sentence in cleaned if self.subject(sentence) not in seen]
        if not new:
            return record
        room = self.most - len(known)
        if len(new) > room:
            new = [*new[:room], f"and {len(new) - room} more like these"]
        record = tools.persistence.update(**{self.field: [*known, *new]})
        for sentence in new:
            text = f"task {record.task_id}: {self.lead}{sentence}"
            tools.tell(self.event, text, record=record, what=sentence)
        return record


OUTSIDE = Sentences("strays", "work_outside", "made outside its place: ", most=30, longest=600)
"""What the agent made outside the task's place."""

TAMPERING = Sentences(
    "tampering",
    "tampering",
    "while the agent worked, ",
    # An agent can add hooks and move branches by the thousand.
    most=40,
    # A sentence ends with the command that undoes what it tells, which must not be cut.
    longest=1000,
    # A branch that moves on and on is told once.
    subject=lambda sentence: sentence.partition(" to ")[0],
)
"""What happened to git's own files and to other branches."""
