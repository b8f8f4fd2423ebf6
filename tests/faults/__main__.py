"""`python -m tests.faults`: which faults are mended, and by which tests that is shown; `./inv faults` runs it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.faults.against import against, mended
from tests.faults.catalogue import marks, problems, tables

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--against", metavar="REV", help="run the tests of mended faults on that revision")
    parser.add_argument("--check", action="store_true", help="only say what does not agree")
    given = parser.parse_args(argv)
    if given.check:
        wrong = problems(tables(), marks())
        for problem in wrong:
            print(problem, file=sys.stderr)
        return 1 if wrong else 0
    if given.against is None:
        listing()
        return 0
    tests = mended()
    if not tests:
        print("no test is marked with a fault that was seen in real use", file=sys.stderr)
        return 1
    try:
        return 0 if against(given.against, tests) else 1
    except subprocess.CalledProcessError as error:
        print(f"{given.against}: {error}", file=sys.stderr)
        return 2


def listing() -> None:
    """Each row with its state and its tests."""
    marked = marks()
    for table in tables():
        print(f"\n{table.title}")
        for row in table.rows:
            print(f"  {'open' if row.is_open else 'ok  '} {row.id}: {row.situation}")
            for test in marked.get(row.id, ()):
                print(f"         {test}")


if __name__ == "__main__":
    sys.exit(main())
