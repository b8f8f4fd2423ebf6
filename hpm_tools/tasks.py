"""Every command as an Invoke task, for a tasks.py of one's own.

``from hpm_tools.tasks import ns`` makes `invoke lock`, `invoke worktree.add`… of all of them. Beside tasks of
one's own there are single tasks and groups: ``from hpm_tools.tasks import run, worktree_add, worktree`` gives the
tasks `run` and `worktree-add`, which may be added to a Collection under any name, and the collection `worktree`.
``fan_out`` declares agents for `invoke run --session NAME` (hpm_tools/fan_out.py).
"""

from __future__ import annotations

import sys
from typing import Any

# `invoke` switches bytecode off before it loads a tasks.py, which makes every later start a third slower.
sys.dont_write_bytecode = False

from hpm_tools import registry  # noqa: E402
from hpm_tools.cli.invoke_tasks import HpmTask  # noqa: E402
from hpm_tools.cli.namespaces import Namespace, namespace  # noqa: E402

ns = namespace(kind=Namespace)

_TASKS = {name.replace(".", "_"): name for name in registry.MODULES}

__all__ = ["fan_out", "ns", *ns.collections, *_TASKS]  # noqa: F822, PLE0604  # __getattr__ has them


def __getattr__(name: str) -> Any:
    """The single task or the group of that name; one object, however often it is imported."""
    if name in ns.collections:
        found: Any = ns.collections[name]
    elif name in _TASKS:
        found = HpmTask(_TASKS[name], name=name)
    elif name == "fan_out":
        from hpm_tools.fan_out import fan_out as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_TASKS, *ns.collections, "fan_out"})
