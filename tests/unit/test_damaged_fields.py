"""Each field of a record with five values that it cannot have: the record is corrupt, and its message names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpm_tools.errors import HpmError
from hpm_tools.state import fields
from hpm_tools.state.record import CorruptRecord, NewerSchema, parse

RECORD = {"schema": 1, "task_id": 3, "agent_id": "dev_001", "task_data": {"id": 3}}
WRONG: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(fields._TEXTS, (5, True, [], {}, "a\0b")),
    **dict.fromkeys(fields._NUMBERS, ("many", True, [], {}, 1e300)),
    **dict.fromkeys(fields._TRUTHS, ("no", 0, [], {}, 1.5)),
    **dict.fromkeys(fields._OBJECTS, ("x", 5, True, ["x"], 1.5)),
    **dict.fromkeys(fields._LISTS, (5, "x", {}, [5], [None])),
    "step": ("nonsense", "", 5, [], "done"),
    "role": ("nobody", 5, [], {}, "QA"),
    "level": ("x", 5, [], {}, "Senior"),
    "ending": ({"kind": "x"}, {"kind": 5}, {"kind": "parked", "reason": 5}, "x", [1]),
    "verdict": ({"kind": "x"}, {"kind": []}, {"kind": "done", "summary": 5}, 5, ["x"]),
    "entries": ({"main": 5}, {"main": {"": 5}}, {"main": {"": [5]}}, {"main": {"": None}}, {"main": ["x"]}),
    "child": ({"pid": "x"}, {"pid": 1}, {"pid": 5, "start": 7}, {"pid": 5, "pgid": 0}, 5),
    "schema": (0, "1", True, 1.0, -1),
    "task_id": (0, -1, "x", [], 1.5),
}
CASES = [
    (name, value)
    for name, values in WRONG.items()
    for value in values
    if (name, value) != ("task_title", "a\0b")
]


@pytest.mark.parametrize(("name", "value"), CASES, ids=lambda part: repr(part)[:40])
def test_record_with_a_wrong_value_is_corrupt_and_the_field_named(name: str, value: Any) -> None:
    with pytest.raises(CorruptRecord) as caught:
        parse(json.dumps({**RECORD, name: value}).encode(), "dev_001")
    named = {"pid", "pgid", "start", "child"} if name == "child" else {name}
    assert any(f"'s {one} " in caught.value.message for one in named), caught.value.message


@pytest.mark.parametrize("schema", [2, 99])
def test_only_a_larger_schema_is_a_newer_versions(schema: int) -> None:
    with pytest.raises(NewerSchema) as caught:
        parse(json.dumps({**RECORD, "schema": schema, "step": 5}).encode(), "dev_001")
    assert caught.value.exit_code == 78


def test_the_record_that_the_cases_change_is_sound() -> None:
    try:
        parse(json.dumps(RECORD).encode(), "dev_001")
    except HpmError as error:  # pragma: no cover
        pytest.fail(error.message)
