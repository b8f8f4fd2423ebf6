"""Text for people: made safe for a terminal, cut to a width, and times and sizes in readable form.

Whatever comes from the board, an agent, a hook or git passes through ``for_terminal`` before it is
shown: control sequences can rewrite the screen or the clipboard, and bidirectional marks can make a line
read as something else (CVE-2021-42574). Light: what plain ASCII does not need is loaded when it comes.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

_CUT = "…"
_TITLE, _DESCRIPTION = 120, 240


def for_terminal(text: str) -> str:
    """``text`` without anything a terminal would act on or not show, save newlines and tabs.

    Whole control sequences go, so that no half of one stays behind; then every control, bidirectional,
    zero-width and other invisible character. Bytes that were no UTF-8 become U+FFFD.
    """
    if _is_plain(text):
        return text
    from hpm_tools.cleaning import without_controls

    return without_controls(text)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()


def one_line(text: str, width: int | None = None) -> str:
    """``text`` safe for a terminal on one line, blanks collapsed, cut to ``width`` columns."""
    line = " ".join(for_terminal(text).split())
    return line if width is None else shorten(line, width)


def task_lines(task: Mapping[str, Any]) -> Iterator[str]:
    """A task of the board for a person: its number and title, what is known of it, how its description begins."""
    yield f"task {task.get('id')}: {one_line(str(task.get('title') or ''), _TITLE)}"
    known = {
        "role": task.get("target_role"),
        "difficulty": task.get("difficulty") or task.get("skill_level"),
        "complexity": task.get("complexity"),
        "status": task.get("status"),
    }
    said = ", ".join(f"{name}: {one_line(str(value), _TITLE)}" for name, value in known.items() if value)
    if said:
        yield f"  {said}"
    if task.get("description"):
        yield f"  {one_line(str(task['description']), _DESCRIPTION)}"


def shorten(text: str, width: int) -> str:
    """``text`` cut to ``width`` terminal columns, the cut shown by an ellipsis."""
    if len(text) * 2 <= width or columns(text) <= width:
        return text
    used, kept = len(_CUT), []
    for character in text:
        used += columns(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept) + _CUT if width > 0 else ""


def columns(text: str) -> int:
    """How many terminal columns ``text`` takes: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    import unicodedata

    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def duration(seconds: float) -> str:
    """A length of time: ``0.3 s``, ``42 s``, ``5m 02s``, ``1h 02m``, ``3d 04h``."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    minutes = whole // 60
    if minutes < 24 * 60:
        return f"{minutes // 60}h {minutes % 60:02}m"
    hours = whole // 3600
    return f"{hours // 24}d {hours % 24:02}h"


def age(moment: float | str | datetime | None) -> str:
    """How long ago ``moment`` was, for display only.

    Takes seconds since the epoch, ISO 8601 text (UTC if it names no zone) or a datetime; ``?`` if it is
    none of these. A moment in the future is ``0.0 s`` old.
    """
    from datetime import UTC, datetime

    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return "?"
    if isinstance(moment, datetime):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return "?" if moment is None else duration(time.time() - moment)


def counted(number: int, what: str) -> str:
    """The number with its noun: 1 warning, 2 warnings."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(count: float) -> str:
    """A number of bytes: ``512 B``, ``1.5 KiB``, ``20 MiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        count /= 1024
        if count < 1023.95 or unit == "TiB":
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{count:.0f} {unit}"


def fold(text: str, width: int | None, indent: int = 0) -> str:
    """One line of ``text`` broken between words to fit ``width``, under what follows its first ``indent`` characters.

    ``width`` None breaks nothing. A word longer than a line, a path say, stays whole and can be copied.
    """
    if width is None or columns(text) <= width:
        return text
    lines, begun = [text[:indent]], False
    for word in text[indent:].split():
        if begun and columns(lines[-1]) + 1 + columns(word) > width:
            lines.append(" " * indent)
            begun = False
        lines[-1] += f" {word}" if begun else word
        begun = True
    return "\n".join(lines)


def table(
    rows: Iterable[Sequence[object]],
    headers: Sequence[str],
    width: int | None = 80,
    free: Sequence[str] = (),
) -> str:
    """``rows`` in aligned columns under ``headers``, each line at most ``width`` columns wide.

    The widest columns are cut first, and before all others those called ``free``: an id that is cut serves
    nobody. None is cut below eight columns, a path at its beginning. ``width`` None cuts nothing. Cells are
    made safe for a terminal; None shows as ``-``.
    """
    cells = [[one_line("-" if cell is None else str(cell)) for cell in row] for row in [headers, *rows]]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = [min(wide, width) for wide in widths]
        total = width - 2 * (len(widths) - 1)
        least = [min(8, wide) for wide in widths]
        fixed = [
            wide if name not in free else low for wide, low, name in zip(widths, least, headers, strict=True)
        ]
        _narrow(widths, fixed, total)
        _narrow(widths, least, total)
    return "\n".join(_row(row, widths) for row in cells)


def _narrow(widths: list[int], least: Sequence[int], total: int) -> None:
    while sum(widths) > total:
        widest = max(range(len(widths)), key=lambda index: widths[index] - least[index])
        if widths[widest] <= least[widest]:
            return
        widths[widest] -= 1


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    cut = [_cut(cell, wide) for cell, wide in zip(cells, widths, strict=True)]
    return "  ".join(
        cell + " " * (wide - columns(cell)) for cell, wide in zip(cut, widths, strict=True)
    ).rstrip()


def _cut(cell: str, width: int) -> str:
    """What tells paths apart is their end."""
    return shorten(cell[::-1], width)[::-1] if cell.startswith("/") else shorten(cell, width)
