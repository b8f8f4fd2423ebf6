"""The one declaration: complete, explained, and cheap to find."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hpm_tools import registry
from hpm_tools.registry import Arg, Result, command

COMMANDS = tuple(registry.MODULES)


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after ``code``, site-packages' own start-up excepted."""
    program = f"import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_registry_imports_nothing_that_costs() -> None:
    assert modules_after("import hpm_tools.registry") <= {"__future__", "hpm_tools", "hpm_tools.registry"}


def test_the_quick_front_end_imports_the_standard_library_only() -> None:
    loaded = modules_after("import hpm_tools.cli.hpm")
    assert not loaded & {
        "argparse",
        "invoke",
        "requests",
        "inspect",
        "dataclasses",
        "re",
        "json",
        "enum",
        "typing",
    }
    # Those built into the interpreter are there already.
    free = {"__future__", *sys.builtin_module_names}
    assert {name for name in loaded if not name.startswith("hpm_tools")} <= free


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


@pytest.mark.parametrize("name", ["lock", "unlock", "locks"])
def test_the_local_lock_commands_stay_on_the_standard_library(name: str) -> None:
    local = {"lock": "--agent-id a --task-id 1 --local", "unlock": "--agent-id a --local", "locks": ""}[name]
    code = f"import hpm_tools.cli.hpm as h; h.main({[name, *local.split()]!r}); sys.stdout.flush()"
    program = f"import os, sys; {code}; print(*sorted(sys.modules), file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    loaded = {module.partition(".")[0] for module in result.stderr.splitlines()[-1].split()}
    assert not loaded & {
        "invoke",
        "requests",
        "urllib3",
        "msgspec",
        "yaml",
        "psutil",
        "colorama",
        "dataclasses",
    }
