"""The one declaration: complete, explained, and cheap to find."""

from __future__ import annotations

import pytest

from hpm_tools import registry
from hpm_tools.registry import Arg, Result, command

COMMANDS = tuple(registry.MODULES)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_declared_where_the_table_says_and_explains_itself(name: str) -> None:
    found = registry.find(name)
    assert found is not None
    assert found.name == name
    assert found.function.__module__ == registry.MODULES[name]
    assert found.summary.endswith("."), "one sentence on the docstring's first line"
    assert len(found.summary) <= 110
    assert "hpm" in found.example
    assert name in found.example
    names = [option.name for option in found.options]
    assert sorted(found.args) == sorted(names), "every parameter is explained and nothing else"
    assert not {"json", "quiet", "verbose", "help", "version"} & set(names), "these belong to every command"
    for option in found.options:
        assert option.arg.help, option.name
        assert option.kind != "bool" or option.default in (True, False)
        assert not option.multiple or option.default is None
        assert option.arg.short not in ("q", "v", "h")


def test_modules_register_nothing_that_the_table_does_not_have() -> None:
    for module in set(registry.MODULES.values()):
        __import__(module)
    ours = {
        name
        for name, known in registry._registered.items()
        if known.function.__module__.startswith("hpm_tools")
    }
    assert ours == set(registry.MODULES)


def test_an_unknown_name_finds_nothing() -> None:
    assert registry.find("no.such") is None


def test_a_signature_that_no_command_line_can_carry_is_refused() -> None:
    @command("sample.unfit", example="", args={"what": Arg("")})
    def unfit(_ui: object, *, what: dict[str, str]) -> Result[dict[str, object]]:
        return Result({"what": what})

    assert unfit.__name__ == "unfit"
    try:
        with pytest.raises(TypeError, match="what"):
            _ = registry._registered["sample.unfit"].options
    finally:
        del registry._registered["sample.unfit"]
