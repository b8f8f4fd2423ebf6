"""The Collections that our tasks come in: all of them, with those of a tasks.py that has it as its ``ns``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import Task

from hpm_tools import registry
from hpm_tools.cli.invoke_tasks import HpmTask

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "hpm"


class Namespace(Collection):
    """The commands, and the tasks of the module that has it as its ``ns``.

    In ``from hpm_tools.tasks import ns`` with a ``@task`` below it Invoke takes ``ns`` for the whole of the
    tasks.py, and would never see the task.
    """

    _own: Any = None
    _placed: frozenset[int] = frozenset()
    """The ids of the tasks that somebody added, perhaps under another name."""
    is_complete = False
    """Before that no module can have it, and looking through all of them for each command would cost 10 ms."""

    def add_task(
        self,
        task: Task[Any],
        name: str | None = None,
        aliases: tuple[str, ...] | None = None,
        default: bool | None = None,
    ) -> None:
        self._placed |= {id(task)}
        found = self.transform(task.name)
        if self._own.get(found) is task:
            for alias in task.aliases:
                self._own.aliases.pop(self.transform(alias), None)
            del self._own[found]
            self.default = None if self.default == found else self.default
        self._make_room([*task.aliases, *(aliases or ())])
        super().add_task(task, name, aliases, default)

    def _make_room(self, aliases: Sequence[str]) -> None:
        """Take away commands that are called as somebody's task is, too: theirs wins, as it does under its first name."""
        for alias in map(self.transform, aliases):
            if isinstance(self._own.get(alias), HpmTask):
                del self._own[alias]

    @property
    def tasks(self) -> Any:
        found: dict[str, Task[Any]] = {}
        for module in _modules_of(self) if self.is_complete else ():
            # By type(): an object that stands for another, as in Django and Flask, may raise when asked for its class.
            its = [value for value in list(_variables(module).values()) if issubclass(type(value), Task)]
            found = {self.transform(task.name): task for task in its if not isinstance(task, HpmTask)} | found
        for name, task in found.items():
            if id(task) not in self._placed and self._own.get(name) is not task:
                self._add_found(name, task)
        return self._own

    @tasks.setter
    def tasks(self, tasks: Any) -> None:
        self._own = tasks

    def _add_found(self, name: str, task: Task[Any]) -> None:
        aliases = [self.transform(alias) for alias in task.aliases]
        for called in (name, *aliases):
            if called in self.collections:
                raise Exit(
                    f"error: the task {called!r} of your tasks.py has the name of a group of hpm-tools' commands\n"
                    "  give it another one: @task(name=…)",
                    code=2,
                )
        if task.is_default and self.default not in (None, name):
            raise Exit(
                f"error: {name!r} of your tasks.py cannot be the default, because {self.default!r} is it already",
                code=2,
            )
        self._own[name] = task
        self._make_room(aliases)
        for alias in aliases:
            self._own.alias(alias, to=name)
        if task.is_default:
            self.default = name


def _modules_of(ns: Namespace) -> list[Any]:
    """The modules that are a tasks.py with ``ns`` as its namespace.

    Invoke has put the one that it runs into sys.modules before those that this one imports; so it comes first.
    """
    return [
        module
        for name, module in list(sys.modules.items())
        if name != "hpm_tools.tasks"
        and any(_variables(module).get(called) is ns for called in ("ns", "namespace"))
    ]


def _variables(module: object) -> dict[str, Any]:
    """A module's own, without asking it: a lazy one (importlib.util.LazyLoader) would load itself."""
    if not issubclass(type(module), ModuleType):
        return {}  # a class instance in sys.modules, as some packages have, may do anything when asked
    variables: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return variables


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
    if isinstance(root, Namespace):
        root.is_complete = True
    return root
