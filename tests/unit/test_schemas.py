"""docs/schemas: complete, current, true to the code that writes events, and usable by others."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from jsonschema import Draft202012Validator, ValidationError

from hpm_tools import registry
from hpm_tools.cli.schemas import error_codes, schema_files
from hpm_tools.events.store import Stored
from hpm_tools.events.versions import Kind
from tests.support.fixtures_events import declared, fault
from tests.support.schemas import SCHEMAS, checked

WRITTEN = schema_files()


def test_the_published_schemas_are_what_the_code_declares() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()}
    assert found == WRITTEN, "./inv docs writes them"


def test_every_command_and_the_error_have_one() -> None:
    assert sorted(WRITTEN) == sorted(f"{name}.json" for name in (*registry.MODULES, "error"))


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_each_is_a_valid_schema_in_words_that_other_languages_know(text: str) -> None:
    Draft202012Validator.check_schema(json.loads(text))
    assert r"\\A" not in text
    assert '"default"' not in text
    assert "None" not in text


def test_the_kinds_that_may_be_told_are_those_that_are_declared() -> None:
    assert set(get_args(Kind)) == declared().keys()


def event(name: str, **data: object) -> Stored:
    return Stored(at=0.0, event=name, agent="dev_001", task=1, data={"text": "", **data})


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (event("resumed", step="working"), ""),
        (event("resumed"), "required field `step`"),
        (event("resumed", step="working", more=1), "undeclared: more"),
        (event("resumed", step=5), "Expected `str`"),
        (event("resumes", step="working"), "no such kind"),
    ],
    ids=lambda value: str(value)[:30] or "none",
)
def test_an_event_that_is_not_as_declared_is_found(told: Stored, problem: str) -> None:
    found = fault(told)
    assert problem in found
    assert bool(found) == bool(problem)


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
