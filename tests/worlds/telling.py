"""A world in words, as a script that plays it again, and as a test to paste."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from tests.worlds.draw import REGISTERS
from tests.worlds.world import Task, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.worlds.play import Outcome
    from tests.worlds.world import Choice

FOUND = "tests/integration/test_worlds_found.py"
"""Where the tests belong of what was found and mended."""

MOST_OF_A_PROBLEM = 600
MOST_PROBLEMS = 6


def plain(text: str) -> str:
    """What may be shown on any terminal: nothing but ASCII, no control characters."""
    shown = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in shown)


def in_words(world: World) -> list[str]:
    """Everything that it is made of, a line each, in the order in which it comes about."""
    until = "nothing is left to do" if world.lasting else "each has done one task"
    lines = [f"board: {world.board}", f"runners at the same time: {world.runners}, until {until}"]
    lines += [thing("repository", choice) for choice in world.repository]
    lines += [thing("host", choice) for choice in world.host]
    for number, task in enumerate(world.tasks, 1):
        on = "" if task.branch == "main" else f" on branch {task.branch}"
        lines.append(f"task {number}: {task.kind}{on}")
        for nth, run in enumerate(task.runs, 1):
            often = (
                f"run {nth}" if nth < len(task.runs) else f"run {nth} and later" if nth > 1 else "each run"
            )
            lines.append(f"  {often}:")
            lines += [f"    {thing('act', act)}" for act in run.acts]
            lines.append(f"    {thing('outcome', run.outcome)}")
    for kind, events in (("person", world.person), ("fault", world.faults)):
        for event in events:
            about = f" to runner {event.runner + 1}" if kind == "fault" and world.runners > 1 else ""
            lines.append(f"{thing(kind, event.what)}{about}, {moment(event.when)}")
    return [plain(line) for line in lines]


def thing(kind: str, choice: Choice) -> str:
    register = next(register for register in REGISTERS if register.kind == kind)
    if choice.name in register.declared:
        return register.tell(choice)
    return f"{kind} {choice.name}: not declared any more"


def moment(when: str) -> str:
    word, _, what = when.partition(" ")
    if word == "meet":
        return f"while the agent stands still at meet {what}"
    if word == "point":
        name, _, nth = what.partition("#")
        return f"while the runner is at the failpoint {name}, time {nth}"
    return {"before": "before any runner comes", "between": "before the restart"}.get(when, when)


# -- as data


def as_text(world: World) -> str:
    """Its JSON in ASCII, without what is as it is anyway, on lines of one part each."""
    facts = without_defaults(msgspec.to_builtins(world), World)
    facts["tasks"] = [without_defaults(task, Task) for task in facts.get("tasks", [])]
    return "{\n" + ",\n".join(f'  "{name}": {in_lines(value)}' for name, value in facts.items()) + "\n}"


def without_defaults(facts: dict[str, Any], of: type[msgspec.Struct]) -> dict[str, Any]:
    defaults = {
        field.name: msgspec.to_builtins(field.default)
        for field in msgspec.structs.fields(of)
        if field.default is not msgspec.NODEFAULT
    }
    return {name: value for name, value in facts.items() if value != defaults.get(name, msgspec.NODEFAULT)}


def in_lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value)
    return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"


def as_script(world: World) -> str:
    """Shell lines that play it."""
    return f"./inv worlds --play - <<'EOF'\n{as_text(world)}\nEOF"


def as_test(world: World, problems: Sequence[str]) -> str:
    """A test to paste into test_worlds_found.py."""
    first = problems[0] if problems else ""
    kinds = sorted(
        name.partition(" ")[2]
        for name in world.ingredients()
        if name.partition(" ")[0] in ("repository", "host", "fault", "person")
    )
    words = [first.partition(":")[0] or "holds", *kinds]
    name = re.sub(r"\W+", "_", "_".join(words)).strip("_").lower()[:80]
    said = plain(first).replace("\n", " ")[:90]
    return f'def test_{name}(holds: Holds) -> None:\n    # {said}\n    holds(\n        r"""\n{as_text(world)}\n"""\n    )'


def problems_of(problems: Sequence[str]) -> Iterator[str]:
    """What the invariants object, cut where it is long or much."""
    for problem in problems[:MOST_PROBLEMS]:
        text = plain(problem)
        yield text if len(text) <= MOST_OF_A_PROBLEM else f"{text[:MOST_OF_A_PROBLEM]} [...]"
    if len(problems) > MOST_PROBLEMS:
        yield f"and {len(problems) - MOST_PROBLEMS} more"


def of_a_failure(outcome: Outcome) -> str:
    """What a failing test says of a world: what is wrong, the world, and how to play it again."""
    lines = [
        f"{outcome.world.name} does not hold",
        *(f"-> {problem}" for problem in problems_of(outcome.problems)),
        *in_words(outcome.world),
        "",
        "Play it again, and make it smaller:",
        as_script(outcome.world).replace("--play -", "--shrink 300 --play -"),
        "",
        plain(outcome.told),
    ]
    return "\n".join(lines)
