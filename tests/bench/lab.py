"""A place of its own for every measurement: a repository, a board, an operator's desk, programs on it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Program
from tests.support.board_process import running_board
from tests.support.repos import make_repo
from tests.support.runners import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.board_process import BoardUnderTest

BIN = Path(sys.executable).parent
PACKAGE = Path(__file__).resolve().parents[2]

AGENT = """#!/bin/sh
echo '{"status": "done", "summary": "there was nothing to do", "no_change": true}' >"$HPM_OUTCOME_FILE"
"""


class Place(Desk):
    """A desk whose agent does nothing and says so, with the programs that are installed for operators."""

    real = True

    def __init__(self, directory: Path, board: BoardUnderTest, repo: Path) -> None:
        self.agent = directory / "agent.sh"
        directory.mkdir(parents=True, exist_ok=True)
        self.agent.write_text(AGENT, encoding="ascii")
        self.agent.chmod(0o755)
        super().__init__(directory, board, repo)
        self.configure(executor="command", executor_command=[str(self.agent)])

    @property
    def environment(self) -> dict[str, str]:
        inherited = super().environment
        del inherited["PYTHONUNBUFFERED"], inherited["HPM_TEST_STARTS"]
        return {**inherited, "PATH": f"{BIN}{os.pathsep}{inherited['PATH']}"}

    def program(
        self, name: str, *argv: object, stdin: bytes = b"", before: tuple[Program, ...] = ()
    ) -> Program:
        return Program(name, [*map(str, argv)], self.repo, self.environment, stdin, before)

    def command(self, name: str, *words: object, before: tuple[Program, ...] = ()) -> Program:
        """``hpm`` as it is installed, with ``words``."""
        return self.program(name, BIN / "hpm", *words, before=before)


@dataclass(frozen=True, slots=True)
class Lab:
    """Where a run of the bench works, and how thoroughly: ``quick`` measures everything once."""

    directory: Path
    quick: bool = False

    def rounds(self, wanted: int) -> int:
        return 1 if self.quick else wanted

    def fresh(self, name: str) -> Path:
        directory = self.directory / name
        directory.mkdir(parents=True)
        return directory

    @contextmanager
    def place(self, name: str, *, upstream: bool = False) -> Iterator[Place]:
        """A desk on a board of its own and a small repository."""
        directory = self.fresh(name)
        with running_board(directory, upstream=upstream) as board:
            place = Place(directory / "desk", board, make_repo(directory / "repo").root)
            try:
                yield place
            finally:
                place.end_agents()
