"""Talking to people on stderr and to programs on stdout; every command gets one of these.

Light: every command makes one, most write a line or two. Foreign text (from the board, an agent, a hook)
may reach any method: control sequences are removed here, in one place.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import RLock

from hpm_tools.errors import BadData, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TextIO

    from hpm_tools.question import Reader
    from hpm_tools.statusline import StatusLine

DEFAULT_WIDTH = 80
LARGEST_INPUT = 64 << 20
LONGEST_EVENT = 2000
"""Characters of an event's sentence: a board takes titles of megabytes."""


class TerminalUI:
    """``note``, ``warn``, ``error`` and ``debug`` go to stderr, ``line`` and ``event`` to stdout.

    The guide's words: ``info`` is ``note`` and ``warning`` is ``warn``; ``success``, ``error``, ``progress``,
    ``display_task`` and ``prompt_user`` (``task_info`` and ``prompt_operator`` in the earlier runner) are as it has
    them. All of them go to stderr: stdout is for results.
    ``quiet`` leaves errors and results only; ``verbose`` adds debug lines; ``json`` makes events JSON.
    ``streams`` False is for commands with one result: their stdout has no room for events, which are notes.
    Safe to use from several threads: a line is never torn by another one or by the live status line.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        streams: bool = True,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.streams = streams
        self._stdout = stdout
        self._stderr = stderr
        self._lock = RLock()
        self._status: StatusLine | None = None
        self._reader: Reader | None = None
        self._unwritable = False
        self._unheard = False
        self._clean: Callable[[str], str] | None = None
        self.concealed: frozenset[str] = frozenset()

    def conceal(self, secrets: Iterable[str]) -> None:
        """Keep ``secrets`` out of what is said from now on: notes, errors, questions, events, the live line.

        Results (``line``) stay what they are: programs read them.
        """
        from hpm_tools.redaction import Redactor, redacted

        self.concealed |= frozenset(secrets)
        redactor = Redactor(self.concealed)

        def clean(text: str) -> str:
            with self._lock:
                return redacted(text, redactor)

        self._clean = clean

    def said(self, text: str) -> str:
        """``text`` safe for a terminal, and without the secrets that are known.

        In this order: a control sequence in the middle of a secret would hide it.
        """
        return self._without_secrets(printable(text))

    def _without_secrets(self, text: str) -> str:
        return self._clean(text) if self._clean is not None else text

    @property
    def stdout(self) -> TextIO | None:
        """Looked up at each use: a program may replace sys.stdout. None if it was closed before we began."""
        return self._stdout or sys.stdout

    @property
    def stderr(self) -> TextIO | None:
        return self._stderr or sys.stderr

    @property
    def is_terminal(self) -> bool:
        """True if a person is there to read a question and to answer it."""
        return _isatty(sys.stdin) and _isatty(self.stderr)

    @property
    def width(self) -> int:
        """Columns of the terminal, 80 where there is none."""
        for stream in (self.stdout, self.stderr):
            try:
                if stream is not None:
                    return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
            except (OSError, ValueError):
                continue
        return DEFAULT_WIDTH

    @property
    def columns(self) -> int | None:
        """The width that a result is to fit; None where no terminal shows it: there nothing is cut or wrapped."""
        return self.width if _isatty(self.stdout) else None

    def note(self, text: str) -> None:
        """Say ``text``, unless ``quiet``."""
        if not self.quiet:
            self._say(self._in_log() + text, "")

    def note_nothing(self, text: str) -> None:
        """Say to a person at a terminal why nothing is printed; a script sees the empty result."""
        if self.columns is not None and not self.json:
            self.note(text)

    def warn(self, text: str) -> None:
        """Say that something is odd, unless ``quiet``: in yellow on a terminal."""
        if not self.quiet:
            self._say(f"{self._in_log()}warning: {text}", "YELLOW")

    info = note
    warning = warn

    def success(self, text: str) -> None:
        """Say that something went well: like ``info``, green on a terminal."""
        if not self.quiet:
            self._say(self._in_log() + text, "GREEN")

    def error(self, text: str) -> None:
        """Say what went wrong, even if ``quiet``: in red on a terminal."""
        self._say("error: " + text, "RED")

    def display_task(self, task: Mapping[str, Any]) -> None:
        """Show a task of the board: number, title, role, difficulty, complexity, status, description's beginning."""
        from hpm_tools.text import task_lines

        for line in task_lines(task):
            self.note(line)

    task_info = display_task

    def hint(self, text: str) -> None:
        """What to do about the error that was just told."""
        self._say("  " + text, "")

    def raw_error(self, text: str) -> None:
        """One line of JSON on stderr, without colour or prefix."""
        self._write(self.stderr, text + "\n")

    def debug(self, text: str) -> None:
        if self.verbose and not self.quiet:
            now = time.time()
            self._say(f"{self._clock(self.stderr, now)}.{int(now % 1 * 1000):03} {text}", "CYAN")

    def line(self, text: str) -> None:
        """One result on stdout. Raises OSError (BrokenPipeError) when nobody can receive it."""
        self._result(printable(text))

    def event(self, name: str, text: str = "", **fields: Any) -> None:
        """Something that happened, as one line on stdout: ``text`` is the sentence that says it to a person.

        On a terminal with the time, elsewhere with date and time, under ``--json`` as one object
        ``{"event": name, "time": …, "text": …, **fields}``.
        """
        said = text or " ".join([name, *(f"{key}={value}" for key, value in fields.items())])
        said = said if len(said) <= LONGEST_EVENT else said[: LONGEST_EVENT - 1] + "…"
        if not self.streams:
            self.note(one_line(said))
        elif self.json:
            told = self._without_secrets(said) if text else ""
            self._event(to_json({"event": name, "time": timestamp(), "text": told, **fields}))
        elif not self.quiet:
            self._event(self._dated(one_line(self.said(said))))

    def _dated(self, text: str) -> str:
        clock = f"{self._clock(self.stdout)} "
        width = self.columns
        if width is None:
            return clock + text
        from hpm_tools.text import fold

        return fold(clock + text, width, indent=len(clock))

    def _in_log(self) -> str:
        """The time in front of what a runner says into a file: its log is read the next morning."""
        return "" if not self.streams or _isatty(self.stderr) else f"{self._clock(self.stderr)} "

    @staticmethod
    def _clock(stream: TextIO | None, at: float | None = None) -> str:
        """The time of day for a terminal, with its date for a file."""
        form = "%H:%M:%S" if _isatty(stream) else "%Y-%m-%d %H:%M:%S"
        return time.strftime(form, time.localtime(at))

    def _event(self, text: str) -> None:
        """A full disk under the log must not end the work that it tells about; a reader that left may."""
        try:
            self._result(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            if not self._unheard:
                self.warn(f"what happens can no longer be written to stdout: {error.strerror}")
            self._unheard = True

    def progress(self, doing: str, detail: str = "") -> None:
        """Show what is going on, and for how long, in one live line on a terminal; "" removes it.

        The time counts from when ``doing`` was first said; ``detail`` may change. Silent anywhere else.
        """
        if self._status is None:
            if not doing or not self._has_room_for_status():
                return
            self._status = self._new_status()
        self._status.show(one_line(self.said(doing)), one_line(self.said(detail)))

    def _has_room_for_status(self) -> bool:
        if self.quiet or not _isatty(self.stderr) or os.environ.get("TERM") == "dumb":
            return False
        # In `hpm run | tee log` tee writes to the same terminal, where we cannot make room for it.
        return not (self.streams and _is_pipe(self.stdout))

    def _new_status(self) -> StatusLine:
        from hpm_tools.statusline import StatusLine

        descriptor = self.stderr.fileno() if self.stderr is not None else 2
        return StatusLine(
            lambda text: self._write(self.stderr, text), lambda: self.width, self._lock, descriptor
        )

    def read_stdin(self, limit: int = LARGEST_INPUT) -> str:
        """All of stdin as text, "" if it is closed; BadData beyond ``limit`` bytes or if it is not UTF-8."""
        if sys.stdin is None:
            return ""
        if _isatty(sys.stdin):
            self.note("reading standard input; end it with Ctrl-D")
        content = sys.stdin.buffer.read(limit + 1)
        if len(content) > limit:
            raise BadData(f"standard input holds more than {limit >> 20} MiB", "pass less")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadData(
                f"standard input is not UTF-8: byte {error.start} is {content[error.start]:#x}",
                "pass UTF-8 text",
            ) from None

    def ask(
        self,
        question: str,
        choices: Sequence[str],
        default: str,
        *,
        elsewhere: Callable[[], str | None] = lambda: None,
    ) -> str:
        """The choice of the person at the terminal, or what ``elsewhere`` says first (question.Reader.ask).

        Returns ``default`` for an empty answer, at end of input and without a terminal.
        """
        return self._ask(question, choices, default, elsewhere) if self.is_terminal else default

    def prompt_user(self, question: str, choices: Sequence[str], default: str | None = None) -> str:
        """Ask the person at the terminal and wait for the answer, one of ``choices``; its beginning is enough.

        ``default`` is returned for an empty answer, at end of input and without a terminal. Where there is none,
        the last two raise UsageError, and an empty answer is asked about again.
        """
        if default is not None:
            return self.ask(question, choices, default)
        hint = "run it at a terminal, or give a default"
        if not self.is_terminal:
            raise UsageError(f"nobody is there to answer: {question}", hint)
        try:
            return self._ask(question, choices, None, lambda: None)
        except EOFError as error:
            raise UsageError(f"{error}: {question}", hint) from None

    prompt_operator = prompt_user

    def _ask(
        self,
        question: str,
        choices: Sequence[str],
        default: str | None,
        elsewhere: Callable[[], str | None],
    ) -> str:
        if self._reader is None:
            from hpm_tools.question import Reader

            self._reader = Reader()
        self.progress("")
        return self._reader.ask(self._prompt, self.said(question), choices, default, elsewhere)

    def _prompt(self, text: str) -> None:
        with self._lock:
            self._write(self.stderr, text)

    def _say(self, text: str, colour: str) -> None:
        stream = self.stderr
        text = self.said(text)
        if colour and _coloured(stream):
            import colorama

            text = f"{getattr(colorama.Fore, colour)}{text}{colorama.Style.RESET_ALL}"
        with self._lock:
            self._erase_status()
            self._write(stream, text + "\n")
            self._draw_status()

    def _result(self, text: str) -> None:
        stream = self.stdout
        if stream is None:
            raise OSError(9, "stdout is closed")
        with self._lock:
            self._erase_status()
            stream.write(text if text.endswith("\n") else text + "\n")
            stream.flush()
            self._draw_status()

    def _write(self, stream: TextIO | None, text: str) -> None:
        """Best effort: a closed or full stderr must not end the work it tells about."""
        try:
            if stream is not None:
                stream.write(text)
                stream.flush()
        except (OSError, ValueError):
            if not self._unwritable:
                self._unwritable = True
                _forget_at_exit(stream)

    def _erase_status(self) -> None:
        if self._status is not None:
            self._status.erase()

    def _draw_status(self) -> None:
        if self._status is not None:
            self._status.draw()


def printable(text: str) -> str:
    """``text`` without what could drive a terminal; most text has nothing of the kind."""
    if text.isascii() and text.isprintable():
        return text
    from hpm_tools.text import for_terminal

    return for_terminal(text)


def one_line(text: str) -> str:
    return " ".join(printable(text).split())


def to_json(data: object) -> str:
    """One line of JSON in pure ASCII, so that nothing in it can drive a terminal or break an encoding."""
    import json

    return json.dumps(data, default=_as_json, separators=(", ", ": "))


def _as_json(value: Any) -> Any:
    described = getattr(value, "to_json", None)
    return str(value) if described is None else described()


def timestamp() -> str:
    """Now, in local time with its offset: 2026-11-23T05:54:06+01:00."""
    offset = time.strftime("%z")
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S')}{offset[:3]}:{offset[3:]}"


def _forget_at_exit(stream: TextIO | None) -> None:
    """What could not be written is tried again by the interpreter at its exit, which then ends with 120."""
    import atexit

    def forget() -> None:
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            try:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno() if stream is not None else 2)
                os.close(null)
            except (OSError, ValueError):
                return

    atexit.register(forget)


def _isatty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _is_pipe(stream: TextIO | None) -> bool:
    import stat

    try:
        return stream is not None and stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _coloured(stream: TextIO | None) -> bool:
    return _isatty(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
