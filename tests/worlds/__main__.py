"""`python -m tests.worlds`: plays new worlds, and makes what does not hold small."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.campaign.engine import isolate
from tests.support import disks
from tests.worlds.coverage import choose, covered
from tests.worlds.draw import draw, reachable_rows
from tests.worlds.engine import Pool
from tests.worlds.session import Session, Small
from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHRINK_SECONDS = 300.0
CHOOSE_SEED = 1


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="worlds", description=__doc__)
    parser.add_argument("--count", type=positive, default=20, help="worlds to play")
    parser.add_argument(
        "--seed", type=int, help="seed of an earlier call, to play the same worlds; else a new one"
    )
    parser.add_argument("--from", type=int, default=0, dest="first", help="the number of the first world")
    parser.add_argument(
        "--jobs",
        type=positive,
        default=os.cpu_count() or 2,
        help="worlds played at the same time; as many as there are processors",
    )
    parser.add_argument("--row", default="", help="worlds drawn for this row of the catalogue of faults")
    parser.add_argument("--play", help="play the one world in this file, as JSON; - reads standard input")
    parser.add_argument("--keep", help="directory in which failing worlds are kept, with all their logs")
    parser.add_argument("--report", help="file for the results, as JSON")
    parser.add_argument(
        "--shrink", type=float, help="seconds for making each kind of failing world smaller (300); 0: do not"
    )
    parser.add_argument(
        "--rows", action="store_true", help="list the rows that worlds can reach, and by what; play nothing"
    )
    parser.add_argument(
        "--choose", type=positive, help="print so many numbers for tests/worlds/chosen.py; play nothing"
    )
    given = parser.parse_args(argv)
    if given.row and given.row not in reachable_rows():
        parser.error(f"nothing leads to row {given.row}; --rows shows what can be reached")
    return given


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(argv: Sequence[str] | None = None) -> int:
    given = parse(argv)
    if given.rows:
        rows = reachable_rows()
        print("\n".join(f"{row:4} {', '.join(by)}" for row, by in rows.items()))
        print(f"{len(rows)} rows")
        return 0
    if given.choose:
        return print_choice(given.choose)
    try:
        worlds, seed = wanted(given)
    except (OSError, msgspec.MsgspecError) as error:
        print(f"--play {given.play}: {error}", file=sys.stderr)
        return 2
    shrink = given.shrink if given.shrink is not None else 0.0 if given.play else SHRINK_SECONDS
    session = Session(seed, len(worlds))
    code = 0

    def stop(number: int, _: object) -> None:
        """End at once, and let nothing interrupt the tidying up."""
        nonlocal code
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)
        code = 128 + number
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        with (
            working_place(given.keep) as place,
            Pool(place, given.jobs, keep=bool(given.keep and given.play)) as pool,
        ):
            session.play(pool, worlds)
            if shrink:
                session.make_small(pool, shrink)
            elif session.failed:
                first = session.failed[0]
                session.small = [Small(first, first.world, first.problems, 0, 0)]
    except KeyboardInterrupt:
        session.progress.line("interrupted")
    session.print(interrupted=bool(code))
    if given.report:
        facts = session.report(interrupted=bool(code))
        Path(given.report).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return code or (1 if session.failed else 0)


def wanted(given: argparse.Namespace) -> tuple[list[World], int | None]:
    """The worlds to play, and the seed that they are drawn from."""
    if given.play:
        text = sys.stdin.read() if given.play == "-" else Path(given.play).read_text(encoding="utf-8")
        return [World.from_json(text)], None
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    return [draw(seed, number, given.row) for number in range(given.first, given.first + given.count)], seed


@contextmanager
def working_place(keep: str | None) -> Iterator[Path]:
    """A directory for all that is played, which no world leaves, with a HOME of its own; removed unless it is kept."""
    if keep:
        Path(keep).mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="hpm-worlds-", dir=Path(keep).absolute() if keep else None))
    try:
        isolate(place)
        yield place
    finally:
        if keep:
            print(f"kept in {place}")
        else:
            disks.remove_tree(place)


def print_choice(count: int) -> int:
    """Print the list that tests/integration/test_worlds.py plays."""
    numbers = choose(count, CHOOSE_SEED)
    share, lacking = covered([draw(CHOOSE_SEED, number) for number in numbers])
    lines = textwrap.indent(textwrap.fill(", ".join(map(str, numbers)), 100), "    ")
    print(f"SEED = {CHOOSE_SEED}\nNUMBERS = [\n{lines},\n]  # fmt: skip")
    print(f"# {share:.0%} of all that is declared; without {', '.join(lacking) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
