"""`fan_out`: the setting `sessions` for many agents, from the values of their options, for a tasks.py."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING

from hpm_tools.config.model import Session
from hpm_tools.config.values import convert, show

if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.config.settings import Setting

    AnyPath = str | os.PathLike[str]


def fan_out(
    *,
    role: str | Iterable[str],
    agent_id: str | Iterable[str] = "{role}_{n:03}",
    count: int = 1,
    level: str | Iterable[str] | None = None,
    executor: str | Iterable[str] | None = None,
    on_problem: str | Iterable[str] | None = None,
    max_tasks: int | Iterable[int] | None = None,
    hooks_dir: AnyPath | Iterable[AnyPath] | None = None,
    roles_dir: AnyPath | Iterable[AnyPath] | None = None,
) -> list[dict[str, Any]]:
    """Declare agents by the values of their options, as pytest and Nox parametrise.

    Each option is one value, which all agents have, or several: then there is an agent for each of them, and where
    several options have several, for each combination, in the order of the parameters (the last one changes
    first). ``count`` makes so many agents of each combination. For what is no product add the lists of two calls.

    ``agent_id`` is a pattern (str.format) of the options that are given and ``n``, which counts from 1 those
    agents whose ids are otherwise the same. Several patterns are one more option to combine.

        fan_out(role=["backend_dev", "qa"], count=2, level="senior")   # backend_dev_001, _002, qa_001, qa_002
        fan_out(role="backend_dev", agent_id=["ada", "grace"]) + fan_out(role="qa", executor="command")

    Returns what the setting `sessions` takes: ``ns.configure({"hpm": {"sessions": fan_out(…)}})``.
    Raises ValueError for a value that the setting would refuse, and for two agents with the same id.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"count must be a whole number from 1 on, not {count!r}")
    options: dict[str, Any] = {
        "role": role,
        "agent_id": agent_id,
        "level": level,
        "executor": executor,
        "on_problem": on_problem,
        "max_tasks": max_tasks,
        "hooks_dir": hooks_dir,
        "roles_dir": roles_dir,
    }
    several = {
        name: [value if name == "agent_id" else _checked(name, value) for value in _several(given)]
        for name, given in options.items()
        if given is not None or Session._fields[name].required
    }
    numbers: Counter[str] = Counter()
    sessions: dict[str, dict[str, Any]] = {}
    for combination in product(*several.values()):
        values = dict(zip(several, combination, strict=True))
        pattern = values.pop("agent_id")
        for _ in range(count):
            # What the pattern gives for one number tells its agents from those of another pattern or combination.
            alike = _named(pattern, values, 0)
            numbers[alike] += 1
            name = _checked("agent_id", _named(pattern, values, numbers[alike]))
            if name in sessions:
                raise ValueError(
                    f"two agents would be called {name!r}: tell them apart in agent_id, "
                    f"by the options or by their number, as in {name + '_{n:03}'!r}"
                )
            sessions[name] = {"agent_id": name, **values}
    return list(sessions.values())


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else [given]


def _checked(name: str, value: Any) -> Any:
    """The value, a path as text and an Enum as what it stands for; ValueError if the setting would refuse it."""
    field: Setting = Session._fields[name]
    plain = os.fspath(value) if field.path and isinstance(value, os.PathLike) else value
    if isinstance(plain, str):
        plain = str.__str__(plain)
    try:
        convert(field, plain, text=False, base="")
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    return plain


def _named(pattern: Any, values: dict[str, Any], number: int) -> str:
    if not isinstance(pattern, str):
        raise ValueError(f"agent_id must be text, not {show(pattern)}")  # noqa: TRY004  # as for every wrong value
    try:
        return pattern.format(**values, n=number)
    except KeyError as error:
        known = ", ".join(f"{{{name}}}" for name in (*values, "n"))
        raise ValueError(f"agent_id {pattern!r} has the unknown field {error}; there are {known}") from None
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"agent_id {pattern!r} is no pattern of str.format: {error}") from None
