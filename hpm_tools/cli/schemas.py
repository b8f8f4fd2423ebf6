"""docs/schemas: a JSON Schema (2020-12) of what each command prints under ``--json``, and of its errors."""

from __future__ import annotations

import json
import pkgutil
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, is_typeddict

import msgspec

import hpm_tools
from hpm_tools import registry
from hpm_tools.commands import results
from hpm_tools.commands.events import EVENTS
from hpm_tools.errors import HpmError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.registry import Command

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITION = "#/$defs/{name}"
ERROR = "error"

Schema = dict[str, Any]


def schema_files() -> dict[str, str]:
    """File name → its text, for every command and the error."""
    schemas = {command.name: of_command(command) for command in registry.all_commands()}
    schemas[ERROR] = of_errors()
    return {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def of_command(command: Command) -> Schema:
    """The schema of one command's object, or of each line of one that streams."""
    events = EVENTS.get(command.name, ())
    types = [*events, *([getattr(results, command.returns)] if command.returns else [])]
    found, definitions = msgspec.json.schema_components(types, ref_template=DEFINITION)
    _require_all({kind.__name__: kind for kind in types}, definitions)
    shape: Schema = {"anyOf": list(found)}
    if len(types) == 1:
        shape = _inlined(types[0].__name__, definitions)
    what = "each line of" if command.streams else "the one object of"
    head = {"$schema": DIALECT, "title": f"hpm {command.name} --json", "$comment": f"{what} standard output"}
    schema: Schema = _portable({**head, **shape, **({"$defs": definitions} if definitions else {})})
    return schema


def _inlined(name: str, definitions: dict[str, Schema]) -> Schema:
    return {key: value for key, value in definitions.pop(name).items() if key != "title"}


def _require_all(kinds: dict[str, type], definitions: dict[str, Schema]) -> None:
    """Fields with a default are printed too; only a TypedDict says which ones may be absent."""
    for name, definition in definitions.items():
        kind = kinds.get(name) or getattr(results, name, None)
        if "properties" in definition and not is_typeddict(kind):
            definition["required"] = list(definition["properties"])


def _portable(schema: Any) -> Any:
    """``schema`` in words that are not Python's, without defaults: every field is printed."""
    if isinstance(schema, list):
        return [_portable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _translated(name, value) for name, value in schema.items() if name != "default"}


def _translated(name: str, value: Any) -> Any:
    if name == "pattern" and isinstance(value, str):
        # ECMA 262, whose patterns JSON Schema uses, has no \A and no \Z.
        return value.replace(r"\A", "^").replace(r"\Z", "$")
    if name == "description" and isinstance(value, str):
        return re.sub(r"\bNone\b", "null", " ".join(value.split())).replace("``", "`")
    return _portable(value)


def of_errors() -> Schema:
    """The schema of the last line of standard error when a command fails."""
    codes = [{"const": code, "description": text} for code, text in sorted(error_codes().items())]
    error = {
        "type": "object",
        "properties": {
            "code": {"oneOf": codes},
            "message": {"type": "string", "description": "what happened, to what"},
            "hint": {"type": "string", "description": "what to do next; empty where nothing is known"},
            "details": {"type": "object", "description": "further facts, where there are any"},
        },
        "required": ["code", "message", "hint"],
    }
    return {
        "$schema": DIALECT,
        "title": "hpm … --json, failed",
        "$comment": "the last line of standard error; standard output is empty",
        "type": "object",
        "properties": {"error": error},
        "required": ["error"],
    }


def error_codes() -> dict[str, str]:
    """Every code that ``error.code`` may have → what it means."""
    for module in pkgutil.walk_packages(hpm_tools.__path__, "hpm_tools."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    return {error.kind: _sentence(error) for error in sorted(_kinds(HpmError), key=_depth, reverse=True)}


def _kinds(kind: type[HpmError]) -> Iterator[type[HpmError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _depth(kind: type[HpmError]) -> tuple[int, str]:
    return len(kind.__mro__), kind.__name__


def _sentence(kind: type[HpmError]) -> str:
    """What the class that introduced the code says about itself."""
    if kind is HpmError:
        return "The thing itself failed; the message says how."
    paragraph = (kind.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")
