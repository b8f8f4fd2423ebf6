"""`python -m tests.worlds.find_mends`: takes out one mend after the other, and looks for a world that shows it.

A world that objects counts if it holds with the mend: each is played without the edits, too.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.campaign.edits import apply
from tests.campaign.engine import isolate
from tests.campaign.points import PACKAGE
from tests.support import disks, forkserver
from tests.worlds import mends_ab, mends_cde
from tests.worlds.draw import draw
from tests.worlds.engine import Worlds
from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.worlds.mends import Mend


@dataclass(frozen=True, slots=True)
class Search:
    """How the search for a mend went: ``world`` is the first that shows it, and ``problems`` what objected there.

    ``able``: how many worlds have what it needs. ``fouls`` says which worlds do not hold with the mend, either.
    """

    mend: Mend
    able: int
    played: int
    seconds: float
    world: World | None = None
    problems: tuple[str, ...] = ()
    fouls: tuple[str, ...] = ()

    def __str__(self) -> str:
        found = f"{self.world.name}" if self.world else "NOT FOUND"
        said = f"{self.mend.row:4} {found:12} {self.played:3} of {self.able:3} played, {self.seconds:5.0f} s"
        first = self.problems[0] if self.problems else f"needs {' or '.join(self.mend.needs) or 'anything'}"
        lines = [f"{said}  {first[:150]}"]
        if self.problems and not self.expected:
            lines.append(f"     expected to object: {', '.join(self.mend.objects)}")
        lines += [f"     {foul[:150]}" for foul in self.fouls]
        return "\n".join(lines).encode("ascii", "backslashreplace").decode()

    @property
    def expected(self) -> bool:
        """Whether an invariant objects that is expected to."""
        kinds = {problem.partition(":")[0] for problem in self.problems}
        return not self.mend.objects or bool(kinds & set(self.mend.objects))


def all_mends() -> Iterator[Mend]:
    """The mends of all rows, in their order."""
    yield from mends_ab.MENDS
    yield from mends_cde.MENDS


def take_out(mend: Mend, directory: Path) -> Path:
    """A directory to put first on PYTHONPATH; Unfit (edits.py) if the package has no longer what is to change."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, directory / PACKAGE.name, ignore=skipped)
    shutil.copytree(PACKAGE.parent / "hooks", directory / "hooks", ignore=skipped)
    apply(mend.edits, directory / PACKAGE.name)
    return directory


def search(mend: Mend, worlds: Iterable[World], directory: Path, most: int) -> Search:
    """Play the ``worlds`` that can show it until one does, ``most`` of them at most."""
    began, played = time.monotonic(), 0
    able = [world for world in worlds if mend.can_show(world.ingredients())]
    able.sort(key=lambda world: not mend.needs or len(world.to_json()))  # quick to play, and easy to read
    fouls: list[str] = []
    directory.mkdir()
    package = take_out(mend, directory / "package")
    try:
        with Worlds(directory) as place:
            for world in able[:most]:
                played += 1
                without = place.play(world, package)
                if without.ok:
                    continue
                with_it = place.play(world)
                if with_it.ok:
                    return Search(
                        mend,
                        len(able),
                        played,
                        time.monotonic() - began,
                        world,
                        tuple(without.problems),
                        tuple(fouls),
                    )
                fouls.append(f"{world.name} does not hold with the mend, either: {with_it.problems[0]}")
    finally:
        forkserver.forget(package)
    return Search(mend, len(able), played, time.monotonic() - began, fouls=tuple(fouls))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="find_mends", description=__doc__)
    parser.add_argument("--row", action="append", help="this row's mends only; may be repeated")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=500, help="the most worlds that are played for a mend")
    parser.add_argument("--world", help="a file with one world as JSON, instead of those of the seed")
    parser.add_argument("--keep", help="a directory in which what objects is kept")
    given = parser.parse_args(argv)
    mends = [mend for mend in all_mends() if not given.row or mend.row in given.row]
    if given.world:
        worlds = [World.from_json(Path(given.world).read_text(encoding="utf-8"))]
    else:
        worlds = [draw(given.seed, number) for number in range(given.count)]
    place = Path(given.keep or tempfile.mkdtemp(prefix="hpm-mends-")).absolute()
    place.mkdir(exist_ok=True)
    isolate(place)
    searches = []
    for number, mend in enumerate(mends):
        searches.append(search(mend, worlds, place / f"{mend.row}-{number}", given.most))
        print(searches[-1], flush=True)
    found = sum(one.world is not None for one in searches)
    print(f"{found} of {len(searches)} mends are found when they are taken out")
    if not given.keep:
        disks.remove_tree(place)
    return 0 if found == len(searches) else 1


if __name__ == "__main__":
    sys.exit(main())
