"""Whole processes, measured by the clock and by the processor time that they used."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One process: seconds by the clock, and of processor time with its children's."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Program:
    """A command line as an operator's shell would start it; ``before`` are run each time, not measured."""

    name: str
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""
    before: tuple[Program, ...] = field(default=())

    def run(self) -> Sample:
        """One measured run; RuntimeError with its output unless it ends with 0."""
        for other in self.before:
            other.run()
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
            given.write(self.stdin)
            given.seek(0)
            began = time.perf_counter()
            process = subprocess.Popen(
                self.argv, cwd=self.cwd, env=self.env, stdin=given, stdout=output, stderr=output
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                output.seek(0)
                said = output.read().decode(errors="replace")
                raise RuntimeError(f"{' '.join(self.argv)} ended with {process.returncode}:\n{said}")
        return Sample(wall, used.ru_utime + used.ru_stime)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The same number of runs of a program and of what it is compared with, taken in turns."""

    of: list[Sample]
    against: list[Sample]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios: a load that comes and goes meets both halves of a pair."""
        return statistics.median(
            one.wall / other.wall for one, other in zip(self.of, self.against, strict=True)
        )

    @property
    def cpu_ratio(self) -> float:
        """The same of processor time, which other programs' load hardly changes."""
        return median(self.of, "cpu") / median(self.against, "cpu")


def median(samples: Sequence[Sample], of: Literal["wall", "cpu"] = "wall") -> float:
    return statistics.median([sample.cpu if of == "cpu" else sample.wall for sample in samples])


def in_pairs(program: Program, reference: Program, rounds: int) -> Pairs:
    """``rounds`` pairs, after one that is not counted unless there is but one."""
    pairs = Pairs([], [])
    for _ in range(rounds + (rounds > 1)):
        pairs.against.append(reference.run())
        pairs.of.append(program.run())
    return Pairs(pairs.of[-rounds:], pairs.against[-rounds:])


def seconds(act: Callable[[], object]) -> float:
    """How long ``act()`` takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
