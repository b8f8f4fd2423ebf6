"""What happened to git's own files and to other branches while an agent worked: journalled and told.

Nothing of it is acted on: what could run was switched off, what was moved stays where it is (docs/design.md, Isolation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.runner import own_moves
from hpm_tools.state.doubts import Doubts
from hpm_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.worktree.evidence import Evidence

MOST = 40
"""Sentences kept of one task: an agent can add hooks and move branches by the thousand."""
LONGEST = 1000
"""A sentence ends with the command that undoes what it tells, which must not be cut."""


def note(tools: Toolbox, record: Record, found: Evidence) -> Record:
    """Journal what ``found`` adds to what the record already says, and tell it; the record as it is now.

    To be called after every look, for some of it is seen only once: a pointer that was put right is right.
    """
    if record.snapshot:
        own_moves.note(tools, record, found.own_moves)
    if found.doubtful and record.snapshot:
        Doubts(tools.state, str(record.snapshot["common_dir"])).note(found.doubtful)
    return note_sentences(tools, record, (*found.tampering, *found.moved_refs))


def note_sentences(tools: Toolbox, record: Record, sentences: Iterable[str]) -> Record:
    """Journal and tell those of ``sentences`` that the record does not say yet."""
    known: list[str] = list(record.tampering or [])
    if len(known) > MOST:
        return record
    seen = {_subject(sentence) for sentence in known}
    said = (one_line(sentence, LONGEST) for sentence in sentences)
    new = [sentence for sentence in said if _subject(sentence) not in seen]
    if not new:
        return record
    room = MOST - len(known)
    if len(new) > room:
        new = [*new[:room], f"and {len(new) - room} more like these"]
    record = tools.persistence.update(tampering=[*known, *new])
    for sentence in new:
        tools.tell(
            "tampering",
            record=record,
            what=sentence,
            text=f"task {record.task_id}: while the agent worked, {sentence}",
        )
    return record


def _subject(sentence: str) -> str:
    """What a sentence is about: a branch that moves on and on is told once."""
    return sentence.partition(" to ")[0]
