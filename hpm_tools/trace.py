"""What `-v` tells: every board call, git command, program, step and wait, from wherever it happens.

Components know no user interface. The standard library's logging would do, but importing it costs a quick
command more than all it does itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_listener: Callable[[str], None] | None = None


def listen(listener: Callable[[str], None] | None) -> None:
    """Have every line told to ``listener`` from now on; None: to nobody."""
    global _listener  # noqa: PLW0603  # one process has one user
    _listener = listener


class listening:  # noqa: N801  # contextlib costs a quick command an import
    """Every line is told to ``listener`` until the block ends, and then to whoever listened before."""

    def __init__(self, listener: Callable[[str], None] | None) -> None:
        self._new = listener

    def __enter__(self) -> None:
        self._before = _listener
        listen(self._new or self._before)

    def __exit__(self, *_: object) -> None:
        listen(self._before)


def heard() -> bool:
    """Whether anybody listens: a line that costs something to put together is worth it only then."""
    return _listener is not None


def tell(line: str) -> None:
    if _listener is not None:
        _listener(line)
