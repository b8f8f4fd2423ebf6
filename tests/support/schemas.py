"""Holding real `--json` output against the published schemas in docs/schemas."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.frontends import PROJECT

SCHEMAS = PROJECT / "docs" / "schemas"


@cache
def schema_of(name: str) -> dict[str, Any]:
    """The published schema of a command, or of ``error``."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return schema


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(_closed(schema_of(name)))


def _closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name: readers must tolerate them, we declare them."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed


def checked(name: str, output: str) -> Any:
    """The value of ``output``, exactly one line of JSON that is as the schema of ``name`` says."""
    assert output.endswith("\n"), output
    assert output.count("\n") == 1, output
    value = json.loads(output)
    _validator(name).validate(value)
    return value


def checked_lines(name: str, output: str) -> list[Any]:
    """The values of all lines of a command that streams."""
    return [checked(name, line + "\n") for line in output.splitlines()]


def checked_error(stderr: str) -> dict[str, Any]:
    """The error that the last line of ``stderr`` tells."""
    error: dict[str, Any] = checked("error", stderr.splitlines()[-1] + "\n")["error"]
    return error
