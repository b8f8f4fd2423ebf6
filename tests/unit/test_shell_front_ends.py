"""The shell tests call the commands by both front ends in equal measure."""

from __future__ import annotations

import re
from collections import Counter

from hpm_tools import registry
from tests.support.frontends import PROJECT

SCRIPTS = sorted((PROJECT / "tests" / "integration" / "shell").glob("*.sh"))
ONE_FRONT_END_IS_ENOUGH = {"demo"}
"""What takes long."""


def calls() -> Counter[tuple[str, str]]:
    """How often the scripts' text calls which command by which program; each of several in one call of Invoke counts."""
    found: Counter[tuple[str, str]] = Counter()
    for script in SCRIPTS:
        text = re.sub(r"^\s*#.*", "", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = text.replace("\\\n", " ")
        for program, words in re.findall(r"(?<![\w/.-])(hpm|invoke) ([^|;&)<>\n]+)", text):
            names = [word for word in words.split() if word in registry.MODULES]
            found.update((program, name) for name in names)
    return found


def test_about_half_of_the_calls_go_through_invoke() -> None:
    found = calls()
    by_invoke = sum(count for (program, _), count in found.items() if program == "invoke")
    assert 0.4 <= by_invoke / found.total() <= 0.6, found


def test_each_command_is_called_by_both() -> None:
    found = calls()
    called = {name for _, name in found}
    assert {name for name in called if len({program for program, at in found if at == name}) == 1} == (
        ONE_FRONT_END_IS_ENOUGH
    )
