"""The account's usage limits: what one runner of this host learnt holds back all of them."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from hpm_tools.state.limits import Limits
from hpm_tools.text import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

LONGEST_SLEEP = 60.0
"""The wall clock may be set, and the limit be lifted, while a runner sleeps; seconds."""


def closed_until(tools: Toolbox, task: Mapping[str, object]) -> float | None:
    """The Unix time at which an agent for ``task`` may start; None if it may now."""
    return _until(tools, tools.model or tools.models.model_for_task(task))


def all_closed_until(tools: Toolbox) -> float | None:
    """The Unix time at which the first agent may start, while none may, whatever its task; else None."""
    models = [tools.model] if tools.model else tools.models.models.values()
    ends = [end for model in models if (end := _until(tools, model)) is not None]
    return min(ends) if len(ends) == len(models) else None


def _until(tools: Toolbox, model: str) -> float | None:
    if tools.executor.name != "claude":
        return None
    return Limits(tools.state).until(tools.config.account, model)


def tell_over(tools: Toolbox, seconds: float, record: Record | None = None) -> None:
    """Say that agents may start again after ``seconds`` of waiting."""
    what = f"task {record.task_id}: " if record is not None else ""
    text = f"{what}the usage limit is over after {duration(seconds)}"
    tools.tell("limit_over", record=record, seconds=round(seconds, 1), text=text)


def pause(tools: Toolbox, until: float) -> float:
    """Seconds to sleep before the next look whether the window that opens at ``until`` is open.

    Spread beyond that moment: the first runner of the account finds out, before the others try, whether
    the window is open by the service's clock too.
    """
    left = until - time.time() + random.uniform(0.0, tools.config.retry_pause)  # noqa: S311
    return min(LONGEST_SLEEP, max(0.1, left))
