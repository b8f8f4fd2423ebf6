"""What Invoke knows of the settings and hands to a task in its context: the file of ``-f``, and ns.configure.

The other places the configuration reads by itself (config/load.py), as it does for ``hpm``. This module imports nothing
of it: under Invoke, too, most locks are taken without settings.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke.context import Context


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # relative paths mean nothing there
        return ""


STARTED_IN = _directory()
"""Where Invoke was started, as good as: a tasks.py imports this. A task may change the directory before it calls ours."""


@contextmanager
def settings_of(context: Context | None) -> Iterator[None]:
    """While the block runs, the configuration counts in what ``context`` was made with.

    Raises UsageError for a file of ``-f`` that does not exist, which Invoke ignores without a word.
    """
    # Private in Invoke 3, but nothing else says which file -f named, what came from ns.configure alone, and whether
    # there is an invoke.yaml beside the tasks.py.
    config = getattr(context, "config", None)
    named = getattr(config, "_runtime_path", None)
    section = (getattr(config, "_collection", None) or {}).get("hpm")
    beside = (getattr(config, "_project", None) or {}).get("hpm")
    project = os.path.join(STARTED_IN, getattr(config, "_project_prefix", None) or os.curdir)
    if named is None and section is None and beside is None:
        yield
        return
    from hpm_tools.config import invoke_files

    path = invoke_files.runtime.get()
    if named is not None and named == os.environ.get(invoke_files.RUNTIME):
        path = invoke_files.absolute(named, STARTED_IN)
    elif named is not None:
        path = invoke_files.named_file(os.fspath(named), STARTED_IN)
    runtime = invoke_files.runtime.set(path)
    configured = invoke_files.configured.set(
        None if section is None and beside is None else invoke_files.Configured(section, project, _trust_task)
    )
    try:
        yield
    finally:
        invoke_files.configured.reset(configured)
        invoke_files.runtime.reset(runtime)


def _trust_task() -> str:
    """How `trust` is called here: under the name that the tasks.py in use gives it, if any."""
    from invoke.main import program

    root = getattr(program, "collection", None)
    if root is None:
        return "invoke trust"
    names = [name for name in root.task_names if getattr(root[name], "command_name", "") == "trust"]
    if not names:
        return "import trust from hpm_tools.tasks in the tasks.py, then: invoke trust"
    return f"invoke {min(names, key=len)}"
