"""What `-v` tells: every board call, git command, program, step and wait, from wherever it happens.

Components know no user interface. The standard library's logging would do, but importing it costs a quick
command more than all it does itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []
"""The last one is told. One process has one user, but each of a program's threads may call a command for a while."""


class heard_by:  # noqa: N801  # contextlib costs a quick command an import
    """Every line is told to ``listener`` until the block ends; None changes nothing."""

    def __init__(self, listener: Callable[[str], None] | None) -> None:
        self._listener = listener

    def __enter__(self) -> None:
        if self._listener is not None:
            _listeners.append(self._listener)

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            _listeners.remove(self._listener)


def heard() -> bool:
    """Whether anybody listens: a line that costs something to put together is worth it only then."""
    return bool(_listeners)


def tell(line: str) -> None:
    for listener in _listeners[-1:]:
        listener(line)
