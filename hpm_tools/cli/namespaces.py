"""The Collections that our tasks come in: all of them, with those of a tasks.py that has it as its ``ns``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import Task

from hpm_tools import registry
from hpm_tools.cli.invoke_tasks import HpmTask

if TYPE_CHECKING:
    from types import ModuleType

NAME = "hpm"


class Namespace(Collection):
    """The commands, and the tasks of the module that has it as its ``ns``.

    In ``from hpm_tools.tasks import ns`` with a ``@task`` below it Invoke takes ``ns`` for the whole of the
    tasks.py, and would never see the task.
    """

    _own: Any = None

    @property
    def tasks(self) -> Any:
        for module in _modules_of(self):
            for value in vars(module).values():
                if isinstance(value, Task) and not isinstance(value, HpmTask):
                    self._add_own(value)
        return self._own

    @tasks.setter
    def tasks(self, tasks: Any) -> None:
        self._own = tasks

    def _add_own(self, task: Task[Any]) -> None:
        name = self.transform(task.name)
        if name in self.collections:
            raise Exit(
                f"error: the task {name!r} of your tasks.py has the name of a group of hpm-tools' commands\n"
                "  give it another one: @task(name=…)",
                code=2,
            )
        if self._own.get(name) is not task:
            self._own[name] = task
            for alias in task.aliases:
                self._own.alias(self.transform(alias), to=name)
            if task.is_default:
                self.default = name


def _modules_of(ns: Namespace) -> list[ModuleType]:
    """The modules that are a tasks.py with ``ns`` as its namespace; Invoke has them in sys.modules while it runs them."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name != "hpm_tools.tasks"
        and any(getattr(module, "__dict__", {}).get(called) is ns for called in ("ns", "namespace"))
    ]


def namespace(*extra: Task[Any], kind: type[Collection] = Collection) -> Collection:
    """Every command as a task under its dotted name, and ``extra`` tasks of the project's own.

    Its own name counts only in somebody else's Collection: `hpm.lock`.
    """
    root = kind(NAME)
    groups: dict[str, Collection] = {}
    for name in registry.MODULES:
        group, dot, _ = name.rpartition(".")
        if dot and group not in groups:
            groups[group] = Collection(group)
            root.add_collection(groups[group])
        (groups[group] if dot else root).add_task(HpmTask(name))
    for task in extra:
        root.add_task(task)
    return root
