"""What happened to git's own files and to other branches while an agent worked: journalled and told.

Nothing of it is acted on: what could run was switched off, what was moved stays where it is (docs/design.md, Isolation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.runner import own_moves
from hpm_tools.runner.noted import TAMPERING
from hpm_tools.state.doubts import Doubts

if TYPE_CHECKING:
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.worktree.evidence import Evidence


def note(tools: Toolbox, record: Record, found: Evidence) -> Record:
    """Journal what ``found`` adds to what the record already says, and tell it; the record as it is now.

    To be called after every look, for some of it is seen only once: a pointer that was put right is right.
    """
    if record.snapshot:
        own_moves.note(tools, record, found.own_moves)
    if found.doubtful and record.snapshot:
        Doubts(tools.state, str(record.snapshot["common_dir"])).note(found.doubtful)
    return TAMPERING.note(tools, record, (*found.tampering, *found.moved_refs))
