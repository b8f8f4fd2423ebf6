"""Asking the person at the terminal, who may as well answer from somewhere else."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

POLL = 0.25


class Reader:
    """Typed lines from a terminal; what was typed ahead waits for the next question."""

    def __init__(self) -> None:
        self._typed = b""

    def ask(
        self,
        show: Callable[[str], None],
        question: str,
        choices: Sequence[str],
        default: str | None,
        elsewhere: Callable[[], str | None],
    ) -> str:
        """The choice, by its name or an unambiguous beginning of it; ``default`` for an empty line or no more input.

        Without a default an empty line is asked about again, and no more input raises EOFError.

        ``elsewhere`` is called four times a second meanwhile: its first answer other than None counts, and
        what it raises ends the question. ``show`` writes to the terminal.
        """
        shown = ", ".join(f"[{choice}]" if choice == default else choice for choice in choices)
        while True:
            show(f"{question} ({shown}): ")
            try:
                answer = self._line(elsewhere)
            except _AnsweredElsewhereError as answered:
                show(f"{answered}\n")
                return str(answered)
            except BaseException:
                show("\n")
                raise
            if not answer and default is not None:
                return default
            if answer is None:
                show("\n")
                raise EOFError("the input ended before the question was answered")
            matching = [choice for choice in choices if answer and choice.lower().startswith(answer.lower())]
            if answer in choices or len(matching) == 1:
                return answer if answer in choices else matching[0]
            show(f"please answer with one of: {', '.join(choices)}\n")

    def _line(self, elsewhere: Callable[[], str | None]) -> str | None:
        """A typed line; None at end of input.

        Read from the descriptor with pauses for ``elsewhere``: a signal handler that only sets a flag does
        not end readline(). Not read at all in the background, where the terminal would stop us.
        """
        import select

        descriptor = sys.stdin.fileno()
        while b"\n" not in self._typed:
            if (answer := elsewhere()) is not None:
                raise _AnsweredElsewhereError(answer)
            if not in_foreground(descriptor):
                time.sleep(POLL)
                continue
            if not select.select([descriptor], [], [], POLL)[0]:
                continue
            got = os.read(descriptor, 4096)
            if not got:
                return None
            self._typed += got
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace").strip()


class _AnsweredElsewhereError(Exception):
    """The question was answered, with this choice, but not at the terminal."""


def in_foreground(descriptor: int) -> bool:
    """Whether the terminal is this process's to read from and to draw on; a job after ``&`` has it not."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True
