"""What a runner does at its start so that state does not grow for ever."""

from __future__ import annotations

import os

from hpm_tools.errors import HpmError
from hpm_tools.state import files, last_seen, pickup, quarantine, runs, tasklog
from hpm_tools.state.views import all_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.state.paths import StateDir


def tidy(state: StateDir, *, days: float = 90.0, run_days: float = runs.KEPT_DAYS) -> list[str]:
    """Remove dead writers' temporary files, and what is old; returns the paths that went.

    ``days`` are for the tasks' logs, settled records and agents no longer heard, ``run_days`` for the agents' logs.
    Nothing that a record names is touched. A directory that cannot be tidied is left as it is.
    """
    try:
        if not state.check():
            return []
        views = all_records(state)
        run_ids = [view.record.run_id for view in views if view.record and view.record.run_id]
        kept = [state.run_log(run_id) for run_id in run_ids]
    except HpmError:
        return []
    return [
        *(
            path
            for place in (
                *(state.home, state.locks, state.tasks, state.limits, state.spending, state.trust),
                *(os.path.join(state.home, name) for name in ("doubts", "moves")),
                *(state.before, state.seen),
            )
            for path in files.sweep(place)
        ),
        *last_seen.prune(state, days),
        *quarantine.prune(state.locks, days),
        *tasklog.prune(state, days),
        *pickup.prune(state, days),
        *runs.prune(state.runs, days=run_days, in_use=kept),
        *runs.prune(state.before, days=run_days, in_use=[state.refs_file(run_id) for run_id in run_ids]),
    ]
