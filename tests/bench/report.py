"""What was measured, as a table for people and as JSON, beside what the run before found."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from hpm_tools.text import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SCHEMA = 1
NOTICED = 0.1
"""A change by less than this share of the earlier figure is not worth a look."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: ``value`` in ``unit`` (ms, MiB or a count), the median of ``samples`` where it has any.

    ``ratio`` is to ``against``, measured in turns with it. ``goal`` is the largest ratio wanted, or the
    largest value where nothing is compared, and ``why_missed`` why it cannot be had where that is known.
    ``cpu_ratio`` is the ratio of processor time.
    """

    section: str
    name: str
    value: float
    unit: str = "ms"
    against: str = ""
    ratio: float | None = None
    cpu_ratio: float | None = None
    goal: float | None = None
    samples: list[float] = field(default_factory=list)
    remark: str = ""
    why_missed: str = ""

    @property
    def key(self) -> str:
        return f"{self.section}: {self.name}"

    @property
    def judged(self) -> float:
        """The figure that the goal is about."""
        return self.value if self.ratio is None else self.ratio

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.judged <= self.goal

    @property
    def shown_value(self) -> str:
        if self.unit == "ms":
            return f"{self.value * 1000:.1f} ms"
        return f"{self.value:.0f}" if self.unit == "" else f"{self.value:.1f} {self.unit}"


def machine() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    return {
        "cpus": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
    }


def earlier(directory: Path, *, quick: bool) -> dict[str, float]:
    """The judged figure of every line, from the newest file in ``directory`` that has it."""
    found: dict[str, float] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            facts = json.loads(path.read_bytes())
            if facts["quick"] and not quick:
                continue
            found |= {f"{row['section']}: {row['name']}": float(row["judged"]) for row in facts["lines"]}
        except (ValueError, KeyError, TypeError):
            continue
    return found


def write(lines: Iterable[Line], directory: Path, facts: Mapping[str, Any]) -> Path:
    """Keep ``lines`` as a file of their own in ``directory``; its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / time.strftime("%Y%m%dT%H%M%S.json")
    rows = [{**asdict(line), "judged": line.judged, "met": line.met} for line in lines]
    text = json.dumps({"schema": SCHEMA, **facts, "lines": rows}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def show(lines: Iterable[Line], before: Mapping[str, float]) -> str:
    """The table: one block per section, each with what did not reach its goal marked."""
    rows = [
        (
            line.name,
            line.shown_value,
            _times(line.ratio),
            _times(line.cpu_ratio),
            line.against,
            _goal(line),
            {None: "", True: "met", False: "MISSED"}[line.met],
            _change(line, before.get(line.key)),
            line.why_missed if line.met is False else line.remark,
        )
        for line in lines
    ]
    headers = ("WHAT", "MEDIAN", "RATIO", "CPU", "AGAINST", "GOAL", "", "BEFORE", "REMARK")
    return table(rows, headers, width=None)


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def _goal(line: Line) -> str:
    if line.goal is None:
        return ""
    if line.ratio is not None:
        return f"{line.goal:g} x"
    return f"{line.goal * 1000:g} ms" if line.unit == "ms" else f"{line.goal:g} {line.unit}".strip()


def _change(line: Line, before: float | None) -> str:
    if not before:
        return ""
    change = line.judged / before - 1
    shown = before * 1000 if line.ratio is None and line.unit == "ms" else before
    text = f"{shown:.2f}"
    return text if abs(change) < NOTICED else f"{text} ({change:+.0%})"


def summary(lines: Sequence[Line], facts: Mapping[str, Any]) -> str:
    judged = [line for line in lines if line.met is not None]
    missed = [line.name for line in judged if not line.met]
    load, cpus = facts["machine"]["load"][0], facts["machine"]["cpus"]
    text = f"{len(judged) - len(missed)} of {len(judged)} goals met, {facts['seconds']:.0f} s, {cpus} CPUs"
    if load > cpus / 2:
        text += f"; the machine was loaded ({load}): trust ratios, not times"
    return "\n".join([text, *(["missed: " + ", ".join(missed)] if missed else [])])
