"""How a command refuses, for a person and for a script: checked in one place, through both front ends."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.errors import NOTHING_TO_DO
from tests.support.frontends import FRONTS

if TYPE_CHECKING:
    from tests.support.runners import Desk

Done = subprocess.CompletedProcess[str]
Front = Callable[..., Done]

CODES = {
    1: "failed",
    2: "usage",
    3: "nothing_to_do",
    65: "bad_data",
    69: "board_unreachable",
    73: "cannot_create",
    75: "held",
    77: "refused",
    78: "misconfigured",
}
"""Exit code → the error's code; classes of errors have more of them: not_found is a bad_data."""

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
"""What must never reach a terminal from foreign text."""


def invoke(desk: Desk, *words: object, stdin: str = "", within: float = 600, **extra: str) -> Done:
    """Plain `invoke` with this project's tasks, called in the desk's repository."""
    return desk.hpm_as(FRONTS["invoke"], *words, stdin=stdin, within=within, **extra)


def hpm(desk: Desk, *words: object, stdin: str = "", within: float = 600, **extra: str) -> Done:
    return desk.hpm(*words, stdin=stdin, within=within, **extra)


def refused(done: Done, code: int, *parts: str, events: bool = False) -> str:
    """The one error line of a plain refusal, checked: its code, its hint, and nothing on stdout.

    That there is nothing to do (3) is no error and is not called one. ``parts`` are found in what stderr says.
    ``events``: a runner told on stdout what it did before.
    """
    told = done.stderr
    assert done.returncode == code, (done.returncode, done.stdout, told)
    assert events or done.stdout == "", done.stdout
    assert "Traceback" not in told
    assert not UNSAFE.search(done.stdout + told), ascii(told)
    lines = told.splitlines()
    said = [number for number, line in enumerate(lines) if not line.startswith("  ")]
    errors = [number for number in said if lines[number].startswith("error: ")]
    if code == NOTHING_TO_DO:
        assert not errors, told
        errors = said[-1:]  # `invoke run` notes first that it executes the tasks.py there
    assert len(errors) == 1, told
    after = lines[errors[0] + 1 :]
    assert after, f"no hint: {told}"
    assert all(line.startswith("  ") for line in after), told
    for part in parts:
        assert part in told, (part, told)
    # What is no error has its time before it where all that a command says has.
    return re.sub(r"^(error: |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d )", "", lines[errors[0]])


def refused_as_json(done: Done, code: int, *parts: str, events: bool = False) -> dict[str, Any]:
    """The error object of a refusal under --json, checked likewise."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert events or done.stdout == "", done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.isascii() or events
    body = json.loads(done.stderr.splitlines()[-1])
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert {"code", "message", "hint"} <= set(error) <= {"code", "message", "hint", "details"}, error
    assert error["message"], error
    assert error["hint"], error
    text = json.dumps(error, ensure_ascii=False)
    for part in parts:
        assert part in text, (part, text)
    return error


BOTH_FRONTS = pytest.mark.parametrize(
    "front", [pytest.param(hpm, id="hpm"), pytest.param(invoke, id="invoke", marks=pytest.mark.extended)]
)
"""Both are one registry behind two parsers: `./inv test` asks the first, `--all` the second as well."""


def both_refuse(front: Front, desk: Desk, *words: object, code: int, parts: tuple[str, ...] = ()) -> None:
    """The same call is refused with the same message plainly and under --json."""
    message = refused(front(desk, *words), code, *parts)
    error = refused_as_json(front(desk, *words, "--json"), code)
    assert error["message"].splitlines()[0] == message
