"""hpm_tools/tasks.pyi, made from the registry: what editors and type checkers know of the tasks."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from hpm_tools import registry
from hpm_tools.cli.python_calls import signature

if TYPE_CHECKING:
    from hpm_tools.registry import Command

HEAD = """\
# Every command as a typed function, for editors and type checkers. Made from the code by `./inv docs`.
# fmt: off

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from invoke.collection import Collection
from invoke.context import Context

from hpm_tools.cli.invoke_tasks import HpmTask
from hpm_tools.cli.namespaces import Namespace
"""

EXPORTED = "from hpm_tools.fan_out import fan_out as fan_out"

UNQUALIFIED = re.compile(
    r"\b(?:collections\.abc|pathlib|typing|invoke\.context|hpm_tools(?:\.\w+)+)\.(?=[A-Z])"
)


def tasks_stub() -> str:
    """The text of hpm_tools/tasks.pyi."""
    commands = list(registry.all_commands())
    returned = sorted(
        {command.returns for command in commands if _returns(command).split(" ")[0] == command.returns != ""}
    )
    imports = [
        "from hpm_tools.commands.results import (",
        *(f"    {name}," for name in returned),
        ")",
        EXPORTED,
    ]
    groups = sorted({name.partition(".")[0] for name in registry.MODULES if "." in name})
    lines = [
        HEAD + "\n".join(imports),
        "",
        "ns: Namespace",
        *(f"{group}: Collection" for group in groups),
        "",
    ]
    for command in commands:
        lines += _class(command)
    return "\n".join(lines)


def _class(command: Command) -> list[str]:
    name = command.name.replace(".", "_")
    kind = "_" + "".join(word.capitalize() for word in re.split(r"[._]", command.name))
    made = signature(command)
    parameters = list(made.parameters.values())
    returns = _returns(command)
    return [
        f"class {kind}(HpmTask):",
        "    def __call__(",
        "        self,",
        f"        {_parameter(parameters[0])},",
        "        *,",
        *(f"        {_parameter(parameter)}," for parameter in parameters[1:]),
        f"    ) -> {returns}: ...",
        "",
        f"{name}: {kind}",
        "",
    ]


def _returns(command: Command) -> str:
    return UNQUALIFIED.sub("", inspect.formatannotation(signature(command).return_annotation))


def _parameter(parameter: inspect.Parameter) -> str:
    text = UNQUALIFIED.sub("", str(parameter)).replace("'", '"')
    return re.sub(r"Optional\[(.*)\](?= = |$)", r"\1 | None", text)
