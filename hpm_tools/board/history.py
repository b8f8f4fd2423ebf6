"""The changelog as far back as it is needed, and as far as it can be read: the board keeps it for ever.

It is listed newest first, all projects together, and only how many rows is asked for. A read of all of it
grows for as long as the board is used, until no answer is short enough to be taken; so nobody asks for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpm_tools.board.errors import TooLarge
from hpm_tools.board.models import moment

if TYPE_CHECKING:
    from hpm_tools.board.client import Board
    from hpm_tools.board.models import Change

FIRST, *LARGER = (500, 5_000, 20_000)
SMALLER = (50, 5)
"""What is asked for where single rows are so large (reports of a megabyte, say) that the first read is refused."""


class History(NamedTuple):
    """``rows``, newest first; ``whole`` if they reach as far back as was asked."""

    rows: list[Change]
    whole: bool


def changes(board: Board, since: str | None) -> History:
    """The changes at ``since`` or later (None: all), and perhaps some before; those that can be read.

    What is not in it may have happened all the same unless it is ``whole``: the caller decides without it.
    """
    rows: list[Change] = []
    whole = refused = False
    for size in (FIRST, *SMALLER):
        read = _newest(board, size)
        if read is not None:
            rows, whole = read, _is_whole(read, size, since)
            break
        refused = True
    for size in () if refused else LARGER:
        read = None if whole else _newest(board, size)
        if read is None:
            break
        rows, whole = read, _is_whole(read, size, since)
    return History(rows, whole)


def _newest(board: Board, size: int) -> list[Change] | None:
    try:
        return board.changelog(limit=size)
    except TooLarge:
        return None


def _is_whole(rows: list[Change], size: int, since: str | None) -> bool:
    # Invalid rows are left out, so a few less than asked for need not be all of them.
    return len(rows) < size // 2 or _reaches(rows, since)


def _reaches(rows: list[Change], since: str | None) -> bool:
    return since is not None and bool(rows) and moment(rows[-1].changed_at) < moment(since)
