"""docs/schemas: complete, current, true to the code that writes events, and usable by others."""

from __future__ import annotations

import ast
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, get_type_hints

import pytest
from jsonschema import Draft202012Validator, ValidationError

from hpm_tools import registry
from hpm_tools.cli.docs import COMMON_FIELDS
from hpm_tools.cli.schemas import error_codes, schema_files
from hpm_tools.commands.event_kinds import name_of
from hpm_tools.commands.events import EVENTS, KEPT_ONLY
from hpm_tools.runner import telling
from hpm_tools.state.record import Record
from tests.support.frontends import PROJECT
from tests.support.schemas import SCHEMAS, checked

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_published_schemas_are_what_the_code_declares() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()}
    assert found == schema_files(), "./inv docs writes them"


def test_every_command_and_the_error_have_one() -> None:
    assert sorted(schema_files()) == sorted(f"{name}.json" for name in (*registry.MODULES, "error"))


@pytest.mark.parametrize("text", schema_files().values(), ids=schema_files())
def test_each_is_a_valid_schema_in_words_that_other_languages_know(text: str) -> None:
    Draft202012Validator.check_schema(json.loads(text))
    assert r"\\A" not in text
    assert '"default"' not in text
    assert "None" not in text


def told_events() -> Iterator[tuple[str, str, set[str]]]:
    """(where, event, its fields) of every ``….tell("name", …)`` and its kin in the code."""
    for path in sorted((PROJECT / "hpm_tools").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in TELLING
                and isinstance(node.args[0], ast.Constant | ast.IfExp)
            ):
                fields = {name for keyword in node.keywords for name in named(keyword)} - {"text"}
                for name in literals(node.args[0]):
                    yield f"{path.name}:{node.lineno}", name, fields


NOT_BY_TELLING = {"events_lost"}

TELLING = ("tell", "note_event", "event")
"""The methods that tell of an event; where they call each other, its name is no literal."""


def named(keyword: ast.keyword) -> set[str]:
    """The fields that an argument gives: its own name, or those of the function whose result is spread there."""
    if keyword.arg is not None:
        return {"task" if keyword.arg == "record" else keyword.arg}
    spread = ast.unparse(keyword.value)
    job = SimpleNamespace(model=None, difficulty="")
    return set(eval(spread, {**vars(telling), "record": Record({}), "run": None, "job": job}))


def literals(node: ast.expr) -> list[str]:
    """The texts that an expression may be: a literal, or one literal or another."""
    if isinstance(node, ast.IfExp):
        return [*literals(node.body), *literals(node.orelse)]
    assert isinstance(node, ast.Constant), ast.unparse(node)
    return [str(node.value)]


def test_every_event_that_the_code_tells_is_declared_and_no_other() -> None:
    declared = {}
    shown = [kind for command, kinds in EVENTS.items() if command != "events" for kind in kinds]
    for kind in (*shown, *KEPT_ONLY):
        hints = get_type_hints(kind)
        declared[name_of(kind)] = (
            set(hints) - set(COMMON_FIELDS),
            vars(kind)["__required_keys__"] - set(COMMON_FIELDS),
        )
    told = list(told_events())
    assert {name for _, name, _ in told} | NOT_BY_TELLING == declared.keys()
    for where, name, fields in told:
        known, required = declared[name]
        assert required <= fields <= known, f"{where}: {name} tells {fields}, declared are {known}"


def test_error_codes_are_listed_with_their_meaning() -> None:
    codes = error_codes()
    assert {"usage", "held", "nothing_to_do", "board_unreachable", "unexpected"} <= codes.keys()
    assert all(codes.values())


def test_a_field_that_is_not_declared_is_found() -> None:
    model = {"difficulty": "senior", "model": "opus"}
    checked("claude.model", json.dumps(model) + "\n")
    with pytest.raises(ValidationError):
        checked("claude.model", json.dumps({**model, "more": 1}) + "\n")
    with pytest.raises(ValidationError):
        checked("claude.model", json.dumps({"model": "opus"}) + "\n")
