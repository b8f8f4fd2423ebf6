"""Events of commands that must stay quick: the next process that opens the file of events takes them in."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.events.versions import Kind
    from hpm_tools.state.record import Record


def note_event(event: Kind, agent_id: str, *, record: Record | None = None, **data: Any) -> None:
    """Note what a command did. Nothing is raised, and nothing kept where no runner has ever kept an event."""
    from hpm_tools.events import spool
    from hpm_tools.state import quickjson
    from hpm_tools.state.paths import StateDir

    path = StateDir().events
    if not os.path.exists(path):
        return
    if record is not None:
        data["task"] = record.task_id
    fields = {
        "at": time.time(),
        "event": event,
        "agent": agent_id,
        "role": (record.role if record is not None else None) or "",
        "board": (record.board if record is not None else None) or "",
        "task": data.pop("task", None),
        "run": record.run_id if record is not None else None,
        "host": os.uname().nodename,
        "data": data,
    }
    try:
        spool.append(path + spool.SUFFIX, quickjson.line(fields))
    except ValueError:
        return
