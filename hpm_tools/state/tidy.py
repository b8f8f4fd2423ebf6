"""What a runner does at its start so that state does not grow for ever."""

from __future__ import annotations

import os

from hpm_tools.errors import HpmError
from hpm_tools.state import files, quarantine, runs, tasklog
from hpm_tools.state.views import all_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.state.paths import StateDir


def tidy(state: StateDir, *, days: float = 90.0, run_days: float = runs.KEPT_DAYS) -> list[str]:
    """Remove dead writers' temporary files, and what is old; returns the paths that went.

    ``days`` are for the tasks' logs and settled records, ``run_days`` for the agents' logs. Nothing that a
    record names is touched. A directory that cannot be tidied is left as it is.
    """
    try:
        if not state.check():
            return []
        views = all_records(state)
        kept = [state.run_log(view.record.run_id) for view in views if view.record and view.record.run_id]
    except HpmError:
        return []
    return [
        *(
            path
            for place in (
                *(state.home, state.locks, state.tasks, state.limits, state.spending, state.trust),
                *(os.path.join(state.home, name) for name in ("doubts", "moves")),
            )
            for path in files.sweep(place)
        ),
        *quarantine.prune(state.locks, days),
        *tasklog.prune(state, days),
        *runs.prune(state, days=run_days, in_use=kept),
    ]
