"""Holds every event that a test's commands kept against its declaration, whatever the test itself is about."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.events.store import Stored

PLACES = ("*/state", "*/*/state", "home/.headless-pm")
"""Where desks, campaigns and plain commands of tests keep their state."""

HOST = os.uname().nodename


@pytest.fixture(autouse=True)
def kept_events_are_as_declared(tmp_path: Path, isolated: Path) -> Iterator[None]:
    yield
    wrong = [
        problem
        for place in PLACES
        for path in tmp_path.glob(f"{place}/events.sqlite")
        for problem in undeclared(path)
    ]
    assert wrong == [], "declared in commands/event_kinds.py"


def undeclared(path: Path) -> list[str]:
    """What is wrong with the events in the file ``path``; nothing, where they cannot be read.

    Events of another host were made up by the test.
    """
    from hpm_tools.errors import HpmError
    from hpm_tools.events.recorder import take_in
    from hpm_tools.events.store import EventStore

    try:
        with EventStore(str(path)) as store:
            take_in(store)
            return [
                f"{event.event}: {problem}"
                for event in store.read()
                if event.host == HOST and (problem := fault(event))
            ]
    except HpmError:
        return []


def fault(event: Stored) -> str:
    """What is wrong with an event; "" if it is as its kind is declared."""
    import msgspec

    kind = declared().get(event.event)
    if kind is None:
        return "no such kind"
    told = {**event.data, **({"task": event.task} if event.task is not None else {})}
    if more := told.keys() - get_type_hints(kind).keys():
        return f"undeclared: {', '.join(sorted(more))}"
    try:
        msgspec.convert({"event": event.event, "time": "", "text": "", **told}, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


@cache
def declared() -> dict[str, Any]:
    """Every kind of event that is kept, by its name."""
    from hpm_tools.commands.event_kinds import name_of
    from hpm_tools.commands.events import KEPT_ONLY, SHOWN

    return {name_of(kind): kind for kind in (*SHOWN, *KEPT_ONLY)}
