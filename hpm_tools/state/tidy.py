"""What a runner does at its start so that state does not grow for ever."""

from __future__ import annotations

from hpm_tools.errors import HpmError
from hpm_tools.state import files, runs, tasklog
from hpm_tools.state.views import all_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.state.paths import StateDir


def tidy(state: StateDir, *, task_days: float = 90.0, run_days: float = runs.KEPT_DAYS) -> list[str]:
    """Remove dead writers' temporary files, and the logs of tasks and runs that are old; returns what went.

    Nothing that a record names is touched. A directory that cannot be tidied is left as it is.
    """
    try:
        if not state.check():
            return []
        kept = [
            state.run_log(view.record.run_id)
            for view in all_records(state)
            if view.record and view.record.run_id
        ]
    except HpmError:
        return []
    gone = [
        name for path in (state.home, state.locks, state.tasks, state.limits) for name in files.sweep(path)
    ]
    return [*gone, *tasklog.prune(state, task_days), *runs.prune(state, days=run_days, in_use=kept)]
