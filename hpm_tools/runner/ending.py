"""How the work on a task ends, as it stands in the record until the board has been told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError
from hpm_tools.executor.verdict import QA, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpm_tools.state.record import Record


class EndingKind(StrEnum):
    """REPORTED: done or rejected, told to the board. LOST: the board says that the task is not ours."""

    REPORTED = "reported"
    PARKED = "parked"
    GIVEN_BACK = "given_back"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Ending:
    """``status`` is the board status to report (REPORTED only); ``skip`` keeps this runner off the task
    until it changes, ``elsewhere`` every runner here until other work is reported; ``unfit``: nothing is
    taken until health_check passes; ``pauses`` names the kind of pause of pick-up (state/pickup.py) that goes
    with it; ``exit_code`` ≥ 0 stops the runner with it."""

    kind: EndingKind
    reason: str
    status: str = ""
    skip: bool = False
    elsewhere: bool = False
    unfit: bool = False
    pauses: str = ""
    exit_code: int = -1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ending:
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        return cls(**{**values, "kind": EndingKind(data["kind"])})


def says_no_change(record: Record) -> bool:
    """Whether its maker was done and said, with a reason, that rightly nothing had to be changed."""
    verdict = record.verdict or {}
    said = verdict.get("no_change") is True and bool(str(verdict.get("summary") or "").strip())
    return said and verdict.get("kind") == VerdictKind.DONE and record.role != QA


def is_no_change(record: Record) -> bool:
    """Whether the task of ``record`` ended so: done, and without any work."""
    return (record.ending or {}).get("kind") == EndingKind.REPORTED and says_no_change(record)


class StepProblem(HpmError):
    """A step failed in a way that an operator may decide about (docs/design.md, Decisions).

    ``unfit`` says that the machine, not the task, is at fault: nothing is taken until health_check passes.
    ``not_here`` says that the task can only be worked elsewhere: nobody is asked, it is given back and
    skipped until it changes.
    """

    kind = "step_problem"

    def __init__(self, message: str, hint: str = "", *, unfit: bool = False, not_here: bool = False) -> None:
        super().__init__(message, hint)
        self.unfit = unfit
        self.not_here = not_here
