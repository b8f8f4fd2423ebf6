"""What becomes of a child's output: the ends of it in memory, its lines to a callback, all of it to a log.

Each part has a fixed bound, whatever the child prints: gigabytes, no newline, NULs, invalid UTF-8.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.in_place import open_in_place
from hpm_tools.redaction import Redactor
from hpm_tools.text import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO


MARGIN = 8 << 10
"""Longer than a secret in any of its forms: base64 of a private key of 4096 bits has 4.4 KiB."""


@dataclass(frozen=True, slots=True)
class Captured:
    """The first and the last bytes of an output of ``total`` bytes; if nothing is cut, ``tail`` follows ``head``."""

    head: bytes = b""
    tail: bytes = b""
    total: int = 0

    @property
    def cut(self) -> int:
        """How many bytes between head and tail were let go."""
        return self.total - len(self.head) - len(self.tail)

    @property
    def data(self) -> bytes:
        """Head and tail, with a line saying how much is missing between them."""
        if not self.cut:
            return self.head + self.tail
        return self.head + _left_out(self.cut).encode() + self.tail

    def text(self) -> str:
        """``data`` as text; bytes that are no UTF-8 become U+FFFD. Not cleaned for a terminal."""
        return self.data.decode("utf-8", "replace")

    def cleaned(self, clean: Callable[[str], str]) -> str:
        """The text as ``clean`` leaves it. Where something was cut, MARGIN characters on both sides go, too.

        Half a secret or half a control sequence is not recognized, and would stay.
        """
        if not self.cut:
            return clean(self.text())
        head, tail = (clean(part.decode("utf-8", "replace")) for part in (self.head, self.tail))
        return head[:-MARGIN] + _left_out(self.cut + 2 * MARGIN) + tail[MARGIN:]


def _left_out(count: int) -> str:
    return f"\n[… {size(count)} left out …]\n"


class HeadAndTail:
    """Keeps the first and the last ``keep // 2`` bytes of a stream, in at most about twice that memory."""

    def __init__(self, keep: int) -> None:
        self._half = max(1, keep // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    def captured(self) -> Captured:
        """What is kept so far."""
        return Captured(bytes(self._head), bytes(self._tail[-self._half :]), self._total)


class Lines:
    """Cuts a stream into lines for ``on_line``, without their newlines; lines above ``longest`` bytes are dropped."""

    def __init__(self, on_line: Callable[[bytes], object], longest: int) -> None:
        self.dropped = 0
        self._on_line = on_line
        self._longest = longest
        self._begun = bytearray()
        self._dropping = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream and hand out the lines they complete."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._add(data[start:end])
            self._hand_out()
            start = end + 1
        self._add(data[start:])

    def finish(self) -> None:
        """The stream is over: hand out a last line that lacks its newline."""
        if self._begun or self._dropping:
            self._hand_out()

    def _add(self, piece: bytes) -> None:
        if self._dropping:
            return
        if len(self._begun) + len(piece) > self._longest:
            self._dropping = True
            self._begun = bytearray()
        else:
            self._begun += piece

    def _hand_out(self) -> None:
        line, self._begun = bytes(self._begun), bytearray()
        if self._dropping:
            self._dropping = False
            self.dropped += 1
        else:
            self._on_line(line)


class RunLog:
    """A child's output written to a file as it comes, redacted, up to ``limit`` bytes.

    A path is appended to with mode 0600 and never through a symbolic link. A log that cannot be written
    (full disk, closed pipe) ends, never the run; ``error`` then says why.
    """

    def __init__(
        self, target: BinaryIO | str | os.PathLike[str] | None, secrets: Iterable[str], limit: int
    ) -> None:
        self.error = ""
        self._left = limit
        self._redactor = Redactor(secrets)
        self._fd = -1
        self._owned = False
        if target is None:
            return
        try:
            if isinstance(target, str | os.PathLike):
                self._fd = open_in_place(target, os.O_RDWR | os.O_CREAT | os.O_APPEND)
                self._owned = True
                self._begin_line()
            else:
                target.flush()
                self._fd = target.fileno()
        except (OSError, ValueError) as error:
            self.error = str(error)

    def _begin_line(self) -> None:
        """End the line that a killed supervisor left torn."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def feed(self, data: bytes) -> None:
        """Write the next bytes."""
        if self._fd >= 0:
            self._write(self._redactor.feed(data))

    def close(self) -> None:
        """Write what was held back; a path is closed, a given file stays open."""
        if self._fd >= 0:
            self._write(self._redactor.flush())
        self._end("")

    def _write(self, data: bytes) -> None:
        over = len(data) - self._left
        self._left -= len(data)
        view = memoryview(data[:-over] + b"\n[log ends here: too long]\n" if over > 0 else data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self._end(str(error))
        if over > 0:
            self._end("the output is longer than its log may be")

    def _end(self, reason: str) -> None:
        self.error = self.error or reason
        if self._owned:
            os.close(self._fd)
        self._fd, self._owned = -1, False


class Output:
    """Both outputs of a run. ``heard_at`` and ``result_at`` are monotonic times, None as long as there is neither.

    ``heard_at`` counts stdout if its lines are listened to, else both. An exception out of ``on_line``
    becomes ``failure``, and no more lines are handed out: reading must go on until the child has ended.
    """

    def __init__(
        self, keep: int, longest_line: int, on_line: Callable[[bytes], bool | None] | None, log: RunLog
    ) -> None:
        self.out = HeadAndTail(keep)
        self.err = HeadAndTail(keep)
        self.log = log
        self.heard_at: float | None = None
        self.result_at: float | None = None
        self.failure: BaseException | None = None
        self._on_line = on_line
        self._lines = Lines(self._hand_out, longest_line) if on_line is not None else None

    @property
    def dropped_lines(self) -> int:
        """How many lines were too long to be handed out."""
        return self._lines.dropped if self._lines is not None else 0

    def stdout(self, data: bytes) -> None:
        """Take the next bytes of stdout."""
        self.heard_at = time.monotonic()
        self.log.feed(data)
        self.out.feed(data)
        if self._lines is not None:
            self._lines.feed(data)

    def stderr(self, data: bytes) -> None:
        """Take the next bytes of stderr."""
        if self._lines is None:
            self.heard_at = time.monotonic()
        self.err.feed(data)

    def finish(self) -> None:
        """Nothing more will come: hand out a last line that lacks its newline."""
        if self._lines is not None:
            self._lines.finish()

    def close(self) -> None:
        """Complete the log."""
        self.log.close()

    def _hand_out(self, line: bytes) -> None:
        if self._on_line is None or self.failure is not None:
            return
        try:
            if self._on_line(line) is True and self.result_at is None:
                self.result_at = time.monotonic()
        except BaseException as failure:
            self.failure = failure
