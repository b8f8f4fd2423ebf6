"""Waiting for conditions, never for seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds until what should have happened never will: no measure of speed, on whatever machine, under whatever load."""


def wait_until(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "the condition") -> T:
    """Poll until ``condition()`` is truthy and return its value; AssertionError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s (last value: {value!r})")
        time.sleep(0.02)
