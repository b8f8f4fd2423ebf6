"""`python -m tests.bench`: how fast the commands and the runner are, beside what they cannot do without."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import cold_start, growth, memory, overhead, pick_up, report, worktrees
from tests.bench.lab import PACKAGE, Lab
from tests.campaign.engine import isolate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SECTIONS: dict[str, Callable[[Lab], Iterator[report.Line]]] = {
    "cold-start": cold_start.measure,
    "overhead": overhead.measure,
    "pick-up": pick_up.measure,
    "growth": growth.measure,
    "memory": memory.measure,
    "worktrees": worktrees.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="this part alone; may be repeated")
    parser.add_argument("--quick", action="store_true", help="everything once: no figures to rely on")
    parser.add_argument("--results", type=Path, default=PACKAGE / ".bench", help="where the JSON files lie")
    given = parser.parse_args(argv)
    before = report.earlier(given.results, quick=given.quick)
    at_start = report.machine()
    began = time.monotonic()
    lines: list[report.Line] = []
    with tempfile.TemporaryDirectory(prefix="hpm-bench-", ignore_cleanup_errors=True) as directory:
        isolate(Path(directory))
        lab = Lab(Path(directory), quick=given.quick)
        for name in given.only or SECTIONS:
            found = list(SECTIONS[name](lab))
            print(f"\n{name}\n\n{report.show(found, before)}", flush=True)
            lines += found
    facts = {"quick": given.quick, "machine": at_start, "seconds": round(time.monotonic() - began, 1)}
    path = report.write(lines, given.results, facts)
    print(f"\n{report.summary(lines, facts)}\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
