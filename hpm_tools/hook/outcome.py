"""What is known of a hook before and after it ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from hpm_tools.process.supervise import Ending
from hpm_tools.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

MISSING, REFUSED = "missing", "refused"
"""How a hook that was not run ends: there is none, or it is unsafe or cannot be started."""


class HookAnswer(TypedDict):
    """A hook's outcome as JSON. ``ok``: the hook said yes; ``survivors``: processes that could not be ended."""

    hook: str
    path: str | None
    ok: bool
    ending: str
    returncode: int | None
    messages: str
    errors: str
    seconds: float
    survivors: list[int]


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """What became of one hook.

    ``ending``: an `Ending` of the process, ``missing`` (there is no such hook, which is no failure) or
    ``refused`` (it is unsafe or cannot be started, and was not run). ``messages`` is its stdout,
    ``errors`` its stderr or the reason it was refused: both safe for a terminal, long ones cut in the
    middle. ``survivors`` are processes of it that could not be ended.
    """

    name: str
    path: Path | None
    returncode: int | None
    messages: str
    errors: str
    seconds: float
    ending: str
    survivors: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """The hook said yes, or there is none."""
        return self.ending == MISSING or (self.ending == Ending.EXITED and self.returncode == 0)

    @property
    def timed_out(self) -> bool:
        return self.ending == Ending.TIMED_OUT

    @property
    def reason(self) -> str:
        """In one line why the hook is not ok; empty if it is."""
        if self.ok:
            return ""
        if self.ending == REFUSED:
            return one_line(self.errors)
        said = one_line(self._fault(), 300)
        return f"the hook {self.name} {self._how()}" + (f": {said}" if said else "")

    def _fault(self) -> str:
        """What the hook says went wrong: on stderr, else its lines that begin with ``fail``, else its last line."""
        lines = (self.errors or self.messages).strip().splitlines()
        failures = [line for line in lines if line.lower().startswith("fail")]
        return "; ".join(failures or lines[-1:])

    def _how(self) -> str:
        if self.timed_out:
            return f"did not end within its time limit ({self.seconds:.0f} s)"
        if self.ending != Ending.EXITED:
            return f"was ended ({self.ending})"
        code = self.returncode or 0
        return f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"

    def to_json(self) -> HookAnswer:
        """JSON types, for results and the history."""
        return {
            "hook": self.name,
            "path": str(self.path) if self.path else None,
            "ok": self.ok,
            "ending": str(self.ending),
            "returncode": self.returncode,
            "messages": self.messages,
            "errors": self.errors,
            "seconds": round(self.seconds, 3),
            "survivors": list(self.survivors),
        }
